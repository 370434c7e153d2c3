"""Posters to records, in this process or in several that may die without taking the run along."""

import collections
import concurrent.futures
import datetime
import hashlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from posterfusion_jax.errors import InputError
from posterfusion_jax.images import UnreadableImage, decode_poster, read_bytes
from posterfusion_jax.ocr.bounds import MAX_REASON, cut_lines, describe_bounds
from posterfusion_jax.ocr.engines import Engine, RemoteEngine
from posterfusion_jax.ocr.record import OcrRecord
from posterfusion_jax.poster_folder import PosterFile

MAX_DEATHS_IN_A_ROW = 3
_DIED = "the process that read it died: out of memory, or a crash of the engine"


def available_cores() -> int:
    """The cores that this process may use, which on a shared machine are fewer than it has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Task(NamedTuple):
    """A poster to be read, for the `attempt`-th time."""

    poster: PosterFile
    sha256: str
    attempt: int


def read_task(engine: Engine, task: Task) -> OcrRecord:
    """Reads one poster. Whatever is wrong with it becomes a record with the status "error" and the reason."""
    started = time.monotonic()
    found: dict[str, Any] = {}
    try:
        data = read_bytes(task.poster.path)
        found["sha256"] = hashlib.sha256(data).hexdigest()  # the file may have changed since it was listed
        image = decode_poster(data)
        found["source_width"], found["source_height"] = image.size
        reading = engine.read(image)
        found["lines"], found["confidences"], found["boxes"] = reading.lines, reading.confidences, reading.boxes
        found["status"] = "ok" if reading.lines else "empty"
    except UnreadableImage as error:
        found["reason"] = f"unreadable image: {error}"
    except Exception as error:  # of the engine: it must not end a run over thousands of posters
        found["reason"] = f"{type(error).__name__}: {error}".removesuffix(": ")
    return make_record(engine, task, seconds=round(time.monotonic() - started, 3), **found)


def read_here(tasks: Iterable[Task], engine: Engine) -> Iterator[OcrRecord]:
    """Reads the posters one after another in this process."""
    for task in tasks:
        yield read_task(engine, task)


def read_in_processes(tasks: Iterable[Task], *, make_engine: Callable[[], Engine], workers: int) -> Iterator[OcrRecord]:
    """Reads the posters in `workers` processes and yields the records as they are finished, in any order.

    A process that dies (most often for lack of memory) breaks the pool and with it every poster in flight. These are
    read again one at a time. The poster that kills its process alone, too, gets an error record; if none does, there
    were too many processes at a time, and the run goes on with half as many.

    Args:
      make_engine: makes the engine inside a worker, and one here for its name if a poster killed its process; must be
        picklable.

    Raises:
      InputError: `make_engine` did (a missing package, say).
      InputError: `MAX_DEATHS_IN_A_ROW` posters in a row killed their process, so it is not the posters' fault.
    """
    waiting = collections.deque(tasks)
    deaths_in_a_row = 0
    while waiting:
        suspects: collections.deque[Task] = collections.deque()
        for record in _read_until_a_death(waiting, suspects, make_engine, workers=workers, ahead=workers):
            deaths_in_a_row = 0
            yield record
        too_many_workers = bool(suspects)
        while suspects:
            guilty: collections.deque[Task] = collections.deque()
            for record in _read_until_a_death(suspects, guilty, make_engine, workers=1, ahead=0):
                deaths_in_a_row = 0
                yield record
            for task in guilty:
                too_many_workers = False
                deaths_in_a_row += 1
                yield make_record(make_engine(), task, reason=_DIED)
            if deaths_in_a_row == MAX_DEATHS_IN_A_ROW:
                raise InputError(
                    f"The OCR worker process died on {deaths_in_a_row} posters in a row, at last on "
                    f"{str(guilty[0].poster.path)!r}. Free some memory and start the same command again, or see the "
                    "fault itself with --config.ocr.workers=1."
                )
        if too_many_workers and workers > 1:
            workers //= 2
            logging.warning("An OCR worker process died, probably for lack of memory; going on with %d.", workers)


def _read_until_a_death(
    waiting: collections.deque[Task],
    casualties: collections.deque[Task],
    make_engine: Callable[[], Engine],
    *,
    workers: int,
    ahead: int,
) -> Iterator[OcrRecord]:
    """Takes tasks from `waiting` and yields records. When a process dies, those in flight go to `casualties`.

    `ahead` tasks are handed to the pool beyond those being read, so that no worker waits for the next one.
    """
    in_flight: dict[concurrent.futures.Future[OcrRecord], Task] = {}
    pool = _make_pool(make_engine, workers)
    try:
        while waiting or in_flight:
            while waiting and len(in_flight) < workers + ahead:
                in_flight[pool.submit(_read_in_worker, waiting[0])] = waiting[0]
                waiting.popleft()
            finished, _ = concurrent.futures.wait(in_flight, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in finished:
                record = future.result()
                del in_flight[future]
                yield record
    except BrokenProcessPool:
        casualties.extend(in_flight.values())
    except KeyboardInterrupt:
        pool.shutdown(cancel_futures=True)
        yield from (future.result() for future in in_flight if not future.cancelled() and not future.exception())
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class EngineProcess:
    """An engine in one process of its own, which may die. Reads one poster at a time, whichever thread asks."""

    def __init__(self, make_engine: Callable[[], Engine]):
        """Starts nothing yet. `make_engine` makes the engine inside the process, and one here for its name."""
        self._make_engine = make_engine
        self._lock = threading.Lock()
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None
        self._deaths_in_a_row = 0

    def read(self, task: Task) -> OcrRecord:
        """`read_task` over there. A poster that kills its process twice gets an error record.

        Raises:
          InputError: `MAX_DEATHS_IN_A_ROW` posters in a row did.
        """
        with self._lock:
            for _ in range(2):
                self._pool = self._pool or _make_pool(self._make_engine, 1)
                try:
                    record = self._pool.submit(_read_in_worker, task).result()
                except BrokenProcessPool:
                    self._end()
                else:
                    self._deaths_in_a_row = 0
                    return record
            self._deaths_in_a_row += 1
            if self._deaths_in_a_row == MAX_DEATHS_IN_A_ROW:
                raise InputError(
                    f"The OCR process died on {self._deaths_in_a_row} posters in a row, at last on {str(task.poster.path)!r}. "
                    "Give the worker more memory, or fewer processes."
                )
            return make_record(self._make_engine(), task, reason=_DIED)

    def close(self) -> None:
        """Ends the process; another `read` would start a new one."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _make_pool(make_engine: Callable[[], Engine], workers: int) -> concurrent.futures.ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(make_engine,))


