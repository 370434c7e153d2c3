"""Read posters in one of four ways: in this process, in several, by requests to a service, or in its batch jobs."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from posterfusion_jax.ocr.engines.base import Engine, EngineChoice, RemoteEngine, Usage
from posterfusion_jax.ocr.engines.gemini import GeminiEngine
from posterfusion_jax.ocr.options import ReadOptions
from posterfusion_jax.ocr.plan import attempt_count
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.records.store import RecordWriter
from posterfusion_jax.ocr.remote.client import Limits, RunEnd, read_with_service
from posterfusion_jax.ocr.remote.gemini_batch import BatchOptions, batch_jobs_path, read_in_batches
from posterfusion_jax.ocr.task import Task
from posterfusion_jax.ocr.worker_pool import available_cores, read_in_processes, read_serially

SaveRecord = Callable[[OcrRecord, Usage | None], None]  # a record, and the cost of the run so far on a service


class Reader(Protocol):
    """Read posters and save their records."""

    def read(self, tasks: Sequence[Task], save_record: SaveRecord) -> RunEnd:
        """Read the posters and save each record as soon as it is there; return how the run ended."""
        ...


def make_reader(engine: EngineChoice, options: ReadOptions, store: RecordWriter, *, posters: int) -> Reader:
    """Return the reader that the engine and the options need.

    The engine is made once in this process even if only workers read, so that a wrong option or a missing package is reported
    before reading.

    Args:
      engine: to read with.
      options: the number of processes, the limits of requests, or the batches.
      store: the record file; batch jobs are stored next to it.
      posters: the number of posters to read.

    Raises:
      InputError: an option is not allowed, or the engine is not installed.
    """
    cores = available_cores()
    workers = 1 if engine.is_remote else min(options.workers or cores, posters)
    make = engine.maker(threads=cores if workers == 1 else 1)
    made = make()
    if options.batch is not None:
        return BatchReader(made, options.batch, store)
    if engine.is_remote:
        return ServiceReader(made, options.limits)
    return LocalReader(made) if workers == 1 else PoolReader(make, workers)


@dataclasses.dataclass(frozen=True)
class LocalReader:
    """Read in this process."""

    engine: Engine

    def read(self, tasks: Sequence[Task], save_record: SaveRecord) -> RunEnd:
        """Read one poster after another."""
        for record in read_serially(tasks, self.engine):
            save_record(record, None)
        return RunEnd()


@dataclasses.dataclass(frozen=True)
class PoolReader:
    """Read in `workers` processes, each with an engine of its own."""

    make_engine: Callable[[], Engine]
    workers: int

    def read(self, tasks: Sequence[Task], save_record: SaveRecord) -> RunEnd:
        """Read in any order; see `read_in_processes` for deaths of a process and errors."""
        for record in read_in_processes(tasks, make_engine=self.make_engine, workers=self.workers):
            save_record(record, None)
        return RunEnd()


@dataclasses.dataclass(frozen=True)
class ServiceReader:
    """Read by concurrent requests to a service."""

    engine: RemoteEngine
    limits: Limits

    def read(self, tasks: Sequence[Task], save_record: SaveRecord) -> RunEnd:
        """Read until the last poster or until a limit; see `read_with_service` for errors."""
        return read_with_service(tasks, self.engine, limits=self.limits, save_record=save_record)


@dataclasses.dataclass(frozen=True)
class BatchReader:
    """Read by the batch jobs of Gemini, which are stored next to the record file."""

    engine: GeminiEngine
    options: BatchOptions
    store: RecordWriter

    def read(self, tasks: Sequence[Task], save_record: SaveRecord) -> RunEnd:
        """Collect the finished jobs and submit the other posters; see `read_in_batches` for errors."""
        return read_in_batches(
            tasks,
            self.engine,
            batch_jobs_path(self.store.path),
            options=self.options,
            is_known=self._is_known,
            save_record=save_record,
        )

    def _is_known(self, task: Task) -> bool:
        return attempt_count(self.store, task.sha256, self.engine.name) >= task.attempt
