"""Reads a folder's posters into its record file: resumable, in parallel, each distinct image once."""

import collections
import dataclasses
import functools
import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr import engines
from posterfusion_jax.ocr.engines import ENGINES, Engine
from posterfusion_jax.ocr.pool import Task, read_here, read_in_processes
from posterfusion_jax.ocr.record import STATUSES, OcrRecord, usable
from posterfusion_jax.ocr.store import Records, RecordStore
from posterfusion_jax.poster_folder import PosterFile, Skipped
from posterfusion_jax.progress import progress_bar

_SHOWN_FAILURES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class OcrSummary:
    """What a run did. total = already + failed_before + copies + unreadable + read (engine "none": only `total`)."""

    total: int  # posters given
    already: int  # with a usable record before the run
    failed_before: int  # with a record of a failure that `retry` did not name
    copies: int  # with the bytes of another poster, which was read for both
    unreadable: int  # files that could not be opened: without bytes there is no hash and no record
    read: int  # images read by this run, whatever came out
    by_status: dict[str, int]  # of those read by this run
    failures: tuple[Skipped, ...]  # of this run, by poster_id
    seconds: float
    seconds_per_poster: float  # wall time over `read`


def format_summary(summary: OcrSummary) -> str:
    """The summary in a few lines for people."""
    lines = [f"OCR: {summary.total:,} posters, {summary.read:,} read now"]
    if summary.read:
        statuses = ", ".join(f"{count:,} {status}" for status, count in summary.by_status.items())
        lines[0] += f" in {summary.seconds:.0f} s ({summary.seconds_per_poster:.2f} s a poster): {statuses}"
    for count, meaning in (
        (summary.already, "had been read before"),
        (summary.copies, "are copies of another file and share its record"),
        (summary.failed_before, "failed before and were left as they are (ocr.retry names the statuses to read again)"),
        (summary.unreadable, "could not be opened"),
    ):
        if count:
            lines.append(f"  {count:,} {meaning}")
    lines += [f"  {failure.what}: {failure.reason}" for failure in summary.failures[:_SHOWN_FAILURES]]
    if len(summary.failures) > _SHOWN_FAILURES:
        lines.append(f"  and {len(summary.failures) - _SHOWN_FAILURES:,} more failures")
    return "\n".join(lines)


