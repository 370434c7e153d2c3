"""Requests and tokens a minute, and a budget: what a service, and its user, allow."""

import asyncio
import collections
import time
from collections.abc import Awaitable, Callable

from posterfusion_jax.ocr.engines.base import ServiceExhausted, Usage

_MINUTE = 60.0
_GLANCE = 0.05  # seconds between two looks at a budget that is set aside for requests under way

Sleep = Callable[[float], Awaitable[None]]


class SlidingWindowLimiter:
    """At most `limit` units in any 60 seconds; 0 is without a limit. First come, first served.

    Args:
      sleep: how to wait; what it raises ends the waiting.
    """

    def __init__(self, limit: float, *, sleep: Sleep = asyncio.sleep, clock: Callable[[], float] = time.monotonic):
        self._limit = limit
        self._sleep = sleep
        self._clock = clock
        self._taken: collections.deque[list[float]] = collections.deque()  # [time, units], oldest first
        self._turn = asyncio.Lock()

    async def take(self, units: float) -> list[float]:
        """Waits until `units` are free and takes them; more than the limit wait for a whole free minute.

        Returns:
          What `settle` needs.
        """
        async with self._turn:
            units = min(units, self._limit) if self._limit else units
            while (wait := self._wait_for(units)) > 0:
                await self._sleep(wait)
            entry = [self._clock(), units]
            self._taken.append(entry)
            return entry

    def settle(self, entry: list[float], units: float) -> None:
        """Puts what was really used in the place of what was taken."""
        entry[1] = units

    def _wait_for(self, units: float) -> float:
        now = self._clock()
        while self._taken and self._taken[0][0] <= now - _MINUTE:
            self._taken.popleft()
        free = self._limit - sum(taken for _, taken in self._taken)
        if not self._limit or not self._taken or units <= free:
            return 0.0
        for then, taken in self._taken:
            free += taken
            if units <= free:
                return max(then + _MINUTE - now, 0.001)
        return self._taken[-1][0] + _MINUTE - now


class Budget:
    """Dollars and requests that a run may spend; 0 is without a limit. It is never overspent.

    Attributes:
      spent: by the answers so far.
      requests: that were let through, answered or not.
    """

    def __init__(self, *, usd: float = 0.0, requests: int = 0, sleep: Sleep = asyncio.sleep):
        self._usd, self._requests, self._sleep = usd, requests, sleep
        self._reserved = 0.0
        self.spent = Usage(answers=0)
        self.requests = 0

    async def reserve(self, worst_case: Usage) -> None:
        """Sets aside what a request may cost at most; waits for requests under way where only they hold the money.

        Raises:
          StopAsking: there is not so much left.
        """
        if self._requests and self.requests >= self._requests:
            raise ServiceExhausted(f"the {self._requests:,} requests of ocr.limits.max_requests are made")
        while self._usd and self.spent.usd + self._reserved + worst_case.usd > self._usd:
            if self.spent.usd + worst_case.usd > self._usd:
                raise ServiceExhausted(
                    f"ocr.limits.budget={self._usd:g} US dollars: {self.spent.usd:.4f} are spent, and a request may cost "
                    f"{worst_case.usd:.4f}"
                )
            await self._sleep(_GLANCE)
        self.requests += 1
        self._reserved += worst_case.usd

    def settle(self, worst_case: Usage, used: Usage | None) -> None:
        """Puts what a request did cost in the place of what was set aside; None: there was no answer."""
        self._reserved -= worst_case.usd
        if used is not None:
            self.spent += used
