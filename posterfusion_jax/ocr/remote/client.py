"""Posters to records by a service: many requests at a time, inside its limits and the user's budget.

What a run must never do is lose an answer that was paid for or pay for one twice. So a record goes to the store the moment
its answer is there, Ctrl-C waits for the answers that are under way, and a poster that has a record is not asked about.
"""

import asyncio
import contextlib
import dataclasses
import hashlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from posterfusion_jax.ocr.engines.base import OcrResult, RemoteEngine, RequestRejected, ServiceBusy, ServiceExhausted, Usage
from posterfusion_jax.ocr.records.record import OcrRecord
from posterfusion_jax.ocr.remote.rate_limits import Budget, SlidingWindowLimiter
from posterfusion_jax.ocr.worker_pool import Task, make_record
from posterfusion_jax.posters.decode import UnreadableImage, read_bytes
from posterfusion_jax.utils.console import print_message

FAILURES_IN_A_ROW = 10  # posters; so many without an answer in between are the service's or the settings' fault
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries, doubled every time
_LONGEST_WISH = 600.0  # seconds of pause that a service may ask for; for more the run rather ends
_UNANSWERED = 20  # requests a worker that met nothing but wishes for a pause
_FIRST_GUESS = 2_000  # tokens of a request before there was any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """How fast and how long a service is asked; 0 is without a limit.

    Attributes:
      concurrency: requests under way at a time.
      requests_per_minute, tokens_per_minute: in any 60 seconds.
      tries: of one question, while the service is busy.
      budget: US dollars, never overspent (by the prices of the engine).
      max_requests: of this run.
    """

    concurrency: int = 16
    requests_per_minute: float = 0
    tokens_per_minute: float = 0
    tries: int = 6
    budget: float = 0.0
    max_requests: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceRun:
    """How a run ended: what it cost, and why it stopped before its last poster (None: it did not)."""

    spent: Usage
    requests: int
    stopped: str | None


def read_with_service(
    tasks: Iterable[Task],
    engine: RemoteEngine,
    *,
    limits: Limits,
    keep: Callable[[OcrRecord, Usage], None],
) -> ServiceRun:
    """Reads the posters; a record for each, unless the run had to stop.

    A poster whose image is broken, or that the service refuses, gets an error record. So does one that found the service
    busy `limits.tries` times, if the service answered for others: after `FAILURES_IN_A_ROW` posters without one answer
    the run stops and leaves them unread.

    Args:
      keep: called with each record as soon as its answer is there, and with what the run has spent by then; in this thread.

    Returns:
      What the run cost and why it stopped early: quota or budget used up, or a service that does not answer.

    Raises:
      InputError: the service will not answer this user at all (a wrong key, an unknown model).
      KeyboardInterrupt: after Ctrl-C, when the answers under way are kept. A second Ctrl-C drops them.
    """
    return asyncio.run(_Run(engine, limits, keep).ask_all(iter(tasks)))


class _Run:
    """What the workers of one run share."""

    def __init__(self, engine: RemoteEngine, limits: Limits, keep: Callable[[OcrRecord, Usage], None]):
        self._engine, self._limits, self._keep = engine, limits, keep
        self._requests = SlidingWindowLimiter(limits.requests_per_minute, sleep=self._sleep)
        self._tokens = SlidingWindowLimiter(limits.tokens_per_minute, sleep=self._sleep)
        self._budget = Budget(usd=limits.budget, requests=limits.max_requests, sleep=self._sleep)
        self._quiet_until = 0.0  # the service asked for it
        self._asking = 0  # requests under way
        self._unanswered = 0  # requests since the last answer
        self._doubtful: list[OcrRecord] = []  # failures that may be the service's; kept once it is seen to answer
        self._stop = asyncio.Event()
        self._why: BaseException | None = None

    async def ask_all(self, tasks: Iterator[Task]) -> ServiceRun:
        workers = [asyncio.create_task(self._work(tasks)) for _ in range(self._limits.concurrency)]
        with _at_ctrl_c(lambda: self._interrupt(workers)):
            try:
                await asyncio.gather(*workers)
            except asyncio.CancelledError:
                if self._why is None:
                    raise
            finally:
                await self._engine.close()
        if self._why is None:
            self._keep_doubtful()
        elif not isinstance(self._why, ServiceExhausted):
            raise self._why
        stopped = None if self._why is None else str(self._why)
        return ServiceRun(spent=self._budget.spent, requests=self._budget.requests, stopped=stopped)

    async def _work(self, tasks: Iterator[Task]) -> None:
        try:
            for task in tasks:
                await self._read(task)
                if self._stop.is_set():
                    return
        except Exception as why:  # even then the others finish what is under way
            self._end(why)

    async def _read(self, task: Task) -> None:
        """One poster, with as many requests as it takes."""
        started = time.monotonic()
        found: dict[str, Any] = {}
        spent, last = Usage(answers=0), None
        try:
            try:
                data = await asyncio.to_thread(read_bytes, task.poster.path)
                found["sha256"] = hashlib.sha256(data).hexdigest()  # the file may have changed since it was listed
                image = await asyncio.to_thread(self._engine.prepare, data)
            except UnreadableImage as error:
                self._keep(make_record(self._engine, task, reason=f"unreadable image: {error}", **found), self._budget.spent)
                return
            found["prompt_version"] = self._engine.prompt_version
            for rung in range(self._engine.fallback_levels):
                last = await self._answer(image, rung)
                spent += last.usage or Usage()
                if last.status not in self._engine.fallback_statuses:
                    break
        except (ServiceBusy, RequestRejected) as error:
            if last is None:
                seconds = round(time.monotonic() - started, 3)
                self._doubt(make_record(self._engine, task, reason=str(error), seconds=seconds, **found))
        finally:
            if last is not None:  # whatever happened after it, this answer is paid for
                found |= fields_of(last, spent)
                record = make_record(self._engine, task, seconds=round(time.monotonic() - started, 3), **found)
                self._keep(record, self._budget.spent)

    async def _answer(self, image: Any, rung: int) -> OcrResult:
        """The answer to one question, asked as often as the service is busy."""
        tries = 0
        while True:
            try:
                reading = await self._ask(image, rung)
            except ServiceBusy as busy:
                if busy.wait is None:
                    tries += 1
                    if tries >= self._limits.tries:
                        raise ServiceBusy(f"{busy} (asked {tries} times)") from None
                    await self._sleep(_backoff(tries))
                else:
                    self._be_quiet(busy)
                continue
            self._unanswered = 0
            self._keep_doubtful()
            return reading

    async def _ask(self, image: Any, rung: int) -> OcrResult:
        """One request, when limits and budget allow it."""
        worst_case = self._engine.worst_case
        await self._budget.reserve(worst_case)
        used, entry = None, None
        try:
            await self._requests.take(1)
            entry = await self._tokens.take(self._expected_tokens())
            while (wait := self._quiet_until - time.monotonic()) > 0:
                await self._sleep(wait + random.uniform(0, min(wait, 1)))
            if self._stop.is_set():
                raise ServiceExhausted
            self._asking += 1
            self._unanswered += 1
            try:
                reading = await self._engine.ask(image, rung=rung)
            finally:
                self._asking -= 1
            used = reading.usage or Usage()
            return reading
        finally:
            self._budget.settle(worst_case, used)
            if entry is not None:
                self._tokens.settle(entry, used.input_tokens + used.output_tokens if used else 0)

    def _expected_tokens(self) -> float:
        spent = self._budget.spent
        return (spent.input_tokens + spent.output_tokens) / spent.answers if spent.answers else _FIRST_GUESS

    def _be_quiet(self, busy: ServiceBusy) -> None:
        """The service wants no request for a while: nobody asks."""
        assert busy.wait is not None
        if busy.wait > _LONGEST_WISH:
            raise ServiceExhausted(f"the service wants a pause of {busy.wait:.0f} seconds ({busy})")
        if self._unanswered > _UNANSWERED * self._limits.concurrency:
            raise ServiceExhausted(f"the service keeps asking for pauses and answers nothing ({busy})")
        self._quiet_until = max(self._quiet_until, time.monotonic() + busy.wait)

    def _doubt(self, record: OcrRecord) -> None:
        self._doubtful.append(record)
        if len(self._doubtful) >= FAILURES_IN_A_ROW:
            raise ServiceExhausted(f"{len(self._doubtful)} posters in a row had no answer, at last: {record.reason}")

    def _keep_doubtful(self) -> None:
        while self._doubtful:
            self._keep(self._doubtful.pop(0), self._budget.spent)

    async def _sleep(self, seconds: float) -> None:
        """Sleeps, unless the run stops."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        raise ServiceExhausted

    def _end(self, why: BaseException) -> None:
        """No new request; the first reason counts, unless a later one is graver."""
        if not self._stop.is_set() or not isinstance(why, ServiceExhausted):
            self._why = why
        self._stop.set()

    def _interrupt(self, workers: Sequence[asyncio.Task]) -> None:
        if isinstance(self._why, KeyboardInterrupt):
            for worker in workers:
                worker.cancel()
            return
        self._end(KeyboardInterrupt())
        self._why = KeyboardInterrupt()
        if self._asking:
            print_message(
                f"\nwaiting for the {self._asking} answers under way, which are paid for; Ctrl-C again drops them", error=True
            )


def fields_of(reading: OcrResult, spent: Usage) -> dict[str, Any]:
    """Of the record, what the answer says."""
    fields: dict[str, Any] = {
        "status": reading.status or ("ok" if reading.lines else "empty"),
        "lines": reading.lines,
        "confidences": reading.confidences,
        "boxes": reading.boxes,
        "language": reading.language,
        "reason": reading.reason,
        "usage": dataclasses.asdict(spent),
    }
    return fields | ({"model_version": reading.model_version} if reading.model_version else {})


def _backoff(tries: int) -> float:
    """Seconds to wait after so many tries: doubled each time, and of random length, lest all come back together."""
    return random.uniform(0.5, 1) * min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE)


@contextlib.contextmanager
def _at_ctrl_c(do: Callable[[], None]) -> Iterator[None]:
    """Calls `do` where Ctrl-C would raise KeyboardInterrupt; in another thread than the main one it changes nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, do)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
