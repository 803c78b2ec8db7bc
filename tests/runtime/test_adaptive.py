"""Limits that move: slots with the vendor's speed, and a pause for all when the vendor asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from safecall_lint.runtime import AdaptiveConcurrency, CallPolicy, Event, RateLimited, Retry
from safecall_lint.runtime._events import ConcurrencyChanged
from safecall_lint.runtime.testing import VirtualClock, virtual_time


class Vendor:
    """Answers in 0.5 s up to `capacity` calls at once; beyond that everybody waits in proportion."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.busy = 0

    async def __call__(self) -> None:
        self.busy += 1
        try:
            await asyncio.sleep(0.5 * max(1.0, self.busy / self.capacity))
        finally:
            self.busy -= 1


async def under_load(policy: CallPolicy, send: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Keep 100 callers busy."""

    async def caller() -> None:
        while asyncio.get_running_loop().time() < end:
            (refused,) = await asyncio.gather(policy.call(send), return_exceptions=True)
            await asyncio.sleep(0.1 if refused else 0)

    end = asyncio.get_running_loop().time() + seconds
    await asyncio.gather(*(caller() for _ in range(100)))


def a_policy(**bounds: int) -> CallPolicy:
    slots = AdaptiveConcurrency(**bounds)
    return CallPolicy("v", max_concurrency=slots, max_queue=1000, breaker=None, retry=Retry(attempts=1))


@virtual_time
async def test_slots_grow_to_what_the_vendor_can_take_and_not_far_beyond() -> None:
    policy = a_policy(initial=4, maximum=100)
    load = asyncio.ensure_future(under_load(policy, Vendor(capacity=30), seconds=180))
    seen: list[int] = []
    while not load.done():
        await asyncio.sleep(1)
        seen.append(policy.state().limit)
    settled = seen[20:]
    assert 25 <= min(settled) <= max(settled) <= 60
    assert settled[-1] <= settled[0] + 10


@virtual_time
async def test_slots_go_away_when_the_vendor_slows_down() -> None:
    policy = a_policy(initial=40, maximum=60)
    vendor = Vendor(capacity=60)
    await under_load(policy, vendor, seconds=15)
    before = policy.state().limit
    vendor.capacity = 6
    await under_load(policy, vendor, seconds=25)
    assert policy.state().limit < before / 2


@virtual_time
async def test_an_idle_service_learns_nothing_about_its_bounds() -> None:
    policy = a_policy(initial=20)
    for _ in range(200):
        await policy.call(asyncio.sleep, 0.1)
    assert policy.state().limit == 20


@virtual_time
async def test_a_vendor_that_refuses_takes_slots_away_down_to_the_minimum() -> None:
    request = httpx.Request("GET", "http://vendor")

    async def refuse() -> httpx.Response:
        return httpx.Response(429, request=request)

    events: list[Event] = []
    slots = AdaptiveConcurrency(minimum=2, initial=20)
    policy = CallPolicy("v", max_concurrency=slots, retry=Retry(attempts=1), events=events.append)
    for _ in range(60):
        await policy.call(refuse)
    assert policy.state().limit == 2
    assert ConcurrencyChanged("v", before=20, after=18) in events


@virtual_time
async def test_one_rate_limit_can_pause_the_whole_process() -> None:
    request = httpx.Request("GET", "http://vendor")
    answers = [httpx.Response(429, headers={"Retry-After": "8"}, request=request)]
    sent: list[float] = []

    async def get() -> httpx.Response:
        sent.append(asyncio.get_running_loop().time())
        return answers.pop() if answers else httpx.Response(200, request=request)

    policy = CallPolicy("v", retry=Retry(pause_all=True), queue_timeout=10, clock=VirtualClock())
    first = asyncio.ensure_future(policy.call(get))
    await asyncio.sleep(1)
    assert (await policy.call(get)).status_code == 200
    assert (await first).status_code == 200
    assert sent[0] == 0
    assert min(sent[1:]) == pytest.approx(8)


@virtual_time
async def test_a_pause_longer_than_the_queue_timeout_refuses_with_its_end() -> None:
    request = httpx.Request("GET", "http://vendor")

    async def get() -> httpx.Response:
        return httpx.Response(429, headers={"Retry-After": "20"}, request=request)

    policy = CallPolicy("v", retry=Retry(attempts=1, pause_all=True), clock=VirtualClock())
    await policy.call(get)
    with pytest.raises(RateLimited) as refused:
        await policy.call(get)
    assert refused.value.retry_after == pytest.approx(20)
