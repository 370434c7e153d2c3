"""Read the posters of a folder into its record file: resumable, in parallel, each distinct image once."""

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
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions, BatchRun, batch_jobs_path, read_in_batches
from posterfusion_jax.ocr.worker_pool import available_cores, read_in_processes, read_serially
from posterfusion_jax.posters.folder import PosterFile, Skipped
from posterfusion_jax.utils.console import sanitize
from posterfusion_jax.utils.progress import progress_bar

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
    """Read the posters without a record and append a record for each.

    A run that was killed at any moment may be started again.

    Args:
      posters: as `posters.folder.find_posters` lists them.
      store: where records are looked up and appended, by the hash of the image's bytes.
      engine_name: one of `engines.ENGINES`; "none" reads nothing.
      workers: processes of one thread each; 1 reads in this process with all cores. None: one per core.
        RapidOCR takes 0.5 GB per process (0.8 GB for posters of 2000 x 3000). The text does not depend on it.
      retry: statuses to read again, such as ("error",); other failures are skipped.
      reread: which posters with a usable record to read again: "never"; "engine": those without one of this engine;
        "version": those without one of this engine's present version.
      progress: whether to draw a bar with rate and remaining time on stderr.
      engine_options: keyword arguments of the engine, other than `threads`.
      limits: of the requests of a remote engine (`engines.REMOTE_ENGINES`), which does not use `workers`.
      batch: for Gemini's batch API instead of single requests; None: single requests.
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
        raise InputError(f"ocr.workers={workers!r} is too few. Give at least 1, or omit it for one per core.")

    started = time.monotonic()
    if engine_name == "none":
        plan = Plan([], collections.Counter(), [])
    else:
        version = make_engine(engine_name, threads=1, **(engine_options or {})).version if reread == "version" else None
        plan = plan_reading(
            posters, store, engine_name=record_name(engine_name), version=version, retry=retry, reread=reread, progress=progress
        )
    by_status: collections.Counter[str] = collections.Counter()
    service_run: ServiceRun | None = None
    batch_run: BatchRun | None = None
    failures = list(plan.unreadable)

    if plan.tasks or batch is not None:  # there may be jobs to collect
        store.open()  # before the first poster, so that a fault is not found after hours
        remote = engine_name in REMOTE_ENGINES
        cores = available_cores()
        workers = 1 if remote else min(workers or cores, len(plan.tasks))
        threads = cores if workers == 1 else 1
        make = base.engine_maker(make_engine, engine_name, threads=threads, **(engine_options or {}))
        engine = make()  # here as well, so that a wrong option or a missing package is reported once, before reading
        with progress_bar(total=len(plan.tasks), desc="OCR", unit="poster", disable=not progress) as bar:
            shown: dict[str, Any] = {}

            def save_record(record: OcrRecord, spent: Usage | None = None) -> None:
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
                batch_run = read_in_batches(
                    plan.tasks,
                    engine,
                    batch_jobs_path(store.path),
                    options=batch,
                    is_known=lambda task: attempt_count(store, task.sha256, engine_name) >= task.attempt,
                    save_record=save_record,
                )
            elif remote:
                service_run = read_with_service(plan.tasks, engine, limits=limits or Limits(), save_record=save_record)
            elif workers == 1:
                for record in read_serially(plan.tasks, engine):
                    save_record(record)
            else:
                for record in read_in_processes(plan.tasks, make_engine=make, workers=workers):
                    save_record(record)

    seconds = time.monotonic() - started
    ended = service_run or batch_run
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
        under_way=batch_run.under_way if batch_run else 0,
        notes=batch_run.notes if batch_run else (),
    )
