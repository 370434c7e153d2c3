"""Limit requests and tokens per minute, and a budget."""

import asyncio
import collections
import time
from collections.abc import Awaitable, Callable

from posterfusion_jax.ocr.engines.base import ServiceExhausted, Usage

_MINUTE = 60.0
_POLL_S = 0.05  # seconds between two checks of a budget that is reserved for requests in progress

Sleep = Callable[[float], Awaitable[None]]


class SlidingWindowLimiter:
    """Allow at most `limit` units in any 60 seconds; 0 is no limit. First come, first served.

    Args:
      limit: units per minute.
      sleep: how to wait; its exceptions end the waiting.
      clock: returns the time in seconds.
    """

    def __init__(self, limit: float, *, sleep: Sleep = asyncio.sleep, clock: Callable[[], float] = time.monotonic):
        self._limit = limit
        self._sleep = sleep
        self._clock = clock
        self._taken: collections.deque[list[float]] = collections.deque()  # [time, units], oldest first
        self._queue_lock = asyncio.Lock()

    async def take(self, units: float) -> list[float]:
        """Wait until `units` are free and take them; more than the limit wait for a whole free minute.

        Returns:
          The entry for `settle`.
        """
        async with self._queue_lock:
            units = min(units, self._limit) if self._limit else units
            while (wait := self._wait_for(units)) > 0:
                await self._sleep(wait)
            entry = [self._clock(), units]
            self._taken.append(entry)
            return entry

    def settle(self, entry: list[float], units: float) -> None:
        """Replace the units taken by those really used."""
        entry[1] = units

    def _wait_for(self, units: float) -> float:
        now = self._clock()
        while self._taken and self._taken[0][0] <= now - _MINUTE:
            self._taken.popleft()
        free = self._limit - sum(taken for _, taken in self._taken)
        if not self._limit or not self._taken or units <= free:
            return 0.0
        for taken_at, taken in self._taken:
            free += taken
            if units <= free:
                return max(taken_at + _MINUTE - now, 0.001)
        return self._taken[-1][0] + _MINUTE - now


class Budget:
    """Limit the dollars and requests of a run; 0 is no limit. The budget is never exceeded.

    Attributes:
      spent: by the answers so far.
      requests: the number admitted, answered or not.
    """

    def __init__(self, *, usd: float = 0.0, requests: int = 0, sleep: Sleep = asyncio.sleep):
        self._usd, self._requests, self._sleep = usd, requests, sleep
        self._reserved = 0.0
        self.spent = Usage(answers=0)
        self.requests = 0

    async def reserve(self, worst_case: Usage) -> None:
        """Reserve the highest possible cost of a request; wait if only requests in progress hold the money.

        Raises:
          ServiceExhausted: not enough is left.
        """
        if self._requests and self.requests >= self._requests:
            raise ServiceExhausted(f"the {self._requests:,} requests of ocr.limits.max_requests are used up")
        while self._usd and self.spent.usd + self._reserved + worst_case.usd > self._usd:
            if self.spent.usd + worst_case.usd > self._usd:
                raise ServiceExhausted(
                    f"ocr.limits.budget={self._usd:g} US dollars: {self.spent.usd:.4f} are spent, and a request may cost "
                    f"{worst_case.usd:.4f}"
                )
            await self._sleep(_POLL_S)
        self.requests += 1
        self._reserved += worst_case.usd

    def settle(self, worst_case: Usage, used: Usage | None) -> None:
        """Replace the reserved cost of a request by its real cost; None: there was no answer."""
        self._reserved -= worst_case.usd
        if used is not None:
            self.spent += used
