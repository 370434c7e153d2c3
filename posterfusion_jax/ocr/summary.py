"""Summarize an OCR run, and format the summary for people."""

import dataclasses

from posterfusion_jax.ocr.engines.base import Usage
from posterfusion_jax.posters.folder import Skipped
from posterfusion_jax.utils.console import sanitize

_SHOWN_FAILURES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class OcrSummary:
    """Summarize a run.

    total = already + failed_before + copies + unreadable + read + left (engine "none": only `total`).
    """

    total: int  # posters given
    already: int  # with a usable record before the run
    by_others: int  # part of `already`: by another engine only
    failed_before: int  # with a record of a failure that `retry` did not name
    copies: int  # with the same bytes as another poster; the two share a record
    unreadable: int  # files that could not be opened: without bytes there is no hash and no record
    read: int  # images read by this run, with any status
    by_status: dict[str, int]  # number of `read` per status
    failures: tuple[Skipped, ...]  # of this run, sorted by poster_id
    seconds: float
    seconds_per_poster: float  # wall time over `read`
    spent: Usage | None = None  # on a service; None: the engine computes here
    stopped: str | None = None  # why the run ended before its last poster
    left: int = 0  # posters that were not read
    under_way: int = 0  # part of `left`: posters in batch jobs to be collected later
    notes: tuple[str, ...] = ()  # faults other than of single posters


def format_summary(summary: OcrSummary) -> str:
    """Format the summary as a few lines of text."""
    lines = [f"OCR: {summary.total:,} posters, {summary.read:,} read now"]
    if summary.read:
        statuses = ", ".join(f"{count:,} {status}" for status, count in summary.by_status.items())
        lines[0] += f" in {summary.seconds:.0f} s ({summary.seconds_per_poster:.2f} s per poster): {statuses}"
    for count, meaning in (
        (summary.already, "had been read before"),
        (summary.by_others, "were read by another engine only (ocr.reread=engine reads them with this one)"),
        (summary.copies, "are copies of another file and share its record"),
        (summary.failed_before, "failed before and were skipped (ocr.retry names the statuses to read again)"),
        (summary.unreadable, "could not be opened"),
    ):
        if count:
            lines.append(f"  {count:,} {meaning}")
    if summary.spent is not None and summary.spent.answers:
        spent = summary.spent
        lines.append(
            f"  {spent.answers:,} answers: {spent.input_tokens:,} tokens in and {spent.output_tokens:,} out, "
            f"{spent.usd:.4f} US dollars"
        )
    if summary.under_way:
        lines.append(f"  {summary.under_way:,} posters are in batch jobs under way; the same command collects them later")
    lines += [f"  {sanitize(note)}" for note in summary.notes]
    if summary.stopped:
        lines.append(f"  stopped with {summary.left:,} posters left: {sanitize(summary.stopped)}")
    lines += [f"  {sanitize(failure.what)}: {sanitize(failure.reason)}" for failure in summary.failures[:_SHOWN_FAILURES]]
    if len(summary.failures) > _SHOWN_FAILURES:
        lines.append(f"  and {len(summary.failures) - _SHOWN_FAILURES:,} more failures")
    return "\n".join(lines)
