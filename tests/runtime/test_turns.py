"""Calls and streams with slots of their own share one quota: neither starves the other, and both hear of refunds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from safecall_lint.runtime import CallPolicy, QueueTimeout, Rate, RateLimited
from safecall_lint.runtime.testing import virtual_time


def a_policy(rate: Rate | list[Rate], **settings: float) -> CallPolicy:
    return CallPolicy("v", rate=rate, max_streams=20, max_queue=1000, **settings)  # type: ignore[arg-type]


async def one_chunk() -> AsyncIterator[int]:
    yield 1


async def send(policy: CallPolicy, form: str, tokens: float) -> None:
    with policy.options(tokens=tokens):
        if form == "call":
            await policy.call(asyncio.sleep, 0)
            return
        async with policy.stream(one_chunk) as chunks:
            async for _ in chunks:
                pass


def now() -> float:
    return asyncio.get_running_loop().time()


OTHER = {"call": "stream", "stream": "call"}
each_form = pytest.mark.parametrize("form", ["call", "stream"])


@each_form
def test_a_large_amount_is_not_starved_by_small_ones_of_the_other_kind(form: str) -> None:
    @virtual_time
    async def scenario() -> None:
        policy = a_policy(Rate(100, per=1, counts="tokens"), queue_timeout=30)

        async def flood() -> None:
            while True:
                await send(policy, OTHER[form], 1)

        small = [asyncio.ensure_future(flood()) for _ in range(10)]
        await asyncio.sleep(2)
        start = now()
        await send(policy, form, 50)
        assert now() - start < 1.1
        for task in small:
            task.cancel()
        await asyncio.gather(*small, return_exceptions=True)
        assert policy.state().queued == policy.state().in_use == 0

    scenario()


@virtual_time
async def test_both_kinds_have_their_turn_when_both_wait() -> None:
    policy = a_policy(Rate(10, per=10, burst=1), queue_timeout=60, deadline=90)
    order: list[str] = []

    async def one(form: str) -> None:
        await send(policy, form, 0)
        order.append(form)

    await asyncio.gather(*(one(form) for form in ["call"] * 9 + ["stream"] * 3))
    assert order.index("stream") <= 2
    assert [form for form in order[:8] if form == "stream"] == ["stream"] * 3


@each_form
@pytest.mark.parametrize("by", ["settle", "cancel"])
def test_what_goes_back_wakes_who_waits_on_the_other_side(form: str, by: str) -> None:
    @virtual_time
    async def scenario() -> None:
        policy = a_policy(Rate(1000, per=60, burst=1000, counts="tokens"), queue_timeout=50)
        with policy.options(tokens=1000) as estimate:
            await policy.call(asyncio.sleep, 0)
            if OTHER[form] == "stream":
                estimate.settle(0)
                async with policy.stream(one_chunk) as chunks:
                    async for _ in chunks:
                        pass
        await asyncio.sleep(20)
        waiting = asyncio.ensure_future(send(policy, form, 900))
        await asyncio.sleep(1)
        start = now()
        estimate.settle(10) if by == "settle" else waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert now() == start
        assert policy.state().queued == 0

    scenario()


@each_form
def test_who_gives_up_lets_the_other_side_go_on(form: str) -> None:
    @virtual_time
    async def scenario() -> None:
        policy = a_policy(Rate(100, per=60, burst=100, counts="tokens"), queue_timeout=65)
        await send(policy, "call", 50)
        large = asyncio.ensure_future(send(policy, form, 100))
        await asyncio.sleep(40)
        small = asyncio.ensure_future(send(policy, OTHER[form], 10))
        await asyncio.sleep(1)
        assert not small.done()
        large.cancel()
        await small
        assert now() == pytest.approx(41, abs=0.1)

    scenario()


@virtual_time
async def test_a_refusal_counts_what_waits_on_the_other_side() -> None:
    policy = a_policy(Rate(100, per=60, burst=100, counts="tokens"), queue_timeout=65)
    await send(policy, "call", 50)
    large = asyncio.ensure_future(send(policy, "call", 90))
    await asyncio.sleep(10)
    with pytest.raises(RateLimited) as refused:
        await send(policy, "stream", 80)
    assert refused.value.retry_after == pytest.approx(110)
    await large


@each_form
def test_a_wait_that_the_quota_caused_says_so(form: str) -> None:
    @virtual_time
    async def scenario() -> None:
        policy = a_policy(Rate(10, per=10, burst=1), queue_timeout=3)
        await send(policy, "call", 0)
        waiting = [asyncio.ensure_future(send(policy, form, 0)) for _ in range(2)]
        await asyncio.sleep(0.5)
        waiting += [asyncio.ensure_future(send(policy, OTHER[form], 0)) for _ in range(2)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        late = [result for result in results if isinstance(result, QueueTimeout)]
        assert late
        for error in late:
            assert "the quota had no room" in str(error)

    scenario()


@virtual_time
async def test_a_wait_that_the_slots_caused_says_so() -> None:
    policy = CallPolicy("v", rate=Rate(10, per=10), max_concurrency=1, queue_timeout=3)
    holder = asyncio.ensure_future(policy.call(asyncio.sleep, 9))
    await asyncio.sleep(0)
    with pytest.raises(QueueTimeout, match="none of 1 slots came free"):
        await policy.call(asyncio.sleep, 0)
    await holder
