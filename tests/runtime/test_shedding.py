"""Calls that cannot get a slot in time, or cannot finish, are not let wait for it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safecall_lint.runtime import CallPolicy, Event, Priority, QueueFull, QueueTimeout, Retry, deadline
from safecall_lint.runtime._events import Rejected, RetryDropped
from safecall_lint.runtime._pace import Pace
from safecall_lint.runtime.testing import VirtualClock, run, virtual_time

from .test_gate import until


async def a_busy_policy(hold: float, *, waiting: int, events: list[Event] | None = None) -> CallPolicy:
    """Two slots that calls hold for `hold` seconds, both taken just now, and so many calls waiting."""
    sink = None if events is None else events.append
    policy = CallPolicy("v", max_concurrency=2, max_queue=100, queue_timeout=5, events=sink)
    await asyncio.gather(*(policy.call(asyncio.sleep, hold) for _ in range(2)))
    for _ in range(4):
        await asyncio.gather(*(policy.call(asyncio.sleep, hold) for _ in range(2)))
    for number in range(2 + waiting):
        call = asyncio.ensure_future(policy.call(asyncio.sleep, hold))
        call.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        await until(policy, queued=max(0, number - 1))
    return policy


@virtual_time
async def test_a_wait_that_is_too_long_is_refused_before_it_begins() -> None:
    events: list[Event] = []
    policy = await a_busy_policy(2, waiting=5, events=events)
    before = asyncio.get_running_loop().time()
    with pytest.raises(QueueFull, match=r"a slot is expected in 6 s and a call may queue for 4.5 s") as refused:
        async with deadline(4.5):
            await policy.call(asyncio.sleep, 0)
    with pytest.raises(QueueFull, match="a slot is expected in 6 s and a call may queue for 5 s"):
        await policy.call(asyncio.sleep, 0)
    assert asyncio.get_running_loop().time() == before
    assert refused.value.retry_after == pytest.approx(1.5)
    reasons = [event.reason for event in events if isinstance(event, Rejected)]
    assert reasons == ["expected_wait", "expected_wait"]


@virtual_time
async def test_the_expected_wait_is_work_ahead_times_mean_hold_by_slots() -> None:
    policy = await a_busy_policy(2, waiting=3)
    gate = policy._layers.gates.get()
    assert gate.slot_estimate(Priority.NORMAL, 1) == pytest.approx((3 + 1) * 2 / 2)
    assert gate.slot_estimate(Priority.NORMAL, 2) == pytest.approx((3 + 2) * 2 / 2)
    assert gate.slot_estimate(Priority.HIGH, 1) == pytest.approx(1 * 2 / 2)


@virtual_time
async def test_a_high_priority_waits_while_a_normal_one_is_refused() -> None:
    policy = await a_busy_policy(2, waiting=5)
    with pytest.raises(QueueFull):
        await policy.call(asyncio.sleep, 0)
    with policy.options(priority=Priority.HIGH):
        await policy.call(asyncio.sleep, 0)
    assert asyncio.get_running_loop().time() == 10 + 2


@virtual_time
async def test_nobody_is_refused_on_the_word_of_a_few_calls() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=5)
    for _ in range(9):
        await policy.call(asyncio.sleep, 20)
    holder = asyncio.ensure_future(policy.call(asyncio.sleep, 20))
    await asyncio.sleep(0)
    before = asyncio.get_running_loop().time()
    with pytest.raises(QueueTimeout):
        await policy.call(asyncio.sleep, 0)
    assert asyncio.get_running_loop().time() == before + 5
    await holder


@virtual_time
async def test_a_vendor_that_is_quick_again_is_believed_soon() -> None:
    policy = CallPolicy("v", max_concurrency=2, max_queue=100, queue_timeout=5)

    async def under_load(hold: float, calls: int) -> int:
        results = await asyncio.gather(
            *(policy.call(asyncio.sleep, hold) for _ in range(calls)), return_exceptions=True
        )
        return sum(result is None for result in results)

    for _ in range(10):
        await under_load(20, 2)
    assert await under_load(20, 6) == 2
    for _ in range(16):
        await under_load(0.1, 2)
    assert await under_load(0.1, 60) == 60


@virtual_time
async def test_what_is_let_wait_under_a_flood_gets_its_slot() -> None:
    """Nine in ten of those who wait get through: with the queue timeout alone every one of them would wait it out."""
    policy = CallPolicy("v", max_concurrency=10, max_queue=10_000, queue_timeout=2)
    outcomes: list[str] = []

    async def user() -> None:
        try:
            await policy.call(asyncio.sleep, 0.5)
        except (QueueFull, QueueTimeout) as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("ok")

    users = []
    for _ in range(3000):
        users.append(asyncio.ensure_future(user()))
        await asyncio.sleep(0.01)
    await asyncio.gather(*users)
    served = outcomes.count("ok")
    assert served >= 0.95 * 20 * 30
    assert outcomes.count("QueueTimeout") <= 0.1 * served


@virtual_time
async def test_a_retry_that_cannot_finish_before_the_deadline_is_not_begun() -> None:
    events: list[Event] = []
    policy = CallPolicy(
        "v",
        retry=Retry(base=0.1, repeat="always"),
        deadline=9,
        call_timeout=5,
        events=events.append,
        clock=VirtualClock(),
    )
    for _ in range(3):
        await policy.call(asyncio.sleep, 3)

    async def fails_late() -> None:
        await asyncio.sleep(4.5)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        async with deadline(7):
            await policy.call(fails_late)
    assert asyncio.get_running_loop().time() == 3 * 3 + 4.5
    assert [event.reason for event in events if isinstance(event, RetryDropped)] == ["deadline"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 40)), min_size=1, max_size=50))
def test_the_quickest_answer_is_never_slower_than_any_of_the_last_half_minute(
    answers: list[tuple[float, float]],
) -> None:
    pace, now, seen = Pace(), 0.0, []
    for pause, took in answers:
        now += pause
        pace.answered(now, took)
        seen.append((now, took))
        recent = [took for time, took in seen if time > now - 30]
        older = [took for time, took in seen if time > now - 91]
        assert min(older) <= pace.quickest(now) <= min(recent)
    assert pace.quickest(now + 91) == 0


def test_a_pace_that_has_seen_nothing_promises_nothing() -> None:
    async def quickest() -> float:
        return CallPolicy("v")._layers.admission.quickest()

    assert run(quickest()) == 0
    assert Pace().wait(5, 1) == 0