def read_posters(
    posters: Sequence[PosterFile],
    store: RecordStore,
    *,
    engine_name: str,
    workers: int | None = None,
    retry: Sequence[str] = (),
    reread_other_engines: bool = False,
    progress: bool = True,
    engine_options: Mapping[str, Any] | None = None,
    make_engine: Callable[..., Engine] = engines.make_engine,
) -> OcrSummary:
    """Reads the posters that `store` lacks and appends a record for each. Killed at any moment, it may be started again.

    Args:
      posters: as `poster_folder.find_posters` lists them.
      store: where records are looked up and appended, by the hash of the image's bytes.
      engine_name: one of `engines.ENGINES`; "none" reads nothing.
      workers: processes of one thread each; 1 reads in this process with all cores. None: as many as there are cores.
        RapidOCR takes 0.6 GB a process (0.9 GB for posters of 2000 x 3000). The text does not depend on it.
      retry: statuses to read again, such as ("error",); other failures are left as they are.
      reread_other_engines: whether a poster is read again of which another engine has a usable record.
      progress: whether to draw a bar with rate and remaining time on stderr.
      engine_options: keyword arguments of the engine, other than `threads`.
      make_engine: makes the engine from its name and options, here and in every worker; must be picklable.

    Raises:
      InputError: an unknown engine or status, the engine is not installed, or the store cannot be written.
    """
    if engine_name not in ENGINES:
        raise InputError(f"ocr.engine={engine_name!r} is not an OCR engine. Choose one of {', '.join(ENGINES)}.")
    for status in retry:
        if status not in STATUSES:
            raise InputError(f"ocr.retry={status!r} is not a status. Allowed: {', '.join(STATUSES)}.")
    if workers is not None and workers < 1:
        raise InputError(f"ocr.workers={workers!r} is too few. Give at least 1, or leave it out for one a core.")

    started = time.monotonic()
    if engine_name == "none":
        plan = Plan([], collections.Counter(), [])
    else:
        plan = plan_reading(
            posters,
            store,
            engine_name=engine_name,
            retry=retry,
            reread_other_engines=reread_other_engines,
            progress=progress,
        )
    by_status: collections.Counter[str] = collections.Counter()
    failures = list(plan.unreadable)

    if plan.tasks:
        store.open()  # before the first poster: a run of hours must not find out at its end
        cores = available_cores()
        workers = min(workers or cores, len(plan.tasks))
        threads = cores if workers == 1 else 1
        make = functools.partial(make_engine, engine_name, threads=threads, **(engine_options or {}))
        engine = make()  # here as well, so that a wrong option or a missing package is told once and at once
        if workers == 1:
            records = read_here(plan.tasks, engine)
        else:
            records = read_in_processes(plan.tasks, engine, make_engine=make, workers=workers)
        with progress_bar(total=len(plan.tasks), desc="OCR", unit="poster", disable=not progress) as bar:
            for record in records:
                store.append(record)
                by_status[record.status] += 1
                if not usable(record):
                    failures.append(Skipped(record.poster_id, record.reason or record.status))
                    bar.set_postfix(failed=len(failures), refresh=False)
                bar.update()

    seconds = time.monotonic() - started
    return OcrSummary(
        total=len(posters),
        already=plan.counts["already"],
        failed_before=plan.counts["failed_before"],
        copies=plan.counts["copies"],
        unreadable=len(plan.unreadable),
        read=by_status.total(),
        by_status=dict(sorted(by_status.items())),
        failures=tuple(sorted(failures)),
        seconds=seconds,
        seconds_per_poster=seconds / max(by_status.total(), 1),
    )


class Plan(NamedTuple):
    """What is to be read, and how many posters are not, by reason."""

    tasks: list[Task]
    counts: collections.Counter[str]
    unreadable: list[Skipped]


def plan_reading(
    posters: Sequence[PosterFile],
    records: Records,
    *,
    engine_name: str,
    retry: Sequence[str],
    reread_other_engines: bool,
    progress: bool,
) -> Plan:
    """Hashes every poster's bytes and compares them with the records. The arguments are those of `read_posters`."""
    tasks: dict[str, Task] = {}
    plan = Plan([], collections.Counter(), [])
    for poster in progress_bar(iterable=posters, desc="Checking files", unit="file", delay=2, disable=not progress):
        try:
            sha256 = hashlib.sha256(poster.path.read_bytes()).hexdigest()
        except OSError as error:
            plan.unreadable.append(Skipped(poster.poster_id, f"cannot be opened: {error.strerror or error}"))
            continue
        record = records.find(sha256, engine=engine_name)
        attempt = next_attempt(record, engine_name=engine_name, retry=retry, reread_other_engines=reread_other_engines)
        if sha256 in tasks:
            plan.counts["copies"] += 1
        elif attempt is not None:
            tasks[sha256] = Task(poster, sha256, attempt)
        else:
            plan.counts[why_not_read(record)] += 1
    plan.tasks.extend(tasks.values())
    return plan


def next_attempt(
    record: OcrRecord | None, *, engine_name: str, retry: Sequence[str], reread_other_engines: bool = False
) -> int | None:
    """The number of the attempt that an image with this record is due for, None if it is not to be read.

    Args:
      record: what `Records.find` gives for the image; the others are those of `read_posters`.
    """
    if record is None:
        return 1
    of_another = record.engine != engine_name
    if record.status in retry or (reread_other_engines and of_another):
        return 1 if of_another else record.attempts + 1
    return None


def why_not_read(record: OcrRecord | None) -> str:
    """The field of `OcrSummary` that counts an image without a next attempt: "already" or "failed_before"."""
    return "already" if record is not None and usable(record) else "failed_before"


def available_cores() -> int:
    """The cores that this process may use, which on a shared machine are fewer than it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
