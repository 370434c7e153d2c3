"""Read posters with a service: many concurrent requests, within its limits and the user's budget.

A run must never lose an answer that was paid for or pay for one twice. So a record is stored as soon as its answer arrives,
Ctrl-C waits for the answers in progress, and no request is made for a poster that has a record.
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
from posterfusion_jax.ocr.task import Task, make_record
from posterfusion_jax.posters.decode import UnreadableImage, read_bytes
from posterfusion_jax.utils.console import print_message

FAILURES_IN_A_ROW = 10  # posters; as many without an answer in between are caused by the service or the settings
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between two tries, doubled every time
_LONGEST_SERVICE_PAUSE = 600.0  # seconds of pause that a service may request; for a longer one the run stops
_UNANSWERED = 20  # requests per worker that were answered only by requests for a pause
_FIRST_GUESS = 2_000  # expected tokens of the first request


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Limit the rate and the number of requests to a service; 0 is no limit.

    Attributes:
      concurrency: concurrent requests.
      requests_per_minute: in any 60 seconds.
      tokens_per_minute: in any 60 seconds.
      tries: of one request, while the service is busy.
      budget: US dollars, never exceeded (by the prices of the engine).
      max_requests: of this run.
    """

    concurrency: int = 16
    requests_per_minute: float = 0
    tokens_per_minute: float = 0
    tries: int = 6
    budget: float = 0.0
    max_requests: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunEnd:
    """Describe the end of a run.

    Attributes:
      spent: on the service; None: the engine computes here.
      stopped: why it ended before its last poster; None: it did not.
      under_way: posters in batch jobs that are not collected yet.
      notes: faults other than of single posters, in words.
    """

    spent: Usage | None = None
    stopped: str | None = None
    under_way: int = 0
    notes: tuple[str, ...] = ()


def read_with_service(
    tasks: Iterable[Task],
    engine: RemoteEngine,
    *,
    limits: Limits,
    save_record: Callable[[OcrRecord, Usage], None],
) -> RunEnd:
    """Read the posters; each gets a record, unless the run had to stop.

    A poster whose image is broken, or that the service rejects, gets an error record. So does one for which the service was
    busy `limits.tries` times, if the service answered for others: after `FAILURES_IN_A_ROW` posters without one answer
    the run stops and leaves them unread.

    Args:
      tasks: the posters.
      engine: makes the requests.
      limits: of the requests.
      save_record: called with each record as soon as its answer arrives, and with the cost of the run so far; in this thread.

    Returns:
      The cost of the run and why it stopped early: quota or budget used up, or a service that does not answer.

    Raises:
      InputError: the service will not answer this user at all (a wrong key, an unknown model).
      KeyboardInterrupt: after Ctrl-C, when the answers in progress are saved. A second Ctrl-C drops them.
    """
    return asyncio.run(_Run(engine, limits, save_record).read_all(iter(tasks)))


