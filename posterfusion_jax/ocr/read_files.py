"""Read poster files into records without a store, for prediction."""

import pathlib
import queue
import threading
from collections.abc import Iterator, Sequence

from posterfusion_jax.ocr.engines.base import EngineChoice, NoEngine, RemoteEngine, Usage
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.remote.client import Limits, read_with_service
from posterfusion_jax.ocr.task import Task, make_record
from posterfusion_jax.ocr.worker_pool import EngineProcess, available_cores, read_in_processes
from posterfusion_jax.posters.folder import PosterFile

_FEW_FILES = 8  # that one OCR process reads in the time in which several would start


def read_files(files: Sequence[pathlib.Path], engine: EngineChoice, *, workers: int, limits: Limits) -> Iterator[OcrRecord]:
    """Return one record per file, in order.

    A file that cannot be read, or got no answer, has a record with the status "error". A local engine runs in separate
    processes, which start with this call: loading its models takes as long as loading those of the prediction. A remote service
    gets the requests for all files when the first record is taken.

    Args:
      files: posters of any name.
      engine: to read with.
      workers: processes; 0: one per core, but at most one per file. A single one leaves a core to the prediction.
      limits: of the requests to a service.

    Raises:
      InputError: with the first record, if the engine is not installed, or the service rejects every request (a wrong key).
    """
    tasks = _list_tasks(files)
    if engine.name == NoEngine.name:
        return iter([make_record(NoEngine(), task, status="empty") for task in tasks])
    if engine.is_remote:
        return _read_remote(tasks, engine.load(threads=1), limits)
    cores = available_cores()
    workers = min(workers or cores, len(tasks))
    make = engine.maker(threads=max((cores - 1) // workers, 1))
    return _restore_order(tasks, _read_ahead(read_in_processes(tasks, make_engine=make, workers=workers)))


class FileReader:
    """Read files for a model that stays in memory: few in one process that is kept, many as `read_files` does."""

    def __init__(self, engine: EngineChoice, *, workers: int, limits: Limits):
        """Start nothing; the arguments are those of `read_files`."""
        self._engine, self._workers, self._limits = engine, workers, limits
        self._kept: EngineProcess | None = None

    def __call__(self, files: Sequence[pathlib.Path]) -> Iterator[OcrRecord]:
        """Return the records of the files, in order. Raises InputError where the engine cannot be used."""
        if len(files) > _FEW_FILES or self._engine.is_remote or self._engine.name == NoEngine.name:
            return read_files(files, self._engine, workers=self._workers, limits=self._limits)
        if self._kept is None:
            self._kept = EngineProcess(self._engine.maker(threads=available_cores()))
        return map(self._kept.read, _list_tasks(files))


def _list_tasks(files: Sequence[pathlib.Path]) -> list[Task]:
    return [Task(PosterFile(str(number), "", str(file)), str(number), 1) for number, file in enumerate(files)]


def _read_remote(tasks: Sequence[Task], engine: RemoteEngine, limits: Limits) -> Iterator[OcrRecord]:
    found: dict[str, OcrRecord] = {}

    def save_record(record: OcrRecord, _: Usage | None) -> None:
        found[record.poster_id] = record

    end = read_with_service(tasks, engine, limits=limits, save_record=save_record)
    for task in tasks:
        yield found.get(task.poster.poster_id) or make_record(engine, task, reason=end.stopped)


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
