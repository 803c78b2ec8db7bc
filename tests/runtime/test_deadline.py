"""A deadline ends everything inside it and is known to all of it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from safecall_lint.runtime import CallPolicy, CallTimeout, DeadlineExceeded, deadline, remaining
from safecall_lint.runtime.testing import virtual_time


@virtual_time
async def test_what_runs_inside_is_cancelled_when_the_time_is_up() -> None:
    cancelled = False
    with pytest.raises(DeadlineExceeded, match="deadline of 2 s"):
        async with deadline(2):
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cancelled = True
                raise
    assert cancelled
    assert asyncio.get_running_loop().time() == 2


@virtual_time
async def test_an_inner_deadline_can_only_shorten() -> None:
    async with deadline(5):
        async with deadline(50):
            assert remaining() == 5
        async with deadline(1):
            assert remaining() == 1
        assert remaining() == 5
    assert remaining() == float("inf")


@virtual_time
async def test_the_timeouts_of_others_pass_through() -> None:
    with pytest.raises(TimeoutError) as raised:
        async with deadline(10):
            async with asyncio.timeout(1):
                await asyncio.sleep(5)
    assert not isinstance(raised.value, DeadlineExceeded)


@virtual_time
async def test_a_nested_policy_sees_what_is_left_of_the_outer_one() -> None:
    outer = CallPolicy("outer", deadline=10, call_timeout=10)
    inner = CallPolicy("inner", deadline=60, call_timeout=60)
    seen: list[float] = []

    async def innermost() -> None:
        seen.append(remaining())

    async def middle() -> None:
        await asyncio.sleep(4)
        await inner.call(innermost)

    await outer.call(middle)
    assert seen == [6]
    assert remaining() == float("inf")


@virtual_time
async def test_tasks_started_inside_know_the_deadline() -> None:
    async def left() -> float:
        return remaining()

    async with deadline(3):
        assert await asyncio.create_task(left()) == 3


@virtual_time
async def test_a_call_after_the_deadline_is_never_sent() -> None:
    policy = CallPolicy("v")
    sent: list[int] = []

    async def send() -> None:
        sent.append(1)

    with pytest.raises(DeadlineExceeded):
        async with deadline(1):
            try:
                await asyncio.sleep(2)
            finally:
                with pytest.raises(DeadlineExceeded):
                    await policy.call(send)
    assert sent == []


@virtual_time
async def test_cancellation_from_outside_wins_over_a_timeout_of_the_same_moment() -> None:
    policy = CallPolicy("v", call_timeout=1)
    call = asyncio.ensure_future(policy.call(asyncio.sleep, 5))
    asyncio.get_running_loop().call_later(1, call.cancel)
    await asyncio.wait([call])
    assert call.cancelled()
    assert policy.state().in_use == 0


@virtual_time
async def test_a_call_timeout_leaves_the_task_usable() -> None:
    policy = CallPolicy("v", call_timeout=1)
    with pytest.raises(CallTimeout):
        await policy.call(asyncio.sleep, 5)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(1)


@virtual_time
async def test_many_calls_time_out_each_at_its_own_moment() -> None:
    policy = CallPolicy("v", call_timeout=5, max_concurrency=100)
    ended: list[float] = []

    async def call(start: float, left: float) -> None:
        await asyncio.sleep(start)
        with pytest.raises((CallTimeout, DeadlineExceeded)):
            async with deadline(left):
                await policy.call(asyncio.sleep, 100)
        ended.append(round(asyncio.get_running_loop().time() - start, 6))

    starts = [(0.0, 60.0), (0.5, 1.0), (1.0, 60.0), (1.2, 0.3), (3.0, 60.0)]
    await asyncio.gather(*(call(start, left) for start, left in starts))
    assert sorted(ended) == [0.3, 1.0, 5.0, 5.0, 5.0]


async def parts() -> AsyncIterator[int]:
    async with deadline(5):
        for number in range(3):
            yield number


@virtual_time
async def test_a_deadline_of_a_generator_that_was_left_early_is_over_for_its_reader() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context.get("exception")))
    async for _ in parts():
        break
    gc.collect()
    await asyncio.sleep(6)
    assert remaining() == float("inf")
    await CallPolicy("v").call(asyncio.sleep, 0)
    assert told == []


@virtual_time
async def test_options_of_a_generator_that_was_left_early_say_nothing_in_another_context() -> None:
    policy, told = CallPolicy("v"), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context.get("exception")))

    async def answers() -> AsyncIterator[int]:
        with policy.options(weight=2):
            yield 1

    async for _ in answers():
        break
    gc.collect()
    await asyncio.sleep(1)
    assert told == []


@virtual_time
async def test_a_task_that_outlives_a_deadline_is_bound_by_the_one_around_it() -> None:
    async def later() -> float:
        await asyncio.sleep(3)
        return remaining()

    async with deadline(20):
        async with deadline(2):
            task = asyncio.create_task(later())
        assert await task == 17


@virtual_time
async def test_a_finished_task_is_not_kept_until_its_deadline() -> None:
    class Result:
        pass

    policy = CallPolicy("v")

    async def endpoint() -> Result:
        async with deadline(20):
            await policy.call(asyncio.sleep, 0)
        return Result()

    result = weakref.ref(await asyncio.create_task(endpoint()))
    await asyncio.sleep(0)
    gc.collect()
    assert result() is None
