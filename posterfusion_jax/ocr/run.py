"""Reads a folder's posters into its record file: resumable, in parallel, each distinct image once."""

import collections
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines import base
from posterfusion_jax.ocr.engines.base import OCR_ENGINES, REMOTE_ENGINES, Usage, record_name
from posterfusion_jax.ocr.plan import REREAD, Plan, attempt_count, plan_reading
from posterfusion_jax.ocr.records.record import STATUSES, OcrRecord, usable
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.remote.client import Limits, ServiceRun, read_with_service
from posterfusion_jax.ocr.remote.gemini_batch import Batched, BatchOptions, ask_in_batches, batch_file
from posterfusion_jax.ocr.worker_pool import available_cores, read_in_processes, read_serially
from posterfusion_jax.posters.folder import PosterFile, Skipped
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.progress import progress_bar

_SHOWN_FAILURES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class OcrSummary:
    """What a run did. total = already + failed_before + copies + unreadable + read + left (engine "none": only `total`)."""

    total: int  # posters given
    already: int  # with a usable record before the run
    by_others: int  # of these, by another engine only
    failed_before: int  # with a record of a failure that `retry` did not name
    copies: int  # with the bytes of another poster, which was read for both
    unreadable: int  # files that could not be opened: without bytes there is no hash and no record
    read: int  # images read by this run, whatever came out
    by_status: dict[str, int]  # of those read by this run
    failures: tuple[Skipped, ...]  # of this run, by poster_id
    seconds: float
    seconds_per_poster: float  # wall time over `read`
    spent: Usage | None = None  # on a service; None: the engine computes here
    stopped: str | None = None  # why the run ended before its last poster
    left: int = 0  # posters that it did not come to
    under_way: int = 0  # of these, posters in batch jobs that are to be collected later
    notes: tuple[str, ...] = ()  # what went wrong beside single posters


def format_summary(summary: OcrSummary) -> str:
    """The summary in a few lines for people."""
    lines = [f"OCR: {summary.total:,} posters, {summary.read:,} read now"]
    if summary.read:
        statuses = ", ".join(f"{count:,} {status}" for status, count in summary.by_status.items())
        lines[0] += f" in {summary.seconds:.0f} s ({summary.seconds_per_poster:.2f} s a poster): {statuses}"
    for count, meaning in (
        (summary.already, "had been read before"),
        (summary.by_others, "of them by another engine (ocr.reread=engine reads them with this one)"),
        (summary.copies, "are copies of another file and share its record"),
        (summary.failed_before, "failed before and were left as they are (ocr.retry names the statuses to read again)"),
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


def read_posters(
    posters: Sequence[PosterFile],
    store: RecordWriter,
    *,
    engine_name: str,
    workers: int | None = None,
    retry: Sequence[str] = (),
    reread: str = "never",
    progress: bool = True,
    engine_options: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    batch: BatchOptions | None = None,
    make_engine: Callable[..., Any] = base.make_engine,
) -> OcrSummary:
    """Reads the posters that `store` lacks and appends a record for each. Killed at any moment, it may be started again.

    Args:
      posters: as `posters.folder.find_posters` lists them.
      store: where records are looked up and appended, by the hash of the image's bytes.
      engine_name: one of `engines.ENGINES`; "none" reads nothing.
      workers: processes of one thread each; 1 reads in this process with all cores. None: as many as there are cores.
        RapidOCR takes 0.5 GB a process (0.8 GB for posters of 2000 x 3000). The text does not depend on it.
      retry: statuses to read again, such as ("error",); other failures are left as they are.
      reread: posters that have a usable record all the same: "never"; "engine": those without one of this engine;
        "version": those without one of this engine's present version.
      progress: whether to draw a bar with rate and remaining time on stderr.
      engine_options: keyword arguments of the engine, other than `threads`.
      limits: for an engine that asks a service (`engines.REMOTE_ENGINES`), in the place of `workers`.
      batch: for Gemini's batch API in the place of single questions; None: without it.
      make_engine: makes the engine from its name and options, here and in every worker; must be picklable.

    Raises:
      InputError: an unknown engine or status, the engine is not installed, or the store cannot be written.
    """
    if engine_name not in OCR_ENGINES:
        raise InputError(OCR_ENGINES.describe_unknown(engine_name))
    for status in retry:
        if status not in STATUSES:
            raise InputError(f"ocr.retry={status!r} is not a status. Allowed: {', '.join(STATUSES)}.")
    if reread not in REREAD:
        raise InputError(f"ocr.reread={reread!r} is not one of {', '.join(REREAD)}.")
    if workers is not None and workers < 1:
        raise InputError(f"ocr.workers={workers!r} is too few. Give at least 1, or leave it out for one a core.")

    started = time.monotonic()
    if engine_name == "none":
        plan = Plan([], collections.Counter(), [])
    else:
        version = make_engine(engine_name, threads=1, **(engine_options or {})).version if reread == "version" else None
        plan = plan_reading(
            posters, store, engine_name=record_name(engine_name), version=version, retry=retry, reread=reread, progress=progress
        )
    by_status: collections.Counter[str] = collections.Counter()
    asked: ServiceRun | None = None
    batched: Batched | None = None
    failures = list(plan.unreadable)

    if plan.tasks or batch is not None:  # jobs may be there to be collected
        store.open()  # before the first poster: a run of hours must not find out at its end
        remote = engine_name in REMOTE_ENGINES
        cores = available_cores()
        workers = 1 if remote else min(workers or cores, len(plan.tasks))
        threads = cores if workers == 1 else 1
        make = base.engine_maker(make_engine, engine_name, threads=threads, **(engine_options or {}))
        engine = make()  # here as well, so that a wrong option or a missing package is told once and at once
        with progress_bar(total=len(plan.tasks), desc="OCR", unit="poster", disable=not progress) as bar:
            shown: dict[str, Any] = {}

            def keep(record: OcrRecord, spent: Usage | None = None) -> None:
                store.append(record)
                by_status[record.status] += 1
                if not usable(record):
                    failures.append(Skipped(record.poster_id, record.reason or record.status))
                    shown["failed"] = len(failures)
                if spent is not None:
                    shown["cost"] = f"${spent.usd:.4f}"
                bar.set_postfix(shown, refresh=False)
                bar.update()

            if batch is not None:
                batched = ask_in_batches(
                    plan.tasks,
                    engine,
                    batch_file(store.path),
                    options=batch,
                    is_known=lambda task: attempt_count(store, task.sha256, engine_name) >= task.attempt,
                    keep=keep,
                )
            elif remote:
                asked = read_with_service(plan.tasks, engine, limits=limits or Limits(), keep=keep)
            elif workers == 1:
                for record in read_serially(plan.tasks, engine):
                    keep(record)
            else:
                for record in read_in_processes(plan.tasks, make_engine=make, workers=workers):
                    keep(record)

    seconds = time.monotonic() - started
    ended = asked or batched
    return OcrSummary(
        total=len(posters),
        already=plan.counts["already"],
        by_others=plan.counts["by_others"],
        failed_before=plan.counts["failed_before"],
        copies=plan.counts["copies"],
        unreadable=len(plan.unreadable),
        read=by_status.total(),
        by_status=dict(sorted(by_status.items())),
        failures=tuple(sorted(failures)),
        seconds=seconds,
        seconds_per_poster=seconds / max(by_status.total(), 1),
        spent=ended and ended.spent,
        stopped=ended and ended.stopped,
        left=max(len(plan.tasks) - by_status.total(), 0),
        under_way=batched.under_way if batched else 0,
        notes=batched.notes if batched else (),
    )