def make_record(engine: Engine | RemoteEngine, task: Task, **found: Any) -> OcrRecord:
    """The task's record, cut to the bounds of `ocr.bounds`; without a status among what was `found` an error's."""
    found = _bounded(found)
    fields = {
        "sha256": task.sha256,
        "status": "error",
        "text": "\n".join(found.get("lines", ())),
        "poster_id": task.poster.poster_id,
        "film_id": task.poster.film_id,
        "engine": engine.name,
        "engine_version": engine.version,
        "model_version": engine.model_version,
        "attempts": task.attempt,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    return OcrRecord(**(fields | found))


def _bounded(found: dict[str, Any]) -> dict[str, Any]:
    if found.get("reason"):
        found["reason"] = found["reason"][:MAX_REASON]
    lines = found.get("lines", ())
    kept = cut_lines(lines)
    if kept != tuple(lines):
        reason = f"cut after {describe_bounds()}"
        found["reason"] = f"{found['reason']}; {reason}" if found.get("reason") else reason
        found |= {name: tuple(found[name])[: len(kept)] for name in ("confidences", "boxes") if found.get(name)}
    return {**found, "lines": kept}


_worker_engine: Engine | InputError  # of this process, if it is a worker; or why it could not be made


def _start_worker(make_engine: Callable[[], Engine]) -> None:
    global _worker_engine
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent alone decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _worker_engine = make_engine()
    except InputError as error:  # raised here it would only break the pool
        _worker_engine = error


def _end_with_parent() -> None:
    """Ends this process when the parent is gone: one killed with -9 would leave its workers waiting for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _read_in_worker(task: Task) -> OcrRecord:
    if isinstance(_worker_engine, InputError):
        raise _worker_engine
    return read_task(_worker_engine, task)
