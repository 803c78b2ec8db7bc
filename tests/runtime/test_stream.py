"""Streams: retried before the first chunk, watched to the last, and never in possession of a slot for longer."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import httpx2
import pytest

from safecall_lint.runtime import (
    CallPolicy,
    CircuitBreaker,
    Event,
    QueueTimeout,
    Retry,
    StreamLimits,
    StreamTimeout,
    deadline,
    merge,
    race,
    resumed,
    sse_events,
)
from safecall_lint.runtime._errors import DeadlineExceeded
from safecall_lint.runtime._events import StreamEnded, StreamFirstChunk, StreamOpened
from safecall_lint.runtime.testing import Vendor, VirtualClock, sse, stream, virtual_time

both_clients = pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])


def a_policy(**settings: Any) -> CallPolicy:
    settings = {"retry": Retry(repeat="always"), "clock": VirtualClock()} | settings
    return CallPolicy("v", **settings)


class Source:
    """An upstream stream that notes whether it was closed."""

    def __init__(self, *steps: float | Exception, chunks: int = 0) -> None:
        self.steps = [*steps, *[0.0] * chunks]
        self.opened = 0
        self.closed = 0

    async def __call__(self) -> AsyncIterator[int]:
        self.opened += 1
        try:
            for number, step in enumerate(self.steps):
                if isinstance(step, Exception):
                    raise step
                await asyncio.sleep(step)
                yield number
        finally:
            self.closed += 1


class Connection:
    """What an SDK returns for a stream: its closing takes `closing` seconds, or fails."""

    def __init__(self, *, closing: float | Exception) -> None:
        self.closing = closing
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(100)
        yield 2

    async def aclose(self) -> None:
        self.closed += 1
        if isinstance(self.closing, Exception):
            raise self.closing
        await asyncio.sleep(self.closing)


async def opened(connection: Connection) -> Connection:
    return connection


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual_time
async def test_the_slot_is_held_until_the_last_chunk() -> None:
    policy = a_policy(max_concurrency=1, queue_timeout=1)
    async with policy.stream(Source(0.5, 0.5, 0.5)) as chunks:
        assert policy.state().in_use == 1
        with pytest.raises(QueueTimeout):
            await asyncio.create_task(policy.call(asyncio.sleep, 0))
        assert [chunk async for chunk in chunks] == [0, 1, 2]
    assert policy.state().in_use == 0
    assert policy.state().streams == 0


@virtual_time
async def test_streams_can_have_slots_of_their_own() -> None:
    policy = a_policy(max_concurrency=1, max_streams=2, queue_timeout=1)
    async with policy.stream(Source(chunks=2)), policy.stream(Source(chunks=2)):
        assert policy.state().in_use == 0
        await policy.call(asyncio.sleep, 0)
        with pytest.raises(QueueTimeout, match="none of 2 slots"):
            async with policy.stream(Source(chunks=2)):
                pass


@virtual_time
async def test_a_stream_may_weigh_more_than_a_call() -> None:
    policy = a_policy(max_concurrency=3, queue_timeout=1)
    with policy.options(weight=2):
        stream = policy.stream(Source(chunks=2))
    async with stream:
        assert policy.state().in_use == 2


@virtual_time
async def test_a_reader_that_leaves_early_closes_the_stream_at_the_vendor() -> None:
    policy = a_policy()
    source = Source(chunks=100)
    async with policy.stream(source) as chunks:
        async for _ in chunks:
            break
        assert source.closed == 0
    assert source.closed == 1
    assert policy.state().in_use == 0


@virtual_time
async def test_a_stream_that_is_dropped_is_counted_down() -> None:
    events: list[Event] = []
    policy = a_policy(events=events.append)
    stream_of_nobody: Any = await policy.stream(Source(chunks=3)).__aenter__()
    assert (stream_of_nobody.chunks, policy.state().streams) == (0, 1)
    del stream_of_nobody
    gc.collect()
    await asyncio.sleep(0)
    assert (policy.state().streams, policy.state().in_use) == (0, 0)
    assert [event.outcome for event in events if isinstance(event, StreamEnded)] == ["disconnected"]


def test_a_stream_whose_loop_is_gone_is_counted_down() -> None:
    policy = a_policy()
    kept: list[Any] = []

    @virtual_time
    async def run() -> None:
        kept.append(await policy.stream(Source(chunks=3)).__aenter__())

    @virtual_time
    async def afterwards() -> None:
        assert policy.state().streams == 1
        kept.clear()
        gc.collect()
        assert policy.state().streams == 0

    run()
    afterwards()


@virtual_time
async def test_a_reader_that_fails_or_is_cancelled_closes_it_too() -> None:
    policy = a_policy()
    for error in (ValueError, asyncio.CancelledError):
        source = Source(chunks=100)
        with pytest.raises(error):
            async with policy.stream(source) as chunks:
                async for _ in chunks:
                    raise error
        assert source.closed == 1
        assert policy.state().in_use == 0


@virtual_time
async def test_a_cancelled_scope_of_anyio_does_not_stop_the_closing() -> None:
    policy = a_policy()
    closed = False

    class Upstream:
        def __aiter__(self) -> AsyncIterator[int]:
            return self

        async def __anext__(self) -> int:
            await asyncio.sleep(1)
            return 1

        async def aclose(self) -> None:
            nonlocal closed
            await asyncio.sleep(0.2)
            closed = True

    async def opens() -> Upstream:
        return Upstream()

    with anyio.move_on_after(2.5):
        async with policy.stream(opens) as chunks:
            async for _ in chunks:
                pass
    assert closed
    assert policy.state().in_use == 0


@virtual_time
async def test_opening_is_retried_and_the_broken_attempt_is_closed() -> None:
    policy = a_policy()
    sources = [Source(ConnectionError()), Source(0.1, 0.1)]
    opened = iter(sources)
    async with policy.stream(lambda: next(opened)()) as chunks:  # noqa: PLW0108 (the next one at each attempt)
        assert [chunk async for chunk in chunks] == [0, 1]
    assert [source.closed for source in sources] == [1, 1]


@virtual_time
async def test_nothing_is_retried_after_the_first_chunk() -> None:
    policy = a_policy()
    source = Source(0.1, ConnectionError())
    with pytest.raises(ConnectionError):
        async with policy.stream(source) as chunks:
            async for _ in chunks:
                pass
    assert source.opened == 1


@virtual_time
async def test_an_empty_stream_is_a_stream() -> None:
    async with a_policy().stream(Source()) as chunks:
        assert [chunk async for chunk in chunks] == []


@virtual_time
async def test_a_late_first_chunk_ends_the_attempt() -> None:
    policy = a_policy(stream_limits=StreamLimits(first=2), retry=Retry(attempts=1))
    source = Source(5)
    with pytest.raises(StreamTimeout, match="no first chunk within 2 s") as raised:
        async with policy.stream(source):
            pass
    assert raised.value.phase == "first"
    assert (now(), source.closed, policy.state().in_use) == (2, 1, 0)


@virtual_time
async def test_a_pause_that_is_too_long_ends_the_stream() -> None:
    policy = a_policy(stream_limits=StreamLimits(first=30, idle=2))
    source = Source(10, 1.9, 1.9, 1.9, 60)
    with pytest.raises(StreamTimeout) as raised:
        async with policy.stream(source) as chunks:
            async for _ in chunks:
                pass
    assert raised.value.phase == "idle"
    assert now() == pytest.approx(10 + 3 * 1.9 + 2)
    assert (source.closed, policy.state().in_use) == (1, 0)


@virtual_time
async def test_an_endless_stream_ends_with_the_total() -> None:
    policy = a_policy(stream_limits=StreamLimits(first=3, idle=3, total=10))
    with pytest.raises(StreamTimeout) as raised:
        async with policy.stream(Source(*[1.0] * 60)) as chunks:
            async for _ in chunks:
                pass
    assert (raised.value.phase, now()) == ("total", pytest.approx(10))


@virtual_time
async def test_a_slow_reader_is_never_interrupted_and_not_the_vendors_fault() -> None:
    policy = a_policy(stream_limits=StreamLimits(first=1, idle=1, total=60))
    seen = []
    async with policy.stream(Source(*[0.5] * 4)) as chunks:
        async for chunk in chunks:
            await asyncio.sleep(5)
            seen.append(chunk)
    assert seen == [0, 1, 2, 3]


KEPT_ALIVE: dict[str, Callable[[CallPolicy, Source], Any]] = {
    "stream": lambda policy, source: policy.stream(source),
    "merge": lambda policy, source: merge(policy.stream(source)),
    "resumed": lambda policy, source: resumed(policy, lambda _: source()),
}


@pytest.mark.parametrize("form", KEPT_ALIVE)
@pytest.mark.parametrize("cancelled", [True, False], ids=["cancelled", "left"])
def test_a_block_may_end_while_a_task_waits_for_the_next_chunk(form: str, cancelled: bool) -> None:
    """As a server of events writes it, to send a comment where no chunk has come for some seconds."""

    @virtual_time
    async def run() -> None:
        policy = a_policy()
        source = Source(0, 20)
        pending: list[asyncio.Future[Any]] = []

        async def handler() -> None:
            async with KEPT_ALIVE[form](policy, source) as chunks:
                iterator = aiter(chunks)
                await anext(iterator)
                pending.append(asyncio.ensure_future(anext(iterator)))
                await asyncio.wait(pending, timeout=100 if cancelled else 5)

        task = asyncio.create_task(handler())
        await asyncio.sleep(5)
        if cancelled:
            task.cancel()
        await asyncio.wait([task])
        assert (task.cancelled(), now()) == (cancelled, 5)
        assert pending[0].cancelled()
        assert (source.closed, policy.state().in_use, policy.state().streams) == (1, 0, 0)

    run()


@virtual_time
async def test_a_task_that_reads_on_elsewhere_is_stopped_with_its_stream_closed_in_time() -> None:
    policy = a_policy()
    source = Source(*[1.0] * 10)
    stopped: list[float] = []

    async def read(chunks: AsyncIterator[int]) -> None:
        try:
            async for _ in chunks:
                pass
        finally:
            await asyncio.sleep(50)  # what the task does afterwards keeps nobody waiting
            stopped.append(now())

    async with policy.stream(source) as chunks:
        reader = asyncio.create_task(read(aiter(chunks)))
        await asyncio.sleep(2.5)
    assert (source.closed, policy.state().in_use, now()) == (1, 0, 3.5)
    await asyncio.wait([reader])
    assert stopped == [53.5]


@virtual_time
async def test_a_read_that_cannot_be_cancelled_keeps_the_end_of_the_block_a_second_and_no_slot() -> None:
    class Deaf(Connection):
        async def __aiter__(self) -> AsyncIterator[int]:
            yield 1
            while not released.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await released.wait()
            yield 2

    policy, deaf, released = a_policy(), Deaf(closing=0), asyncio.Event()
    with pytest.raises(RuntimeError):
        async with policy.stream(opened, deaf) as chunks:
            iterator = aiter(chunks)
            await anext(iterator)
            pending = asyncio.ensure_future(anext(iterator))
            await asyncio.sleep(1)
    assert (deaf.closed, policy.state().in_use) == (1, 0)
    assert now() <= 3
    released.set()
    await asyncio.wait([pending])


@virtual_time
async def test_the_total_is_noticed_at_the_next_read_of_a_slow_reader() -> None:
    policy = a_policy(stream_limits=StreamLimits(first=1, idle=1, total=10))
    worked = 0
    with pytest.raises(StreamTimeout):
        async with policy.stream(Source(*[0.5] * 9)) as chunks:
            async for _ in chunks:
                await asyncio.sleep(12)
                worked += 1
    assert worked == 1


@virtual_time
async def test_a_deadline_around_the_stream_ends_it() -> None:
    policy = a_policy()
    with pytest.raises(DeadlineExceeded):
        async with deadline(3), policy.stream(Source(*[1.0] * 60)) as chunks:
            async for _ in chunks:
                pass
    assert now() == 3


@virtual_time
async def test_a_timeout_leaves_the_task_usable() -> None:
    policy = a_policy(stream_limits=StreamLimits(first=1, idle=1, total=10))
    with pytest.raises(StreamTimeout):
        async with policy.stream(Source(0.5, 60)) as chunks:
            async for _ in chunks:
                pass
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(1)


@virtual_time
async def test_a_stream_that_dies_counts_and_one_that_is_left_does_not() -> None:
    policy = a_policy(breaker=CircuitBreaker(minimum_calls=3))
    for _ in range(5):
        async with policy.stream(Source(chunks=9)) as chunks:
            async for _ in chunks:
                break
    assert policy.state().circuit == "closed"
    for _ in range(3):
        with pytest.raises(ConnectionError):
            async with policy.stream(Source(0, ConnectionError())) as chunks:
                async for _ in chunks:
                    pass
    assert policy.state().circuit == "open"


@virtual_time
async def test_a_slow_call_is_measured_to_the_first_chunk() -> None:
    policy = a_policy(breaker=CircuitBreaker(minimum_calls=2, slow_call=3))
    for _ in range(4):
        async with policy.stream(Source(*[1.0] * 10)) as chunks:
            async for _ in chunks:
                pass
    assert policy.state().circuit == "closed"


@virtual_time
async def test_a_stream_reports_its_whole_way() -> None:
    events: list[Event] = []
    policy = a_policy(events=events.append)
    async with policy.stream(Source(2, 1, 1)) as chunks:
        async for _ in chunks:
            pass
    told = [event for event in events if isinstance(event, StreamOpened | StreamFirstChunk | StreamEnded)]
    assert told == [
        StreamOpened("v", active=1),
        StreamFirstChunk("v", waited=2),
        StreamEnded("v", "ok", duration=2, chunks=3, active=0, error=None),
    ]


@pytest.mark.parametrize(
    ("steps", "outcome"), [((0, 99), "timeout"), ((0, OSError()), "error"), ((0, 0), "disconnected")]
)
def test_the_end_of_a_stream_is_named(steps: tuple[Any, ...], outcome: str) -> None:
    @virtual_time
    async def scenario() -> None:
        events: list[Event] = []
        try:
            async with a_policy(events=events.append).stream(Source(*steps)) as chunks:
                async for _ in chunks:
                    if outcome == "disconnected":
                        break
        except OSError:
            pass
        ended = next(event for event in events if isinstance(event, StreamEnded))
        assert ended.outcome == outcome

    scenario()


@both_clients
def test_events_of_a_vendor_are_read_through_a_generator(http: Any) -> None:
    @virtual_time
    async def scenario() -> None:
        policy = a_policy()
        async with Vendor() as vendor, http.AsyncClient(base_url=vendor.url) as client:
            vendor.on("/", stream([sse({"n": number}) for number in range(5)], gap=1))

            async def tokens() -> AsyncIterator[str]:
                async with client.stream("GET", "/") as response:
                    async for event in sse_events(response):
                        yield event.data

            async with policy.stream(tokens) as chunks:
                first = await anext(aiter(chunks))
            assert first == '{"n": 0}'
            await asyncio.sleep(0.1)
            assert vendor.traffic.early_closes == 1
        assert policy.state().in_use == 0

    scenario()


@virtual_time
async def test_merged_chunks_come_as_they_arrive() -> None:
    policy = a_policy()
    async with merge(policy.stream(Source(1, 2, 2)), policy.stream(Source(2, 2))) as chunks:
        assert [chunk async for chunk in chunks] == [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]
    assert policy.state().in_use == 0


@virtual_time
async def test_a_failing_stream_ends_its_siblings() -> None:
    policy = a_policy()
    slow = Source(*[1.0] * 100)
    with pytest.raises(ConnectionError):
        async with merge(policy.stream(slow), policy.stream(Source(1.5, ConnectionError()))) as chunks:
            async for _ in chunks:
                pass
    assert slow.closed == 1
    assert (policy.state().in_use, now()) == (0, 1.5)


@virtual_time
async def test_a_slow_reader_slows_the_vendors_down() -> None:
    policy = a_policy()
    sent = 0

    async def fast() -> AsyncIterator[int]:
        nonlocal sent
        for number in range(1000):
            sent += 1
            yield number

    async with merge(policy.stream(fast), buffer=4) as chunks:
        read = 0
        async for _ in chunks:
            read += 1
            await asyncio.sleep(1)
            assert sent <= read + 4 + 2
            if read == 20:
                break


@virtual_time
async def test_the_fastest_of_several_streams_wins_and_the_others_are_closed() -> None:
    policy = a_policy()
    slow, broken, fast = Source(5, 5), Source(ConnectionError()), Source(2, 1)
    once = a_policy(retry=Retry(attempts=1))
    async with race(policy.stream(slow), once.stream(broken), policy.stream(fast)) as winner:
        assert (now(), slow.closed, policy.state().in_use) == (2, 1, 1)
        assert [chunk async for chunk in winner] == [0, 1]
    assert policy.state().in_use == 0


@virtual_time
async def test_a_race_that_nobody_wins_ends_with_the_last_error() -> None:
    policy = a_policy(retry=Retry(attempts=1))
    with pytest.raises(KeyError):
        async with race(policy.stream(Source(ConnectionError())), policy.stream(Source(KeyError()))):
            pass
    assert policy.state().in_use == 0


@virtual_time
async def test_an_empty_stream_wins_no_race_that_another_can_win() -> None:
    policy = a_policy()
    empty, later = Source(), Source(1, 1)
    async with race(policy.stream(empty), policy.stream(later)) as winner:
        assert [chunk async for chunk in winner] == [0, 1]
    assert (empty.closed, later.closed, policy.state().in_use) == (1, 1, 0)


@virtual_time
async def test_a_race_of_streams_without_chunks_gives_an_empty_one() -> None:
    policy = a_policy(retry=Retry(attempts=1))
    async with race(policy.stream(Source()), policy.stream(Source(KeyError()))) as winner:
        assert [chunk async for chunk in winner] == []
    assert policy.state().in_use == 0


@virtual_time
async def test_a_race_that_is_cancelled_while_the_losers_are_closed_closes_its_winner() -> None:
    policy = a_policy()
    fast, slow = Connection(closing=0), Connection(closing=0.5)

    async def reader() -> None:
        async with race(policy.stream(opened, fast), policy.stream(opened, slow)):
            raise AssertionError

    task = asyncio.create_task(reader())
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert (fast.closed, slow.closed, policy.state().in_use, policy.state().streams) == (1, 1, 0, 0)


@pytest.mark.parametrize("closing", [ConnectionError(), 100.0], ids=["fails", "hangs"])
def test_a_loser_that_cannot_be_closed_costs_no_winner(closing: float | Exception) -> None:
    @virtual_time
    async def run() -> None:
        policy = a_policy()
        winner, losers = Connection(closing=0), [Connection(closing=closing) for _ in range(2)]
        async with race(*[policy.stream(opened, one) for one in [winner, *losers]]) as stream:
            assert await anext(aiter(stream)) == 1
            assert (now() <= 3, policy.state().in_use) == (True, 1)
        assert [one.closed for one in [winner, *losers]] == [1, 1, 1]
        assert policy.state().in_use == 0

    run()


@virtual_time
async def test_a_stream_that_cancels_itself_ends_a_merge() -> None:
    policy = a_policy()
    slow = Source(*[1.0] * 100)

    async def library() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    read = 0
    with pytest.raises(asyncio.CancelledError):
        async with merge(policy.stream(library), policy.stream(slow)) as chunks:
            async for _ in chunks:
                read += 1
    assert (read, slow.closed, policy.state().in_use, now()) == (1, 1, 0, 0)


@virtual_time
async def test_a_broken_stream_goes_on_after_its_last_chunk() -> None:
    policy = a_policy()
    asked: list[int | None] = []

    async def after(last: int | None) -> AsyncIterator[int]:
        asked.append(last)
        start = 0 if last is None else last + 1
        for number in range(start, 10):
            if number in (3, 7) and number > start:
                raise ConnectionError
            yield number

    async with resumed(policy, after) as chunks:
        assert [chunk async for chunk in chunks] == list(range(10))
    assert asked == [None, 2, 6]


@virtual_time
async def test_a_stream_that_breaks_too_often_is_given_up() -> None:
    policy = a_policy()
    opened = 0

    async def after(last: int | None) -> AsyncIterator[int]:
        nonlocal opened
        opened += 1
        yield opened
        raise ConnectionError

    with pytest.raises(ConnectionError):
        async with resumed(policy, after, breaks=2) as chunks:
            async for _ in chunks:
                pass
    assert opened == 3


@virtual_time
async def test_a_mistake_in_a_stream_is_not_resumed() -> None:
    async def after(last: int | None) -> AsyncIterator[int]:
        yield 1
        raise KeyError

    with pytest.raises(KeyError):
        async with resumed(a_policy(), after) as chunks:
            async for _ in chunks:
                pass


@asynccontextmanager
async def connection_that_leaves(seconds: float) -> AsyncIterator[None]:
    """What a server does to a handler whose client leaves: cancel it, wherever it is."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_later(seconds, task.cancel)
    try:
        yield
    except asyncio.CancelledError:
        task.uncancel()


@virtual_time
async def test_a_disconnect_during_a_send_frees_the_slot_at_once() -> None:
    policy = a_policy()
    source = Source(*[0.1] * 50)

    async def blocked_send(chunk: int) -> None:
        await asyncio.sleep(3600)

    async with connection_that_leaves(5), policy.stream(source) as chunks:
        async for chunk in chunks:
            await blocked_send(chunk)
    assert now() - 5 <= 0.05
    assert (source.closed, policy.state().in_use) == (1, 0)
