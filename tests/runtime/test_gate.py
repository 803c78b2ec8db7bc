"""Slots: who gets one, in which order, for how long they wait, and that none is ever lost."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from safecall_lint.runtime import CallPolicy, DeadlineExceeded, Priority, QueueFull, QueueTimeout, Rate, deadline
from safecall_lint.runtime.testing import run, virtual_time


async def until(policy: CallPolicy, *, queued: int) -> None:
    """Let the tasks that were just made reach the queue."""
    for _ in range(10 + queued):
        if policy.state().queued >= queued:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"only {policy.state().queued} of {queued} calls wait")


def named(policy: CallPolicy, order: list[str], name: str, **options: object) -> Callable[[], Awaitable[None]]:
    async def send() -> None:
        order.append(name)
        await asyncio.sleep(1)

    async def call() -> None:
        with policy.options(**options):  # type: ignore[arg-type]
            await policy.call(send)

    return call


async def start_in_turn(policy: CallPolicy, calls: list[Callable[[], Awaitable[None]]]) -> list[asyncio.Task[None]]:
    tasks = []
    for number, call in enumerate(calls):
        tasks.append(asyncio.ensure_future(call()))
        await until(policy, queued=number)
    return tasks  # type: ignore[return-value]


@virtual_time
async def test_no_more_calls_are_at_the_vendor_than_there_are_slots() -> None:
    policy = CallPolicy("v", max_concurrency=3)
    at_once = 0
    most = 0

    async def send() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(1)
        at_once -= 1

    await asyncio.gather(*(policy.call(send) for _ in range(12)))
    assert most == 3


@virtual_time
async def test_equal_calls_are_served_in_the_order_they_came() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=50, max_queue=100)
    order: list[str] = []
    await asyncio.gather(*await start_in_turn(policy, [named(policy, order, name) for name in "abcdef"]))
    assert order == list("abcdef")


@virtual_time
async def test_a_higher_priority_goes_first() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=50, max_queue=100)
    order: list[str] = []
    calls = [
        named(policy, order, "first"),
        named(policy, order, "low", priority=Priority.LOW),
        named(policy, order, "normal"),
        named(policy, order, "high", priority=Priority.HIGH),
    ]
    await asyncio.gather(*await start_in_turn(policy, calls))
    assert order == ["first", "high", "normal", "low"]


@virtual_time
async def test_a_flood_of_high_priority_does_not_starve_a_low_one() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=20, max_queue=1000)
    order: list[str] = []
    tasks = [asyncio.ensure_future(named(policy, order, "running")())]
    tasks.append(asyncio.ensure_future(named(policy, order, "low", priority=Priority.LOW)()))
    for _ in range(60):
        tasks.append(asyncio.ensure_future(named(policy, order, "high", priority=Priority.HIGH)()))
        await asyncio.sleep(0.5)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert "low" in order[:12]


@virtual_time
async def test_a_heavy_call_takes_its_weight_and_is_not_passed_by_light_ones() -> None:
    policy = CallPolicy("v", max_concurrency=3, queue_timeout=50, max_queue=100)
    order: list[str] = []
    calls = [named(policy, order, "a"), named(policy, order, "heavy", weight=3), named(policy, order, "b")]
    tasks = [asyncio.ensure_future(call()) for call in calls]
    await asyncio.sleep(0.5)
    assert order == ["a"]
    await asyncio.sleep(1)
    assert order == ["a", "heavy"]
    assert policy.state().in_use == 3
    await asyncio.gather(*tasks)
    assert order == ["a", "heavy", "b"]


@virtual_time
async def test_the_queue_timeout_covers_waiting_and_never_the_call() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=0.5, call_timeout=3)

    async def send() -> float:
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert await policy.call(send) == 1.0


@virtual_time
async def test_a_call_that_waits_too_long_is_refused_and_never_sent() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=2)
    order: list[str] = []
    first = asyncio.ensure_future(policy.call(asyncio.sleep, 10))
    await asyncio.sleep(0)
    with pytest.raises(QueueTimeout, match="waited 2 s and none of 1 slots came free"):
        await named(policy, order, "late")()
    assert asyncio.get_running_loop().time() == 2
    assert order == []
    await first


@virtual_time
async def test_a_full_queue_refuses_without_waiting() -> None:
    policy = CallPolicy("v", max_concurrency=1, max_queue=2)
    tasks = [asyncio.ensure_future(policy.call(asyncio.sleep, 1)) for _ in range(3)]
    await until(policy, queued=2)
    with pytest.raises(QueueFull):
        await policy.call(asyncio.sleep, 1)
    assert asyncio.get_running_loop().time() == 0
    await asyncio.gather(*tasks)


@virtual_time
async def test_a_deadline_ends_the_wait_before_the_queue_timeout() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=5)
    first = asyncio.ensure_future(policy.call(asyncio.sleep, 10))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExceeded):
        async with deadline(1):
            await policy.call(asyncio.sleep, 0)
    assert asyncio.get_running_loop().time() == 1
    await first


@virtual_time
async def test_waiting_for_a_slot_spends_no_quota() -> None:
    policy = CallPolicy("v", max_concurrency=1, rate=Rate(3, per=3600, burst=3), queue_timeout=1)
    first = asyncio.ensure_future(policy.call(asyncio.sleep, 10))
    await asyncio.sleep(0)
    for _ in range(5):
        with pytest.raises(QueueTimeout):
            await policy.call(asyncio.sleep, 0)
    await first
    await policy.call(asyncio.sleep, 0)
    await policy.call(asyncio.sleep, 0)


@virtual_time
async def test_a_slot_given_in_the_moment_of_cancellation_is_given_on() -> None:
    policy = CallPolicy("v", max_concurrency=1)
    first = asyncio.ensure_future(policy.call(asyncio.sleep, 1))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(policy.call(asyncio.sleep, 1))
    await until(policy, queued=1)
    first.add_done_callback(lambda _: waiting.cancel())
    await asyncio.gather(first, waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert policy.state().in_use == 0
    await policy.call(asyncio.sleep, 0)


async def hold(policy: CallPolicy, inside: Callable[[], Awaitable[object]] | None = None) -> None:
    async with policy.slot():
        if inside is not None:
            await inside()


async def read(policy: CallPolicy) -> None:
    async def chunks() -> AsyncIterator[int]:
        yield 1

    async with policy.stream(chunks) as stream:
        async for _ in stream:
            pass


FORMS: dict[str, Callable[[CallPolicy], Awaitable[object]]] = {
    "slot": hold,
    "call": lambda policy: policy.call(asyncio.sleep, 0),
    "decorated": lambda policy: policy(asyncio.sleep)(0),
    "stream": read,
}


@pytest.mark.parametrize("inner", FORMS)
@pytest.mark.parametrize("outer", ["slot", "call"])
@virtual_time
async def test_a_policy_inside_itself_is_refused_at_once(outer: str, inner: str) -> None:
    policy = CallPolicy("v", max_concurrency=2)

    async def again() -> None:
        with pytest.raises(RuntimeError, match="v: this call is made inside a call or a slot of the same policy"):
            await FORMS[inner](policy)
        assert policy.state().in_use == 1

    await (hold(policy, again) if outer == "slot" else policy.call(again))
    assert (policy.state().in_use, asyncio.get_running_loop().time()) == (0, 0)
    for form in FORMS.values():
        await form(policy)


@virtual_time
async def test_another_policy_inside_a_slot_is_no_policy_inside_itself() -> None:
    policy, other = CallPolicy("v"), CallPolicy("w")
    for form in FORMS.values():
        await hold(policy, lambda form=form: form(other))  # type: ignore[misc]


@pytest.mark.parametrize("outer", ["slot", "call"])
@virtual_time
async def test_a_task_that_is_started_inside_and_runs_on_is_a_call_like_any_other(outer: str) -> None:
    policy = CallPolicy("v", max_concurrency=2)
    tasks: list[asyncio.Task[object]] = []

    async def later(form: Callable[[CallPolicy], Awaitable[object]], pause: float) -> None:
        await asyncio.sleep(pause)
        await form(policy)

    async def start() -> None:
        tasks.extend(asyncio.create_task(later(form, pause)) for form in FORMS.values() for pause in (0, 0.5, 2))
        await asyncio.sleep(1)

    await (hold(policy, start) if outer == "slot" else policy.call(start))
    await asyncio.gather(*tasks)
    assert policy.state().in_use == 0


@virtual_time
async def test_a_task_that_its_holder_waits_for_ends_with_the_queue_timeout() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=2)

    async def ask_and_wait() -> None:
        with pytest.raises(QueueTimeout):
            await asyncio.create_task(hold(policy))

    await policy.call(ask_and_wait)
    assert asyncio.get_running_loop().time() == 2


@virtual_time
async def test_a_slot_may_be_given_back_by_another_task() -> None:
    policy = CallPolicy("v", max_concurrency=1)
    stack = AsyncExitStack()
    await stack.enter_async_context(policy.slot())
    await asyncio.create_task(stack.aclose())
    await policy.call(asyncio.sleep, 0)


@virtual_time
async def test_who_was_refused_or_cancelled_at_a_slot_is_not_inside() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=1)
    first = asyncio.ensure_future(policy.call(asyncio.sleep, 3))
    await asyncio.sleep(0)
    with pytest.raises(QueueTimeout):
        await hold(policy)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await hold(policy)
    await first
    await hold(policy)


def test_two_event_loops_share_a_policy_without_meeting() -> None:
    policy = CallPolicy("v", max_concurrency=1)

    async def contend() -> None:
        await asyncio.gather(*(policy.call(asyncio.sleep, 0.1) for _ in range(3)))

    run(contend())
    run(contend())


def test_a_policy_keeps_nothing_of_a_closed_loop() -> None:
    policy = CallPolicy("v", max_concurrency=1)

    async def contend() -> None:
        await asyncio.gather(*(policy.call(asyncio.sleep, 0.1) for _ in range(3)))

    for _ in range(3):
        run(contend())
    gc.collect()
    assert len(policy._layers.gates.all()) <= 1


def test_a_waiting_call_costs_at_most_a_kibibyte_and_a_half() -> None:
    policy = CallPolicy("v", max_concurrency=1, max_queue=2000)

    async def waiting_memory() -> float:
        holder = asyncio.ensure_future(policy.call(asyncio.sleep, 3))
        await asyncio.sleep(0)
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        calls = [asyncio.ensure_future(policy.call(asyncio.sleep, 0)) for _ in range(1000)]
        await until(policy, queued=1000)
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        await asyncio.gather(holder, *calls)
        return (after - before) / 1000

    assert run(waiting_memory()) <= 1536
