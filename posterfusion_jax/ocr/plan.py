"""Choose the posters of a folder to read: those without a record, each distinct image once."""

import collections
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from posterfusion_jax.ocr.engines.base import EngineChoice, NoEngine, record_name
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.records.record import OcrRecord, usable
from posterfusion_jax.ocr.records.store import RecordReader
from posterfusion_jax.ocr.task import Task
from posterfusion_jax.posters.decode import UnreadableImage, read_bytes
from posterfusion_jax.posters.folder import PosterFile, Skipped
from posterfusion_jax.utils.choose import choose
from posterfusion_jax.utils.progress import progress_bar


class Plan(NamedTuple):
    """Hold the posters to read, and the number of skipped ones per reason (the field names of `summary.OcrSummary`)."""

    tasks: list[Task]
    counts: collections.Counter[str]
    unreadable: list[Skipped]


def plan_reading(
    posters: Sequence[PosterFile], records: RecordReader, engine: EngineChoice, options: ReadOptions, *, progress: bool
) -> Plan:
    """Hash the bytes of every poster and look up its record; the engine "none" reads nothing.

    Args:
      posters: the posters of a folder.
      records: the records to look up.
      engine: the engine that is to read; it is loaded for `options.reread="version"`.
      options: which posters with a record to read again.
      progress: whether to draw a progress bar.

    Raises:
      InputError: the engine cannot be loaded, or its records have no name.
    """
    plan = Plan([], collections.Counter(), [])
    if engine.name == NoEngine.name:
        return plan
    version = engine.load(threads=1).version if options.reread == "version" else None
    name = record_name(engine.name)
    tasks: dict[str, Task] = {}
    for poster in progress_bar(iterable=posters, desc="Checking files", unit="file", delay=2, disable=not progress):
        try:
            sha256 = hashlib.sha256(read_bytes(poster.path)).hexdigest()
        except UnreadableImage as error:
            plan.unreadable.append(Skipped(poster.poster_id, str(error)))
            continue
        if sha256 in tasks:
            plan.counts["copies"] += 1
            continue
        attempt, record = next_attempt(
            records, sha256, engine_name=name, version=version, retry=options.retry, reread=options.reread
        )
        if attempt is not None:
            tasks[sha256] = Task(poster, sha256, attempt)
        else:
            plan.counts[skip_reason(record)] += 1
            plan.counts["by_others"] += record is not None and record.engine != name
    plan.tasks.extend(tasks.values())
    return plan


def next_attempt(
    records: RecordReader, sha256: str, *, engine_name: str, version: str | None, retry: Sequence[str], reread: str
) -> tuple[int | None, OcrRecord | None]:
    """Return the number of an image's next attempt and the record that decided it.

    The number is None for an image that is not to be read.

    Args:
      records: the records to look up.
      sha256: of the image.
      engine_name: the name in the records of the engine that is to read.
      version: of the engine, only for `reread="version"`.
      retry: as in `ReadOptions`.
      reread: as in `ReadOptions`.
    """
    own = engine_name if version is None else f"{engine_name}@{version}"
    record = records.find(sha256, prefer=(own, engine_name))
    same_engine_only = choose("ocr.reread", reread, {"never": False, "engine": True, "version": True})
    if same_engine_only or record is None or not usable(record):  # another engine's failure does not predict this one's
        record = records.newest(sha256, own)
    if record is None or record.status in retry:
        return attempt_count(records, sha256, engine_name) + 1, record
    return None, record


def skip_reason(record: OcrRecord | None) -> str:
    """Return the field of `summary.OcrSummary` that counts an image without a next attempt: "already" or "failed_before"."""
    return "already" if record is not None and usable(record) else "failed_before"


def attempt_count(records: RecordReader, sha256: str, engine_name: str) -> int:
    """Return how often this engine has read the image."""
    record = records.newest(sha256, engine_name)
    return 0 if record is None else record.attempts
