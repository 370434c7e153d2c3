"""Poster files to records at once, without a store: for prediction."""

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
    """One record a file, in order; a file that cannot be read, or found no answer, has one with the status "error".

    An engine that computes here does so in processes of its own, which start with this call: loading its models takes as long
    as loading those of the prediction. A service is asked about all files when the first record is taken.

    Args:
      files: posters of any name.
      engine_name: one of `engines.ENGINES`.
      workers: processes; 0: one a core, but no more than there are files. A single one leaves a core to the prediction.
      limits: of a service.
      engine_options: keyword arguments of the engine, other than `threads`.
      make_engine: makes the engine from its name and options; must be picklable.

    Raises:
      InputError: with the first record, if the engine is not installed, or the service answers nobody (a wrong key, say).
    """
    tasks = [Task(PosterFile(str(number), "", str(file)), str(number), 1) for number, file in enumerate(files)]
    options = engine_options or {}
    if engine_name == NoEngine.name:
        return iter([make_record(NoEngine(), task, status="empty") for task in tasks])
    if engine_name in REMOTE_ENGINES:
        return _ask(tasks, make_engine(engine_name, threads=1, **options), limits)
    cores = available_cores()
    workers = min(workers or cores, len(tasks))
    make = base.engine_maker(make_engine, engine_name, threads=max((cores - 1) // workers, 1), **options)
    return _in_order(tasks, _from_now_on(read_in_processes(tasks, make_engine=make, workers=workers)))


def _ask(tasks: Sequence[Task], engine: RemoteEngine, limits: Limits) -> Iterator[OcrRecord]:
    found: dict[str, OcrRecord] = {}

    def keep(record: OcrRecord, _: Usage) -> None:
        found[record.poster_id] = record

    asked = read_with_service(tasks, engine, limits=limits, keep=keep)
    for task in tasks:
        yield found.get(task.poster.poster_id) or make_record(engine, task, reason=asked.stopped)


def _in_order(tasks: Sequence[Task], records: Iterator[OcrRecord]) -> Iterator[OcrRecord]:
    early: dict[str, OcrRecord] = {}
    for task in tasks:
        while task.poster.poster_id not in early:
            record = next(records)
            early[record.poster_id] = record
        yield early.pop(task.poster.poster_id)


def _from_now_on(records: Iterator[OcrRecord]) -> Iterator[OcrRecord]:
    """The same records, taken in a thread from now on and not only when somebody asks for the next."""
    taken: queue.SimpleQueue[OcrRecord | BaseException] = queue.SimpleQueue()

    def take() -> None:
        try:
            for record in records:
                taken.put(record)
        except BaseException as error:  # raised again where the records are wanted
            taken.put(error)

    threading.Thread(target=take, daemon=True).start()

    def give() -> Iterator[OcrRecord]:
        while True:
            record = taken.get()
            if isinstance(record, BaseException):
                raise record
            yield record

    return give()
