"""The policy: its call forms, its settings and what it reports."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import pickle
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
import tenacity
from aiolimiter import AsyncLimiter

from safecall_lint.runtime import (
    CallPolicy,
    CallTimeout,
    CircuitBreaker,
    Event,
    Priority,
    QueueFull,
    QueueTimeout,
    Rate,
    RateLimited,
    Retry,
)
from safecall_lint.runtime._events import (
    Admitted,
    AttemptEnded,
    CallEnded,
    Rejected,
    Released,
    RetryScheduled,
)
from safecall_lint.runtime.testing import VirtualClock, run, virtual_time


async def greet(name: str, *, loudly: bool = False) -> str:
    return f"hello {name}".upper() if loudly else f"hello {name}"


@virtual_time
async def test_call_passes_arguments_and_returns_the_result() -> None:
    assert await CallPolicy("v").call(greet, "you", loudly=True) == "HELLO YOU"


def test_a_decorated_function_keeps_its_name_and_its_signature() -> None:
    guarded = CallPolicy("v")(greet)
    assert guarded.__name__ == "greet"
    assert run(guarded("you", loudly=True)) == "HELLO YOU"


def test_a_decorated_function_is_seen_as_a_coroutine_function() -> None:
    guarded = CallPolicy("v")(greet)
    assert inspect.iscoroutinefunction(guarded)
    assert asyncio.iscoroutinefunction(guarded)


@virtual_time
async def test_another_retry_around_a_decorated_function_awaits_it() -> None:
    attempts: list[int] = []

    @tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise=True)
    @CallPolicy("v")
    async def fails() -> None:
        attempts.append(1)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await fails()
    assert len(attempts) == 3


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_policy_says_that_it_is_not_copied(copied: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match="v: a policy holds the slots of one process"):
        copied(CallPolicy("v"))


@pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])
@virtual_time
async def test_a_response_without_a_request_comes_back_as_it_is(http: ModuleType) -> None:
    async def answers() -> Any:
        return http.Response(503)

    assert (await CallPolicy("v").call(answers)).status_code == 503


def test_a_decorated_generator_is_refused_with_the_way_out() -> None:
    async def tokens() -> AsyncIterator[str]:
        yield "a"

    with pytest.raises(TypeError, match=r"use policy\.stream"):
        CallPolicy("v")(tokens)  # type: ignore[arg-type]


@virtual_time
async def test_a_slot_can_be_held_over_a_block() -> None:
    policy = CallPolicy("v", max_concurrency=1, queue_timeout=1)
    async with policy.slot() as slot:
        assert policy.state().in_use == 1
        with pytest.raises(QueueTimeout):
            await asyncio.create_task(policy.call(greet, "you"))
        assert slot.waited == 0
    assert policy.state().in_use == 0


@virtual_time
async def test_a_slot_is_given_back_when_the_block_fails_or_is_cancelled() -> None:
    policy = CallPolicy("v", max_concurrency=1)
    for error in (ValueError, asyncio.CancelledError):
        with pytest.raises(error):
            async with policy.slot():
                raise error
        assert policy.state().in_use == 0


@virtual_time
async def test_a_block_reports_to_the_circuit_breaker() -> None:
    policy = CallPolicy("v", breaker=CircuitBreaker(minimum_calls=2))
    for _ in range(2):
        with pytest.raises(ConnectionError):
            async with policy.slot():
                raise ConnectionError
    assert policy.state().circuit == "open"


@virtual_time
async def test_a_foreign_limiter_is_shared_as_it_is() -> None:
    limiter = AsyncLimiter(2, 10)
    policy = CallPolicy("v", rate=limiter, queue_timeout=6)
    await limiter.acquire()
    await policy.call(greet, "you")
    await policy.call(greet, "you")
    assert asyncio.get_running_loop().time() == pytest.approx(5, abs=0.1)
    with pytest.raises(RateLimited):
        await asyncio.gather(policy.call(greet, "you"), policy.call(greet, "you"))
    assert asyncio.get_running_loop().time() == pytest.approx(11, abs=0.1)


@virtual_time
async def test_calls_at_a_foreign_limiter_count_as_queued() -> None:
    policy = CallPolicy("v", rate=AsyncLimiter(1, 10), max_queue=2, queue_timeout=2)
    calls = [asyncio.ensure_future(policy.call(greet, "you")) for _ in range(3)]
    await asyncio.sleep(0)
    assert policy.state().queued == 2
    with pytest.raises(QueueFull):
        await policy.call(greet, "you")
    await asyncio.gather(*calls, return_exceptions=True)
    assert policy.state().queued == 0


@virtual_time
async def test_priority_travels_to_policies_below_and_tokens_do_not() -> None:
    inner = CallPolicy("inner", max_concurrency=1, rate=Rate(10, per=60, counts="tokens"), queue_timeout=50)
    outer = CallPolicy("outer", rate=Rate(1000, per=60, burst=1000, counts="tokens"))
    order: list[str] = []

    async def note(name: str) -> None:
        order.append(name)
        await asyncio.sleep(1)

    async def through(name: str, priority: Priority) -> None:
        with outer.options(priority=priority, tokens=50):
            await outer.call(inner.call, note, name)

    calls = [through("first", Priority.LOW), through("low", Priority.LOW), through("high", Priority.HIGH)]
    await asyncio.gather(*calls)
    assert order == ["first", "high", "low"]


def test_a_policy_shows_its_settings() -> None:
    assert "name='v', max_concurrency=7" in repr(CallPolicy("v", max_concurrency=7))


@virtual_time
async def test_a_call_reports_its_whole_way() -> None:
    events: list[Event] = []
    policy = CallPolicy(
        "v", max_concurrency=1, retry=Retry(repeat="always"), events=events.append, clock=VirtualClock()
    )
    answers: list[Exception | None] = [ConnectionError("lost"), None]

    async def send() -> None:
        await asyncio.sleep(1)
        if (answer := answers.pop(0)) is not None:
            raise answer

    await policy.call(send)
    kinds = [Admitted, Released, AttemptEnded, RetryScheduled, Admitted, Released, AttemptEnded, CallEnded]
    assert [type(event) for event in events] == kinds
    first, last = (event for event in events if isinstance(event, AttemptEnded))
    assert (first.attempt, first.outcome, first.duration) == (1, "error", 1)
    assert (last.attempt, last.outcome, last.error) == (2, "ok", None)
    ended = events[-1]
    assert isinstance(ended, CallEnded)
    assert (ended.attempts, ended.outcome) == (2, "ok")
    assert ended.duration >= 2


@virtual_time
async def test_waits_are_told_apart_by_what_was_waited_for() -> None:
    events: list[Event] = []
    policy = CallPolicy("v", max_concurrency=1, rate=Rate(1, per=4), events=events.append)
    await asyncio.gather(policy.call(asyncio.sleep, 1), policy.call(asyncio.sleep, 0))
    waits = [(event.slot_wait, event.rate_wait) for event in events if isinstance(event, Admitted)]
    assert waits == [(0, 0), (1, 3)]


@pytest.mark.parametrize(
    ("outcome", "function", "error"),
    [("timeout", 5, CallTimeout), ("cancelled", 0, asyncio.CancelledError)],
)
def test_a_call_that_ends_badly_says_how(outcome: str, function: int, error: type[BaseException]) -> None:
    @virtual_time
    async def scenario() -> None:
        events: list[Event] = []
        policy = CallPolicy("v", call_timeout=1, events=events.append)

        async def send() -> None:
            if not function:
                raise asyncio.CancelledError
            await asyncio.sleep(function)

        with pytest.raises(error):
            await policy.call(send)
        ended = events[-1]
        assert isinstance(ended, CallEnded)
        assert ended.outcome == outcome

    scenario()


@virtual_time
async def test_a_refusal_is_reported_with_its_reason() -> None:
    events: list[Event] = []
    policy = CallPolicy("v", rate=Rate(1, per=60), queue_timeout=1, events=events.append)
    await policy.call(greet, "you")
    with pytest.raises(RateLimited):
        await policy.call(greet, "you")
    rejected = next(event for event in events if isinstance(event, Rejected))
    assert (rejected.reason, rejected.retry_after) == ("rate_limited", pytest.approx(60))
    assert isinstance(events[-1], CallEnded)


@virtual_time
async def test_a_sink_that_breaks_does_not_break_the_call(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise RuntimeError("disk full")

    with caplog.at_level(logging.ERROR):
        assert await CallPolicy("v", events=broken).call(greet, "you") == "hello you"
    assert "disk full" in caplog.text
