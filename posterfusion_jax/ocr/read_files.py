"""Read poster files into records without a store, for prediction."""

import pathlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from posterfusion_jax.ocr.engines import base
from posterfusion_jax.ocr.engines.base import REMOTE_ENGINES, NoEngine, RemoteEngine, Usage
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.remote.client import Limits, read_with_service
from posterfusion_jax.ocr.worker_pool import Task, available_cores, make_record, read_in_processes
from posterfusion_jax.posters.folder import PosterFile


def read_files(
    files: Sequence[pathlib.Path],
    engine_name: str,
    *,
    workers: int,
    limits: Limits,
    engine_options: Mapping[str, Any] | None = None,
    make_engine: Callable[..., Any] = base.make_engine,
) -> Iterator[OcrRecord]:
    """Return one record per file, in order.

    A file that cannot be read, or got no answer, has a record with the status "error". A local engine runs in separate
    processes, which start with this call: loading its models takes as long as loading those of the prediction. A remote service
    gets the requests for all files when the first record is taken.

    Args:
      files: posters of any name.
      engine_name: one of `engines.ENGINES`.
      workers: processes; 0: one per core, but at most one per file. A single one leaves a core to the prediction.
      limits: of the requests to a service.
      engine_options: keyword arguments of the engine, other than `threads`.
      make_engine: makes the engine from its name and options; must be picklable.

    Raises:
      InputError: with the first record, if the engine is not installed, or the service rejects every request (a wrong key).
    """
    tasks = [Task(PosterFile(str(number), "", str(file)), str(number), 1) for number, file in enumerate(files)]
    options = engine_options or {}
    if engine_name == NoEngine.name:
        return iter([make_record(NoEngine(), task, status="empty") for task in tasks])
    if engine_name in REMOTE_ENGINES:
        return _read_remote(tasks, make_engine(engine_name, threads=1, **options), limits)
    cores = available_cores()
    workers = min(workers or cores, len(tasks))
    make = base.engine_maker(make_engine, engine_name, threads=max((cores - 1) // workers, 1), **options)
    return _restore_order(tasks, _read_ahead(read_in_processes(tasks, make_engine=make, workers=workers)))


def _read_remote(tasks: Sequence[Task], engine: RemoteEngine, limits: Limits) -> Iterator[OcrRecord]:
    found: dict[str, OcrRecord] = {}

    def save_record(record: OcrRecord, _: Usage) -> None:
        found[record.poster_id] = record

    service_run = read_with_service(tasks, engine, limits=limits, save_record=save_record)
    for task in tasks:
        yield found.get(task.poster.poster_id) or make_record(engine, task, reason=service_run.stopped)


def _restore_order(tasks: Sequence[Task], records: Iterator[OcrRecord]) -> Iterator[OcrRecord]:
    buffered: dict[str, OcrRecord] = {}
    for task in tasks:
        while task.poster.poster_id not in buffered:
            record = next(records)
            buffered[record.poster_id] = record
        yield buffered.pop(task.poster.poster_id)


def _read_ahead(records: Iterator[OcrRecord]) -> Iterator[OcrRecord]:
    """Take the records in a thread that starts immediately, rather than when the next one is requested."""
    taken: queue.SimpleQueue[OcrRecord | BaseException] = queue.SimpleQueue()

    def read_all() -> None:
        try:
            for record in records:
                taken.put(record)
        except BaseException as error:  # raised again in the consumer
            taken.put(error)

    threading.Thread(target=read_all, daemon=True).start()

    def results() -> Iterator[OcrRecord]:
        while True:
            record = taken.get()
            if isinstance(record, BaseException):
                raise record
            yield record

    return results()
