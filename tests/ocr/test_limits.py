import asyncio

import pytest

from posterfusion_jax.ocr.engines.base import ServiceExhausted, Usage
from posterfusion_jax.ocr.remote.rate_limits import Budget, SlidingWindowLimiter


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)


def taken_at(limit, amounts):
    """When each amount was granted, in seconds from the start."""
    time = Time()
    gate = SlidingWindowLimiter(limit, sleep=time.sleep, clock=time)

    async def take():
        times = []
        for amount in amounts:
            await gate.take(amount)
            times.append(time.now - 1000)
        return times

    return asyncio.run(take())


def test_no_minute_holds_more_than_the_limit():
    times = taken_at(10, [1] * 35)
    assert times[:10] == [0] * 10
    assert all(sum(start <= t < start + 60 for t in times) <= 10 for start in times)
    assert times[-1] == pytest.approx(180)


def test_units_of_different_size():
    assert taken_at(100, [60, 30, 30, 100]) == pytest.approx([0, 0, 60, 120])


def test_more_than_the_limit_waits_for_a_free_minute():
    assert taken_at(10, [3, 500, 3]) == pytest.approx([0, 60, 120])


def test_zero_is_without_a_limit():
    assert taken_at(0, [1e9] * 5) == [0] * 5


def test_what_was_used_counts_in_the_place_of_the_guess():
    time = Time()
    gate = SlidingWindowLimiter(100, sleep=time.sleep, clock=time)

    async def take():
        gate.settle(await gate.take(100), 20)
        await gate.take(80)
        first = time.now
        await gate.take(1)
        return first - 1000, time.now - 1000

    assert asyncio.run(take()) == pytest.approx((0, 60))


def test_first_come_first_served():
    time, order = Time(), []
    gate = SlidingWindowLimiter(10, sleep=time.sleep, clock=time)

    async def one(name, units):
        await gate.take(units)
        order.append(name)

    async def all_of_them():
        await asyncio.gather(one("a", 10), one("large", 10), one("small", 1))

    asyncio.run(all_of_them())
    assert order == ["a", "large", "small"]


def test_waiting_ends_with_what_sleep_raises():
    async def stop(seconds):
        raise ServiceExhausted

    gate = SlidingWindowLimiter(1, sleep=stop)

    async def take_two():
        await gate.take(1)
        await gate.take(1)

    with pytest.raises(ServiceExhausted):
        asyncio.run(take_two())


WORST = Usage(usd=1.0)


def test_money_is_set_aside_until_the_answer_is_there():
    budget = Budget(usd=2.5, sleep=asyncio.sleep)
    cheap = Usage(usd=0.1)

    async def spend():
        await budget.reserve(WORST)
        await budget.reserve(WORST)
        third = asyncio.create_task(budget.reserve(WORST))  # only what is set aside stands in its way
        await asyncio.sleep(0.01)
        assert not third.done()
        budget.settle(WORST, cheap)
        await third
        budget.settle(WORST, cheap)
        budget.settle(WORST, None)  # no answer, nothing spent
        assert budget.spent.usd == pytest.approx(0.2)
        for _ in range(4):
            await budget.reserve(WORST)
            budget.settle(WORST, Usage(usd=0.4))
        with pytest.raises(ServiceExhausted, match=r"1\.8000 are spent"):
            await budget.reserve(WORST)

    asyncio.run(spend())
    assert budget.requests == 7


def test_requests_are_counted():
    budget = Budget(requests=2)

    async def ask():
        await budget.reserve(WORST)
        await budget.reserve(WORST)
        with pytest.raises(ServiceExhausted, match="the 2 requests"):
            await budget.reserve(WORST)

    asyncio.run(ask())