class _Run:
    """Hold the state that the workers of one run share."""

    def __init__(self, engine: RemoteEngine, limits: Limits, save_record: Callable[[OcrRecord, Usage], None]):
        self._engine, self._limits, self._save_record = engine, limits, save_record
        self._requests = SlidingWindowLimiter(limits.requests_per_minute, sleep=self._sleep)
        self._tokens = SlidingWindowLimiter(limits.tokens_per_minute, sleep=self._sleep)
        self._budget = Budget(usd=limits.budget, requests=limits.max_requests, sleep=self._sleep)
        self._paused_until = 0.0  # no requests before this time, as the service requested
        self._in_flight = 0  # requests in progress
        self._unanswered = 0  # requests since the last answer
        self._deferred: list[OcrRecord] = []  # failures that the service may have caused; saved as soon as it answers
        self._stop_event = asyncio.Event()
        self._stop_reason: BaseException | None = None

    async def read_all(self, tasks: Iterator[Task]) -> RunEnd:
        workers = [asyncio.create_task(self._run_worker(tasks)) for _ in range(self._limits.concurrency)]
        with _on_ctrl_c(lambda: self._interrupt(workers)):
            try:
                await asyncio.gather(*workers)
            except asyncio.CancelledError:
                if self._stop_reason is None:
                    raise
            finally:
                await self._engine.close()
        if self._stop_reason is None:
            self._save_deferred()
        elif not isinstance(self._stop_reason, ServiceExhausted):
            raise self._stop_reason
        stopped = None if self._stop_reason is None else str(self._stop_reason)
        return RunEnd(spent=self._budget.spent, stopped=stopped)

    async def _run_worker(self, tasks: Iterator[Task]) -> None:
        try:
            for task in tasks:
                await self._read(task)
                if self._stop_event.is_set():
                    return
        except Exception as reason:  # the other workers finish their requests all the same
            self._stop_run(reason)

    async def _read(self, task: Task) -> None:
        """Read one poster, with as many requests as necessary."""
        started = time.monotonic()
        found: dict[str, Any] = {}
        spent, last = Usage(answers=0), None
        try:
            try:
                data = await asyncio.to_thread(read_bytes, task.poster.path)
                found["sha256"] = hashlib.sha256(data).hexdigest()  # the file may have changed since it was listed
                image = await asyncio.to_thread(self._engine.prepare, data)
            except UnreadableImage as error:
                self._save_record(
                    make_record(self._engine, task, reason=f"unreadable image: {error}", **found), self._budget.spent
                )
                return
            found["prompt_version"] = self._engine.prompt_version
            for level in range(self._engine.fallback_levels):
                last = await self._request_with_retries(image, level)
                spent += last.usage or Usage()
                if last.status not in self._engine.fallback_statuses:
                    break
        except (ServiceBusy, RequestRejected) as error:
            if last is None:
                seconds = round(time.monotonic() - started, 3)
                self._defer_failure(make_record(self._engine, task, reason=str(error), seconds=seconds, **found))
        finally:
            if last is not None:  # this answer is paid for, whether or not a later request failed
                found |= record_fields(last, spent)
                record = make_record(self._engine, task, seconds=round(time.monotonic() - started, 3), **found)
                self._save_record(record, self._budget.spent)

    async def _request_with_retries(self, image: Any, level: int) -> OcrResult:
        """Return the answer to one request, repeated while the service is busy."""
        tries = 0
        while True:
            try:
                result = await self._request(image, level)
            except ServiceBusy as busy:
                if busy.wait is None:
                    tries += 1
                    if tries >= self._limits.tries:
                        raise ServiceBusy(f"{busy} ({tries} tries)") from None
                    await self._sleep(_backoff(tries))
                else:
                    self._pause(busy)
                continue
            self._unanswered = 0
            self._save_deferred()
            return result

    async def _request(self, image: Any, level: int) -> OcrResult:
        """Make one request, when limits and budget allow it."""
        worst_case = self._engine.worst_case
        await self._budget.reserve(worst_case)
        used, entry = None, None
        try:
            await self._requests.take(1)
            entry = await self._tokens.take(self._expected_tokens())
            while (wait := self._paused_until - time.monotonic()) > 0:
                await self._sleep(wait + random.uniform(0, min(wait, 1)))
            if self._stop_event.is_set():
                raise ServiceExhausted
            self._in_flight += 1
            self._unanswered += 1
            try:
                result = await self._engine.request(image, level=level)
            finally:
                self._in_flight -= 1
            used = result.usage or Usage()
            return result
        finally:
            self._budget.settle(worst_case, used)
            if entry is not None:
                self._tokens.settle(entry, used.input_tokens + used.output_tokens if used else 0)

    def _expected_tokens(self) -> float:
        spent = self._budget.spent
        return (spent.input_tokens + spent.output_tokens) / spent.answers if spent.answers else _FIRST_GUESS

    def _pause(self, busy: ServiceBusy) -> None:
        """Stop all requests for the time that the service wants."""
        assert busy.wait is not None
        if busy.wait > _LONGEST_SERVICE_PAUSE:
            raise ServiceExhausted(f"the service requests a pause of {busy.wait:.0f} seconds ({busy})")
        if self._unanswered > _UNANSWERED * self._limits.concurrency:
            raise ServiceExhausted(f"the service only requests pauses and does not answer ({busy})")
        self._paused_until = max(self._paused_until, time.monotonic() + busy.wait)

    def _defer_failure(self, record: OcrRecord) -> None:
        self._deferred.append(record)
        if len(self._deferred) >= FAILURES_IN_A_ROW:
            raise ServiceExhausted(f"{len(self._deferred)} posters in a row had no answer, most recently: {record.reason}")

    def _save_deferred(self) -> None:
        while self._deferred:
            self._save_record(self._deferred.pop(0), self._budget.spent)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the run stops."""
        try:
            await asyncio.wait_for(self._stop_event.wait(), seconds)
        except TimeoutError:
            return
        raise ServiceExhausted

    def _stop_run(self, reason: BaseException) -> None:
        """Stop new requests; the first reason is kept, unless a later one is more serious."""
        if not self._stop_event.is_set() or not isinstance(reason, ServiceExhausted):
            self._stop_reason = reason
        self._stop_event.set()

    def _interrupt(self, workers: Sequence[asyncio.Task]) -> None:
        if isinstance(self._stop_reason, KeyboardInterrupt):
            for worker in workers:
                worker.cancel()
            return
        self._stop_run(KeyboardInterrupt())
        self._stop_reason = KeyboardInterrupt()
        if self._in_flight:
            print_message(
                f"\nwaiting for the {self._in_flight} answers in progress, which are paid for; Ctrl-C again drops them",
                error=True,
            )


def record_fields(result: OcrResult, spent: Usage) -> dict[str, Any]:
    """Return the fields of a record that the answer determines."""
    fields: dict[str, Any] = {
        "status": result.status or ("ok" if result.lines else "empty"),
        "lines": result.lines,
        "confidences": result.confidences,
        "boxes": result.boxes,
        "language": result.language,
        "reason": result.reason,
        "usage": dataclasses.asdict(spent),
    }
    return fields | ({"model_version": result.model_version} if result.model_version else {})


def _backoff(tries: int) -> float:
    """Return the seconds to wait after this many tries: doubled each time, and randomized so that requests do not coincide."""
    return random.uniform(0.5, 1) * min(_FIRST_PAUSE * 2 ** (tries - 1), _LONGEST_PAUSE)


@contextlib.contextmanager
def _on_ctrl_c(handler: Callable[[], None]) -> Iterator[None]:
    """Call `handler` instead of raising KeyboardInterrupt at Ctrl-C; has no effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, handler)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
