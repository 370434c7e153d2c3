"""Read the posters of a folder into its record file: resumable, in parallel, each distinct image once."""

import collections
import time
from collections.abc import Sequence
from typing import Any

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import OCR_ENGINES, EngineChoice, Usage
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.plan import Plan, plan_reading
from posterfusion_jax.ocr.readers import make_reader
from posterfusion_jax.ocr.records.record import OcrRecord, usable
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.remote.client import RunEnd
from posterfusion_jax.ocr.summary import OcrSummary
from posterfusion_jax.posters.folder import PosterFile, Skipped
from posterfusion_jax.utils.progress import progress_bar

_DEFAULTS = ReadOptions()


def read_posters(
    posters: Sequence[PosterFile],
    store: RecordWriter,
    engine: EngineChoice,
    options: ReadOptions = _DEFAULTS,
    *,
    progress: bool = True,
) -> OcrSummary:
    """Read the posters without a record and append a record for each.

    A run that was killed at any moment may be started again.

    Args:
      posters: as `posters.folder.find_posters` lists them.
      store: where records are looked up and appended, by the hash of the image's bytes.
      engine: reads; "none" reads nothing.
      options: which posters, and with how much of the machine or of a service.
      progress: whether to draw a bar with rate and remaining time on stderr.

    Raises:
      InputError: an unknown engine, one that is not installed, or the store cannot be written.
    """
    if engine.name not in OCR_ENGINES:
        raise InputError(OCR_ENGINES.describe_unknown(engine.name))
    started = time.monotonic()
    plan = plan_reading(posters, store, engine, options, progress=progress)
    saved, end = _Saved(store, list(plan.unreadable)), RunEnd()
    if plan.tasks or options.batch is not None:  # there may be jobs to collect
        store.open()  # before the first poster, so that a fault is not found after hours
        reader = make_reader(engine, options, store, posters=len(plan.tasks))
        with progress_bar(total=len(plan.tasks), desc="OCR", unit="poster", disable=not progress) as saved.bar:
            end = reader.read(plan.tasks, saved.add)
    return _summarize(len(posters), plan, saved, end, seconds=time.monotonic() - started)


class _Saved:
    """Append records to the store, count them, and show the counts on the progress bar."""

    def __init__(self, store: RecordWriter, failures: list[Skipped]):
        self._store, self.failures = store, failures
        self.by_status: collections.Counter[str] = collections.Counter()
        self.bar: Any = None
        self._shown: dict[str, Any] = {}

    def add(self, record: OcrRecord, spent: Usage | None) -> None:
        """Append a record; `spent` is the cost of the run so far on a service."""
        self._store.append(record)
        self.by_status[record.status] += 1
        if not usable(record):
            self.failures.append(Skipped(record.poster_id, record.reason or record.status))
            self._shown["failed"] = len(self.failures)
        if spent is not None:
            self._shown["cost"] = f"${spent.usd:.4f}"
        self.bar.set_postfix(self._shown, refresh=False)
        self.bar.update()


def _summarize(total: int, plan: Plan, saved: _Saved, end: RunEnd, *, seconds: float) -> OcrSummary:
    read = saved.by_status.total()
    return OcrSummary(
        total=total,
        already=plan.counts["already"],
        by_others=plan.counts["by_others"],
        failed_before=plan.counts["failed_before"],
        copies=plan.counts["copies"],
        unreadable=len(plan.unreadable),
        read=read,
        by_status=dict(sorted(saved.by_status.items())),
        failures=tuple(sorted(saved.failures)),
        seconds=seconds,
        seconds_per_poster=seconds / max(read, 1),
        spent=end.spent,
        stopped=end.stopped,
        left=max(len(plan.tasks) - read, 0),
        under_way=end.under_way,
        notes=end.notes,
    )
