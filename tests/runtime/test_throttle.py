"""Adaptive retry: after a 429 the process sends more slowly, and more quickly again when the vendor takes it."""

from __future__ import annotations

import asyncio
from collections import deque

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safecall_lint.runtime import CallPolicy, Retry
from safecall_lint.runtime._quota import Quota
from safecall_lint.runtime._throttle import Throttle
from safecall_lint.runtime.testing import VirtualClock, virtual_time


class Vendor:
    """Takes `capacity` requests in any second and answers 429 to the rest, without a word about when."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken: deque[float] = deque()
        self.answers: list[tuple[float, int]] = []

    async def __call__(self) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        while self.taken and self.taken[0] <= now - 1:
            self.taken.popleft()
        status = 429
        if len(self.taken) < self.capacity:
            self.taken.append(now)
            status = 200
        self.answers.append((now, status))
        await asyncio.sleep(0.1)
        return httpx.Response(status, request=httpx.Request("GET", "http://vendor"))

    def share(self, status: int, start: float, end: float) -> float:
        """How many answers a second had this status."""
        return sum(code == status and start <= time < end for time, code in self.answers) / (end - start)


async def under_load(policy: CallPolicy, vendor: Vendor, *, users: float, seconds: int) -> None:
    """So many users a second, one call each."""
    calls = []
    for _ in range(int(users * seconds)):
        calls.append(asyncio.ensure_future(policy.call(vendor)))
        await asyncio.sleep(1 / users)
    await asyncio.gather(*calls, return_exceptions=True)


def a_policy(*, adaptive: bool) -> CallPolicy:
    retry = Retry(attempts=1, adaptive=adaptive)
    return CallPolicy("v", max_concurrency=500, queue_timeout=2, retry=retry, clock=VirtualClock())


@virtual_time
async def test_refusals_become_rare_and_the_vendor_stays_busy() -> None:
    stubborn, adaptive = Vendor(capacity=20), Vendor(capacity=20)
    await under_load(a_policy(adaptive=False), stubborn, users=60, seconds=60)
    start = asyncio.get_running_loop().time()
    await under_load(a_policy(adaptive=True), adaptive, users=60, seconds=60)
    settled = start + 20, start + 60
    assert stubborn.share(429, 20, 60) == pytest.approx(40, abs=2)
    assert adaptive.share(429, *settled) <= 5
    assert adaptive.share(200, *settled) >= 14


@virtual_time
async def test_the_limit_goes_away_when_the_vendor_takes_our_calls_again() -> None:
    policy, vendor = a_policy(adaptive=True), Vendor(capacity=5)
    await under_load(policy, vendor, users=30, seconds=20)
    vendor.capacity = 1000
    await under_load(policy, vendor, users=30, seconds=20)
    start = asyncio.get_running_loop().time()
    await under_load(policy, vendor, users=30, seconds=10)
    assert vendor.share(200, start, start + 10) == pytest.approx(30, abs=1)


@virtual_time
async def test_without_a_429_nothing_is_slowed_down() -> None:
    policy, vendor = a_policy(adaptive=True), Vendor(capacity=1000)
    await asyncio.gather(*(policy.call(vendor) for _ in range(300)))
    assert asyncio.get_running_loop().time() == 0.1


def test_answers_to_calls_of_before_the_cut_cut_only_once() -> None:
    throttle = Throttle()
    for number in range(40):
        throttle.take(number / 10)
    for _ in range(10):
        throttle.refused(4.0, sent=3.9)
    assert throttle.speed == pytest.approx(7, rel=0.15)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from(["take", "refuse", "accept", "give back"])), max_size=80))
def test_it_never_stands_still_and_its_promises_hold(steps: list[tuple[float, str]]) -> None:
    quota, now = Quota([], Throttle()), 0.0
    charges = []
    for pause, what in steps:
        now += pause
        if what == "refuse":
            quota.refused(now, sent=now)
        elif what == "accept":
            quota.accepted(now)
        elif what == "give back" and charges:
            charges.pop().refund(now)
        wait = quota.wait(now, 0)
        assert wait <= 2.0 + 1e-6
        charge = quota.take(now, 0)
        assert (charge is None) == (wait > 1e-9)
        if charge is not None:
            charges.append(charge)
