"""A quota is never exceeded in any window, whatever comes in and goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safecall_lint.runtime import CallPolicy, Rate, RateLimited
from safecall_lint.runtime._quota import Charge, Quota
from safecall_lint.runtime.testing import virtual_time

_FUZZ = 1e-6


def most_in_a_window(sent: Sequence[tuple[float, float]], per: float) -> float:
    """The largest sum of amounts in any half-open window of `per` seconds."""
    return max(
        (sum(amount for time, amount in sent if start <= time < start + per - _FUZZ) for start, _ in sent), default=0
    )


async def times_of(policy: CallPolicy, count: int) -> list[float]:
    """When each of `count` simultaneous calls was let through; calls that were refused are missing."""
    start = asyncio.get_running_loop().time()
    sent: list[float] = []

    async def send() -> None:
        sent.append(asyncio.get_running_loop().time() - start)

    await asyncio.gather(*(policy.call(send) for _ in range(count)), return_exceptions=True)
    return sent


@virtual_time
async def test_sixty_per_minute_never_lets_more_than_sixty_into_a_minute() -> None:
    policy = CallPolicy("v", rate=Rate(60, per=60), queue_timeout=300, deadline=600, max_queue=1000)
    sent = await times_of(policy, 200)
    assert len(sent) == 200
    assert most_in_a_window([(time, 1) for time in sent], 60) == 60


@virtual_time
async def test_the_whole_quota_is_used_when_there_is_demand() -> None:
    policy = CallPolicy("v", rate=Rate(60, per=60), queue_timeout=300, deadline=600, max_queue=1000)
    sent = await times_of(policy, 240)
    assert sum(time < 180 for time in sent) == 180


@virtual_time
async def test_a_burst_starts_at_once_and_the_rest_is_spread() -> None:
    policy = CallPolicy("v", rate=Rate(60, per=60, burst=5), queue_timeout=20, deadline=60)
    sent = await times_of(policy, 8)
    assert sent == pytest.approx([0, 0, 0, 0, 0, 1, 2, 3])


@virtual_time
async def test_a_wait_beyond_the_queue_timeout_is_refused_at_once_with_the_exact_wait() -> None:
    policy = CallPolicy("v", rate=Rate(1, per=60), queue_timeout=5)
    await times_of(policy, 1)
    before = asyncio.get_running_loop().time()
    with pytest.raises(RateLimited) as refused:
        await policy.call(asyncio.sleep, 0)
    assert asyncio.get_running_loop().time() == before
    assert refused.value.retry_after == pytest.approx(60)


@virtual_time
async def test_a_large_amount_is_not_starved_by_small_ones() -> None:
    policy = CallPolicy(
        "v", rate=Rate(100, per=10, burst=10, counts="tokens"), queue_timeout=60, deadline=90, max_queue=1000
    )
    order: list[float] = []

    async def send(tokens: float) -> None:
        with policy.options(tokens=tokens):
            await policy.call(asyncio.sleep, 0)
        order.append(tokens)

    await asyncio.gather(*(send(tokens) for tokens in [1] * 20 + [50] + [1] * 100))
    assert order.index(50) == 20


@pytest.mark.parametrize("burst", [None, 1, 600])
@pytest.mark.parametrize("size", [10, 60, 80, 200, 300, 350, 600])
def test_large_amounts_use_the_whole_quota(size: int, burst: float | None) -> None:
    @virtual_time
    async def scenario() -> None:
        policy = CallPolicy(
            "v", rate=Rate(600, per=60, burst=burst, counts="tokens"), queue_timeout=300, deadline=900, max_queue=1000
        )
        sent: list[tuple[float, float]] = []

        async def send() -> None:
            sent.append((asyncio.get_running_loop().time(), size))

        with policy.options(tokens=size):
            start = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < start + 600:
                await policy.call(send)
        whole = 600 // size * size
        assert most_in_a_window(sent, 60) == whole
        assert sum(tokens for time, tokens in sent if time < start + 600 - _FUZZ) >= 9.9 * whole

    scenario()


@virtual_time
async def test_a_large_amount_that_was_never_sent_costs_no_wait() -> None:
    policy = CallPolicy("v", rate=Rate(600, per=60, counts="tokens"), queue_timeout=1)
    with policy.options(tokens=300):
        async with policy.slot() as slot:
            slot.settle(0)
        await policy.call(asyncio.sleep, 0)


@virtual_time
async def test_a_refusal_behind_large_amounts_names_the_wait_that_was_left() -> None:
    policy = CallPolicy("v", rate=Rate(600, per=60, counts="tokens"), queue_timeout=100, deadline=900)
    start = asyncio.get_running_loop().time()
    with policy.options(tokens=300):
        waiting = [asyncio.ensure_future(policy.call(asyncio.sleep, 0)) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(RateLimited) as refused:
            await policy.call(asyncio.sleep, 0)
        assert refused.value.retry_after == pytest.approx(120)
        await asyncio.gather(*waiting)
        await asyncio.sleep(start + 120 - asyncio.get_running_loop().time())
        await policy.call(asyncio.sleep, 0)
        assert asyncio.get_running_loop().time() == pytest.approx(start + 120)


@virtual_time
async def test_an_amount_that_can_never_pass_is_refused_with_the_reason() -> None:
    policy = CallPolicy("v", rate=Rate(100, per=10, counts="tokens"))
    with policy.options(tokens=101), pytest.raises(RateLimited, match="101 tokens can never pass a quota of 100"):
        await policy.call(asyncio.sleep, 0)


@virtual_time
async def test_unused_tokens_go_back_and_let_the_next_call_in() -> None:
    policy = CallPolicy("v", rate=Rate(100, per=60, burst=100, counts="tokens"), queue_timeout=1)
    with policy.options(tokens=100) as options:
        await policy.call(asyncio.sleep, 0)
        with pytest.raises(RateLimited):
            await policy.call(asyncio.sleep, 0)
        options.settle(tokens=20)
    with policy.options(tokens=80):
        await policy.call(asyncio.sleep, 0)
    with policy.options(tokens=1), pytest.raises(RateLimited):
        await policy.call(asyncio.sleep, 0)


@virtual_time
async def test_calls_and_tokens_are_taken_together_or_not_at_all() -> None:
    policy = CallPolicy(
        "v", rate=[Rate(2, per=60, burst=2), Rate(100, per=60, burst=100, counts="tokens")], queue_timeout=1
    )
    with policy.options(tokens=90):
        await policy.call(asyncio.sleep, 0)
        with pytest.raises(RateLimited):
            await policy.call(asyncio.sleep, 0)
    await policy.call(asyncio.sleep, 0)
    with pytest.raises(RateLimited):
        await policy.call(asyncio.sleep, 0)


def test_a_quota_outlives_the_event_loop() -> None:
    policy = CallPolicy("v", rate=Rate(1, per=3600), queue_timeout=0.01)
    asyncio.run(policy.call(asyncio.sleep, 0))
    with pytest.raises(RateLimited):
        asyncio.run(policy.call(asyncio.sleep, 0))


_STEPS = st.lists(
    st.tuples(st.floats(0, 3), st.integers(1, 30), st.sampled_from(["keep", "refund", "settle"]), st.integers(0, 99)),
    min_size=1,
    max_size=80,
)


@settings(max_examples=150, deadline=None)
@given(_STEPS, st.integers(30, 60), st.integers(1, 30))
def test_no_order_of_takes_refunds_and_settlements_exceeds_a_window(
    steps: list[tuple[float, int, str, int]], limit: int, burst: int
) -> None:
    quota = Quota([Rate(limit, per=7, burst=burst, counts="tokens")])
    now = 1000.0
    sent: list[tuple[float, float]] = []
    charges: list[Charge] = []
    for pause, amount, what, which in steps:
        now += pause
        if what != "keep" and charges:
            changed = which % len(charges)
            when, taken = sent[changed]
            used = 0 if what == "refund" else taken / 2
            charges[changed].settle(now, used) if used else charges[changed].refund(now)
            sent[changed] = (when, used)
        charge = quota.take(now, amount)
        if charge is not None:
            charges.append(charge)
            sent.append((now, amount))
        assert most_in_a_window(sent, 7) <= limit + _FUZZ
    assert charges, "an untouched quota refused a call that fits"
    assert quota.wait(now + 1000, limit) <= 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 20)), min_size=1, max_size=40))
def test_the_promised_wait_is_the_real_wait(steps: list[tuple[float, int]]) -> None:
    quota = Quota([Rate(20, per=5, burst=4, counts="tokens"), Rate(6, per=3)])
    now = 0.0
    for pause, amount in steps:
        now += pause
        wait = quota.wait(now, amount)
        if wait > 1e-3:
            assert quota.take(now + wait - 1e-3, amount) is None
        assert quota.take(now + max(wait, 0), amount) is not None
        now += max(wait, 0)
