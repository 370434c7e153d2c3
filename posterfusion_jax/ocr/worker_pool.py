"""Posters to records, in this process or in several that may die without taking the run along."""

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
from posterfusion_jax.ocr.task import EngineLabels, Task, make_record, read_task
from posterfusion_jax.ocr.worker_process import WorkerDied, WorkerProcess, pack_maker

MAX_DEATHS_IN_A_ROW = 3
_DIED = "the process that read it died: out of memory, or a crash of the engine"


def available_cores() -> int:
    """The cores that this process may use, which on a shared machine are fewer than it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_serially(tasks: Iterable[Task], engine: Engine) -> Iterator[OcrRecord]:
    """Reads the posters one after another in this process."""
    for task in tasks:
        yield read_task(engine, task)


class _Casualty(NamedTuple):
    """A poster whose process died, and the labels of its engine."""

    task: Task
    engine: EngineLabels


def read_in_processes(tasks: Iterable[Task], *, make_engine: Callable[[], Engine], workers: int) -> Iterator[OcrRecord]:
    """Reads the posters in `workers` processes and yields the records as they are finished, in any order.

    The posters whose processes die (most often for lack of memory) are read again one at a time, each in a process of its
    own. The poster that kills its process alone, too, gets an error record; if none does, there were too many processes at a
    time, and the run continues with half as many.

    Args:
      make_engine: makes the engine inside a worker; must be picklable, and not part of the main program, which workers do
        not load.

    Raises:
      InputError: `make_engine` did (a missing package, say), or a worker ended before it was ready.
      InputError: `MAX_DEATHS_IN_A_ROW` posters in a row killed their process, so it is not the posters' fault.
      WorkerError: `make_engine` raised another exception.
    """
    waiting = collections.deque(tasks)
    maker = pack_maker(make_engine)
    deaths_in_a_row = 0
    while waiting:
        suspects: list[_Casualty] = []
        for record in _read_until_crash(waiting, suspects, maker, workers=workers):
            deaths_in_a_row = 0
            yield record
        too_many_workers = bool(suspects)
        for suspect in suspects:
            guilty: list[_Casualty] = []
            for record in _read_until_crash(collections.deque([suspect.task]), guilty, maker, workers=1):
                deaths_in_a_row = 0
                yield record
            for task, engine in guilty:
                too_many_workers = False
                deaths_in_a_row += 1
                yield make_record(engine, task, reason=_DIED)
            if deaths_in_a_row == MAX_DEATHS_IN_A_ROW:
                raise InputError(
                    f"The OCR worker process died on {deaths_in_a_row} posters in a row, at last on "
                    f"{str(suspect.task.poster.path)!r}. Free some memory and start the same command again, or see the "
                    "fault itself with --config.ocr.workers=1."
                )
        if too_many_workers and workers > 1:
            workers //= 2
            logging.warning("An OCR worker process died, probably for lack of memory; going on with %d.", workers)


def _read_until_crash(
    waiting: collections.deque[Task], casualties: list[_Casualty], maker: bytes, *, workers: int
) -> Iterator[OcrRecord]:
    """Takes tasks from `waiting` and yields records. After a death, which is noted in `casualties`, it takes no more."""
    processes: list[WorkerProcess] = []
    try:
        for _ in range(min(workers, len(waiting))):
            processes.append(WorkerProcess(maker))
        yield from _share_out(waiting, casualties, processes)
    except KeyboardInterrupt:  # what is under way is finished
        yield from _share_out(collections.deque(), [], [process for process in processes if process.task is not None])
        raise
    finally:
        for process in processes:
            process.stop()
        for process in processes:
            process.close()


def _share_out(
    waiting: collections.deque[Task], casualties: list[_Casualty], processes: Sequence[WorkerProcess]
) -> Iterator[OcrRecord]:
    """Gives each process a task whenever it has none, and yields the records, until no process has one.

    Processes that become ready when there is nothing left to read are not waited for.
    """
    busy = {process.link: process for process in processes}
    while busy and ((waiting and not casualties) or any(process.task for process in busy.values())):
        for link in connection.wait(list(busy)):
            process = busy[link]  # pyright: ignore[reportArgumentType] (it is one of those given)
            try:
                record = process.receive()
            except WorkerDied as death:
                assert process.task is not None
                casualties.append(_Casualty(process.task, death.engine))
                del busy[process.link]
                continue
            if waiting and not casualties:
                process.send(waiting.popleft())
            else:
                del busy[process.link]
            if record is not None:
                yield record


class EngineProcess:
    """An engine in one process of its own, which may die. Reads one poster at a time, whichever thread asks."""

    def __init__(self, make_engine: Callable[[], Engine]):
        """Starts nothing yet. `make_engine` makes the engine inside the process; as in `read_in_processes`."""
        self._make_engine = make_engine
        self._lock = threading.Lock()
        self._process: WorkerProcess | None = None
        self._deaths_in_a_row = 0

    def read(self, task: Task) -> OcrRecord:
        """`read_task` over there. A poster that kills its process twice gets an error record.

        Raises:
          InputError: `MAX_DEATHS_IN_A_ROW` posters in a row did, or the process ended before it was ready.
          WorkerError: `make_engine` raised an exception.
        """
        with self._lock:
            engine: EngineLabels | None = None
            for _ in range(2):
                try:
                    record = self._read(task)
                except WorkerDied as death:
                    engine = death.engine
                    self._end()
                except BaseException:
                    self._end()
                    raise
                else:
                    self._deaths_in_a_row = 0
                    return record
            assert engine is not None
            self._deaths_in_a_row += 1
            if self._deaths_in_a_row == MAX_DEATHS_IN_A_ROW:
                raise InputError(
                    f"The OCR process died on {self._deaths_in_a_row} posters in a row, at last on {str(task.poster.path)!r}. "
                    "Give the worker more memory, or fewer processes."
                )
            return make_record(engine, task, reason=_DIED)

    def close(self) -> None:
        """Ends the process; another `read` would start a new one."""
        with self._lock:
            self._end()

    def _read(self, task: Task) -> OcrRecord:
        if self._process is None:
            self._process = WorkerProcess(pack_maker(self._make_engine))
            self._process.receive()
        self._process.send(task)
        record = self._process.receive()
        assert record is not None
        return record

    def _end(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process.close()
            self._process = None
