"""Whatever piece of the bookkeeping fails, and when: every slot comes back, and nobody is left inside."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from safecall_lint.runtime import AdaptiveConcurrency, CallPolicy, CircuitBreaker, Event, LoopClock, Rate, Retry
from safecall_lint.runtime import _failure as failure
from safecall_lint.runtime._breaker import Circuit
from safecall_lint.runtime._budget import Budget
from safecall_lint.runtime._gate import Gate
from safecall_lint.runtime._options import CallOptions
from safecall_lint.runtime._pace import Pace
from safecall_lint.runtime._quota import Charge, Quota
from safecall_lint.runtime._stream_report import StreamCounter, StreamReport
from safecall_lint.runtime._timer import CallTimer, CallTimers
from safecall_lint.runtime._watchdog import Watchdog
from safecall_lint.runtime.testing import run

PIECES: dict[Any, tuple[str, ...]] = {
    Circuit: ("refusal", "permit", "record", "forget"),
    Gate: ("enter", "join", "admit", "learn", "slot_estimate", "quota_estimate"),
    Pace: ("released", "answered", "wait", "quickest"),
    Quota: ("take", "wait", "estimate", "never_fits", "refund", "heed", "refused", "accepted"),
    Charge: ("refund", "heed", "settle"),
    Budget: ("count_call", "take", "give_back"),
    Retry: ("names", "delay", "may_repeat"),
    LoopClock: ("time", "wall", "sleep"),
    CallOptions: ("note",),
    CallTimers: ("start",),
    CallTimer: ("stop",),
    StreamCounter: ("open",),
    StreamReport: ("first_chunk",),
    Watchdog: ("begin", "stop"),
    failure: ("of_error", "of_answer", "of_response", "is_response"),
}


class Broken(BaseException):
    """Nobody catches this by accident."""


TIMES: dict[int, type[BaseException]] = {1: RuntimeError, 2: Broken, 5: RuntimeError, 13: Broken, 34: RuntimeError}
"""Which use of a piece fails, and with what."""


def break_once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, time: int, error: type[BaseException]) -> None:
    """Let the `time`th use of a piece fail, and no other."""
    works = getattr(owner, name)
    used = 0

    def breaks(*args: Any, **kwargs: Any) -> Any:
        nonlocal used
        used += 1
        if used == time:
            raise error(f"{name}, use {time}")
        return works(*args, **kwargs)

    monkeypatch.setattr(owner, name, breaks)


def a_policy(**settings: Any) -> CallPolicy:
    return CallPolicy(
        "v",
        max_concurrency=AdaptiveConcurrency(minimum=2, initial=2, maximum=4),
        max_queue=50,
        queue_timeout=5,
        call_timeout=2,
        deadline=20,
        rate=[Rate(1000, per=1), Rate(10_000, per=1, counts="tokens")],
        retry=Retry(repeat="always", adaptive=True),
        breaker=CircuitBreaker(minimum_calls=5, open_for=1, slow_call=1.5, slow_rate=1),
        **settings,
    )


async def chunks(count: int, *, breaks: bool = False) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(0.1)
        yield b"x"
    if breaks:
        raise ConnectionError


def network(http: ModuleType) -> Any:
    """A vendor without sockets, whose bodies come in pieces; the path is the status."""

    class Body(http.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            async for chunk in chunks(3):
                yield chunk

    async def answer(request: Any) -> Any:
        await asyncio.sleep(0.1)
        kind = "text/event-stream" if request.url.path.endswith("/stream") else "application/json"
        headers = {"x-ratelimit-remaining-requests": "900", "content-type": kind}
        return http.Response(int(request.url.path.split("/")[1]), headers=headers, stream=Body())

    return http.MockTransport(answer)


async def use_every_form(policy: CallPolicy) -> None:
    """Call in all ways, well and badly, more at once than there are slots, and cancel some."""

    async def fails() -> None:
        await asyncio.sleep(0.1)
        raise ConnectionError

    async def held(error: type[Exception] | None) -> None:
        with policy.options(tokens=5) as options:
            async with policy.slot():
                await asyncio.sleep(0.2)
                if error is not None:
                    raise error
        options.settle(1)

    async def streamed(count: int, read: int, *, breaks: bool = False) -> None:
        async with policy.stream(chunks, count, breaks=breaks) as stream:
            async for _ in stream:
                read -= 1
                if not read:
                    return

    async def left(client: Any) -> None:
        async with client.stream("GET", "http://v.test/200/stream") as response:
            async for _ in response.aiter_bytes():
                return

    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for http in (httpx, httpx2):
            client = http.AsyncClient(transport=policy.transport(http.__name__, inner=network(http)))  # type: ignore[call-overload]
            clients.append(await stack.enter_async_context(client))
        calls: list[Any] = [policy.call(asyncio.sleep, 0.1) for _ in range(3)]
        calls += [policy.call(fails), policy.call(asyncio.sleep, 9), held(None), held(KeyError), held(ConnectionError)]
        calls += [streamed(3, 9), streamed(3, 1), streamed(2, 9, breaks=True), streamed(0, 9)]
        for client in clients:
            calls += [client.get(f"http://v.test/{path}") for path in ("200", "503", "429", "200/stream", "404")]
            calls.append(left(client))
        tasks = [asyncio.ensure_future(call) for call in calls]
        for number, task in enumerate(tasks[::4]):
            asyncio.get_running_loop().call_later(0.15 * number, task.cancel)
        await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.exception()


async def everything_is_back(policy: CallPolicy) -> None:
    gc.collect()
    await asyncio.sleep(60)
    state = policy.state()
    assert (state.in_use, state.queued, state.streams) == (0, 0, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy._layers, "circuit", None)
        for _ in range(4):
            with contextlib.suppress(Exception):
                await policy.call(asyncio.sleep, 0)
            await asyncio.sleep(2)
        async with asyncio.timeout(1):
            await asyncio.gather(*(policy.call(asyncio.sleep, 0) for _ in range(policy.state().limit)))
    assert not policy._layers.inside.tasks


@pytest.mark.parametrize(
    ("owner", "name"),
    [(owner, name) for owner, names in PIECES.items() for name in names],
    ids=[f"{owner.__name__.rpartition('.')[2]}.{name}" for owner, names in PIECES.items() for name in names],
)
def test_every_slot_comes_back_whatever_piece_fails(owner: Any, name: str) -> None:
    async def scenario(time: int, error: type[BaseException]) -> None:
        policy = a_policy()
        with pytest.MonkeyPatch.context() as monkeypatch:
            break_once(monkeypatch, owner, name, time, error)
            await use_every_form(policy)
        await everything_is_back(policy)

    for time, error in TIMES.items():
        run(scenario(time, error))


@pytest.mark.parametrize("error", [RuntimeError, asyncio.CancelledError])
def test_a_listener_that_raises_takes_no_slot_and_breaks_no_call(error: type[BaseException]) -> None:
    told: list[Event] = []

    def listener(event: Event) -> None:
        told.append(event)
        raise error

    async def scenario() -> None:
        policy = a_policy(events=listener)
        await use_every_form(policy)
        await everything_is_back(policy)
        assert await policy.call(asyncio.sleep, 0, "answer") == "answer"

    run(scenario())
    assert len({type(event) for event in told}) > 8


def test_a_setting_of_a_wrong_type_costs_no_slot() -> None:
    """It is refused where a policy is made; one that slips through shows itself and holds nothing."""

    async def scenario() -> None:
        policy = a_policy()
        assert policy.breaker is not None
        object.__setattr__(policy.breaker, "slow_call", "1")
        for _ in range(5):
            with pytest.raises(TypeError):
                await policy.call(asyncio.sleep, 0)
        assert policy.state().in_use == 0

    run(scenario())


def test_a_response_whose_bookkeeping_fails_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []

    class Body(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b""

        async def aclose(self) -> None:
            closed.append("closed")

    async def scenario(owner: Any, name: str) -> None:
        policy = a_policy()
        inner = httpx.MockTransport(lambda _request: httpx.Response(503, stream=Body()))
        async with httpx.AsyncClient(transport=policy.transport(inner=inner)) as client:
            with pytest.MonkeyPatch.context() as patch:
                break_once(patch, owner, name, 1, RuntimeError)
                with pytest.raises(RuntimeError):
                    await client.get("http://v.test/")
        assert policy.state().in_use == 0

    for owner, name in ((failure, "of_answer"), (Retry, "names")):
        closed.clear()
        run(scenario(owner, name))
        assert closed == ["closed"]
