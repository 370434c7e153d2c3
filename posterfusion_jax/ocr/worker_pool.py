"""Read posters into records, in this process or in several; a worker that dies does not end the run."""

import collections
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import connection
from typing import NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.ocr.engines.base import Engine
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.task import EngineLabels, Task, make_record, run_engine
from posterfusion_jax.ocr.worker_process import WorkerDied, WorkerProcess, pack_maker

MAX_DEATHS_IN_A_ROW = 3
_DIED = "the process that read it died: out of memory, or a crash of the engine"


def available_cores() -> int:
    """Return the number of cores that this process may use, which on a shared machine is less than the total."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_serially(tasks: Iterable[Task], engine: Engine) -> Iterator[OcrRecord]:
    """Read the posters one after another in this process."""
    for task in tasks:
        yield run_engine(engine, task)


class _CrashedTask(NamedTuple):
    """Hold a poster whose process died, and the labels of its engine."""

    task: Task
    engine: EngineLabels


def read_in_processes(tasks: Iterable[Task], *, make_engine: Callable[[], Engine], workers: int) -> Iterator[OcrRecord]:
    """Read the posters in `workers` processes and yield the records as they are finished, in any order.

    The posters whose processes die (most often for lack of memory) are read again one at a time, each in a separate process. A
    poster that kills that process as well gets an error record; if none does, too many processes were running, and the run
    continues with half as many.

    Args:
      tasks: the posters.
      make_engine: makes the engine inside a worker; must be picklable, and not part of the main program, which workers do
        not load.
      workers: the number of processes.

    Raises:
      InputError: `make_engine` did (a missing package, for instance), or a worker ended before it was ready.
      InputError: `MAX_DEATHS_IN_A_ROW` consecutive posters killed their process, so the posters are not the cause.
      WorkerError: `make_engine` raised another exception.
    """
    pending = collections.deque(tasks)
    maker = pack_maker(make_engine)
    consecutive_deaths = 0
    while pending:
        suspects: list[_CrashedTask] = []
        for record in _read_until_crash(pending, suspects, maker, workers=workers):
            consecutive_deaths = 0
            yield record
        too_many_workers = bool(suspects)
        for suspect in suspects:
            crashed_again: list[_CrashedTask] = []
            for record in _read_until_crash(collections.deque([suspect.task]), crashed_again, maker, workers=1):
                consecutive_deaths = 0
                yield record
            for task, engine in crashed_again:
                too_many_workers = False
                consecutive_deaths += 1
                yield make_record(engine, task, reason=_DIED)
            if consecutive_deaths == MAX_DEATHS_IN_A_ROW:
                raise InputError(
                    f"The OCR worker process died on {consecutive_deaths} posters in a row, most recently on "
                    f"{str(suspect.task.poster.path)!r}. Free some memory and start the same command again, or get the "
                    "error itself with --config.ocr.workers=1."
                )
        if too_many_workers and workers > 1:
            workers //= 2
            logging.warning("An OCR worker process died, probably for lack of memory; continuing with %d.", workers)


def _read_until_crash(
    pending: collections.deque[Task], crashed: list[_CrashedTask], maker: bytes, *, workers: int
) -> Iterator[OcrRecord]:
    """Take tasks from `pending` and yield records.

    After a death, which is added to `crashed`, it takes no more tasks.
    """
    processes: list[WorkerProcess] = []
    try:
        for _ in range(min(workers, len(pending))):
            processes.append(WorkerProcess(maker))
        yield from _distribute_tasks(pending, crashed, processes)
    except KeyboardInterrupt:  # tasks in progress are finished
        yield from _distribute_tasks(collections.deque(), [], [process for process in processes if process.task is not None])
        raise
    finally:
        for process in processes:
            process.stop()
        for process in processes:
            process.close()


def _distribute_tasks(
    pending: collections.deque[Task], crashed: list[_CrashedTask], processes: Sequence[WorkerProcess]
) -> Iterator[OcrRecord]:
    """Give each idle process a task and yield the records, until no process has one.

    Processes that become ready when there is nothing left to read are not waited for.
    """
    busy = {process.link: process for process in processes}
    while busy and ((pending and not crashed) or any(process.task for process in busy.values())):
        for link in connection.wait(list(busy)):
            process = busy[link]  # pyright: ignore[reportArgumentType] (`wait` returns only links that it was given)
            try:
                record = process.receive()
            except WorkerDied as death:
                assert process.task is not None
                crashed.append(_CrashedTask(process.task, death.engine))
                del busy[process.link]
                continue
            if pending and not crashed:
                process.send(pending.popleft())
            else:
                del busy[process.link]
            if record is not None:
                yield record


class EngineProcess:
    """Run an engine in one separate process, which may die. It reads one poster at a time, for any number of threads."""

    def __init__(self, make_engine: Callable[[], Engine]):
        """Prepare the process without starting it.

        Args:
          make_engine: makes the engine inside the process; as in `read_in_processes`.
        """
        self._make_engine = make_engine
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._consecutive_deaths = 0

    def read(self, task: Task) -> OcrRecord:
        """Call `run_engine` in the process. A poster that kills its process twice gets an error record.

        Raises:
          InputError: `MAX_DEATHS_IN_A_ROW` consecutive posters did, or the process ended before it was ready.
          WorkerError: `make_engine` raised an exception.
        """
        with self._lock:
            engine: EngineLabels | None = None
            for _ in range(2):
                try:
                    record = self._read(task)
                except WorkerDied as death:
                    engine = death.engine
                    self._stop_process()
                except BaseException:
                    self._stop_process()
                    raise
                else:
                    self._consecutive_deaths = 0
                    return record
            assert engine is not None
            self._consecutive_deaths += 1
            if self._consecutive_deaths == MAX_DEATHS_IN_A_ROW:
                raise InputError(
                    f"The OCR process died on {self._consecutive_deaths} posters in a row, most recently on "
                    f"{str(task.poster.path)!r}. Give the worker more memory, or fewer processes."
                )
            return make_record(engine, task, reason=_DIED)

    def close(self) -> None:
        """End the process; another `read` would start a new one."""
        with self._lock:
            self._stop_process()

    def _read(self, task: Task) -> OcrRecord:
        if self._process is None:
            self._process = WorkerProcess(pack_maker(self._make_engine))
            self._process.receive()
        self._process.send(task)
        record = self._process.receive()
        assert record is not None
        return record

    def _stop_process(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process.close()
            self._process = None
