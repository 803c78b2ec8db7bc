"""Several streams at once, and one stream over several connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Generic, TypeVar

from . import _failure
from ._pending import Pending
from ._policy import CallPolicy
from ._setting import called_later, count, each, instance
from ._shield import shielded
from ._stream import Stream, StreamContext

T = TypeVar("T")

_STREAM = instance(StreamContext, "no slot is held for it", "what policy.stream() returns")
_STREAMS = each(_STREAM)
_POLICY = instance(CallPolicy, "nothing opens the stream", "a CallPolicy")
_BUFFER = count(1, "no chunk has a place to wait")
_BREAKS = count(0, "not even the first connection is made")

_CLOSING = 2.0


class merge(Generic[T]):  # noqa: N801 (used like a function, as `contextlib.suppress` is)
    """Read several streams as one: `async with merge(a, b) as chunks`, then iterate pairs of number and chunk.

    Chunks come as they arrive. A slow reader slows the vendors down: no more than `buffer` chunks wait in memory.
    The first stream that fails ends them all, and so does the end of the block: each is closed at its vendor.

    Args:
        streams: what `policy.stream()` returned, not yet entered.
        buffer: chunks that may wait for the reader, of all streams together.

    Raises:
        TypeError: something else than a stream of a policy, or a `buffer` that is no whole number.
        ValueError: `buffer` is below 1.
    """

    def __init__(self, *streams: StreamContext[T], buffer: int = 16) -> None:
        _STREAMS("merge", "streams", streams)
        _BUFFER("merge", "buffer", buffer)
        self._streams = streams
        self._queue: asyncio.Queue[tuple[int, T] | BaseException | None] = asyncio.Queue(buffer)
        self._tasks: list[asyncio.Task[None]] = []
        self._chunks = Pending(self._read())

    async def __aenter__(self) -> AsyncIterator[tuple[int, T]]:
        self._tasks = [asyncio.create_task(self._pump(number)) for number in range(len(self._streams))]
        return self._chunks

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._chunks.aclose()
        finally:
            await _cancel(self._tasks)

    async def _pump(self, number: int) -> None:
        try:
            async with self._streams[number] as stream:
                async for chunk in stream:
                    await self._queue.put((number, chunk))
        except (Exception, asyncio.CancelledError) as error:
            if _is_being_cancelled():
                raise
            await self._queue.put(error)
        else:
            await self._queue.put(None)

    async def _read(self) -> AsyncGenerator[tuple[int, T], None]:
        running = len(self._streams)
        while running:
            item = await self._queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                running -= 1
            else:
                yield item


class race(Generic[T]):  # noqa: N801 (used like a function, as `contextlib.suppress` is)
    """Open several streams and keep the first that has a chunk: `async with race(a, b) as stream`.

    An empty stream wins only where no other has a chunk.

    The others are cancelled and closed at their vendors at once. Each costs a slot and quota while it runs, so race
    where the wait is worth a second request.

    Args:
        streams: what `policy.stream()` returned, not yet entered.

    Raises:
        TypeError: something else than a stream of a policy.
        Exception: what the last stream failed with, when none was opened.
    """

    def __init__(self, first: StreamContext[T], *others: StreamContext[T]) -> None:
        self._streams = (first, *others)
        _STREAM("race", "first", first)
        _STREAMS("race", "others", others)
        self._winner: Stream[T] | None = None

    async def __aenter__(self) -> Stream[T]:
        opening = [asyncio.create_task(stream.__aenter__()) for stream in self._streams]
        winner: Stream[T] | None = None
        try:
            self._winner = winner = await _first_with_a_chunk(opening)
            return winner
        finally:
            try:
                await shielded(_close_losers(opening, winner), timeout=_CLOSING)
            except TimeoutError:  # a loser whose closing hangs is no reason to lose the winner
                pass
            except BaseException:
                if winner is not None:
                    await winner.aclose()
                raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._winner is not None:
            await self._winner.aclose()


class resumed(Generic[T]):  # noqa: N801 (used like a function, as `contextlib.suppress` is)
    """Read one stream over several connections, where the vendor can continue after a break.

    `async with resumed(policy, opens) as chunks`, then iterate the chunks.

    Args:
        policy: opens each connection, with its own retries.
        opens: begins the stream after a chunk, or from its start where that is None. Only the vendor can skip what
            was sent already: pass its cursor, event id or offset on.
        breaks: how many breaks are bridged; one more is raised.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: `breaks` is negative.
        Exception: what the stream broke with, when it cannot be resumed or has broken too often.
    """

    def __init__(
        self,
        policy: CallPolicy,
        opens: Callable[[T | None], AsyncIterable[T] | Awaitable[AsyncIterable[T]]],
        *,
        breaks: int = 3,
    ) -> None:
        _POLICY("resumed", "policy", policy)
        called_later("resumed", "opens", opens)
        _BREAKS("resumed", "breaks", breaks)
        self._policy = policy
        self._opens = opens
        self._breaks = breaks
        self._chunks = Pending(self._read())

    async def __aenter__(self) -> AsyncIterator[T]:
        return self._chunks

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._chunks.aclose()

    async def _read(self) -> AsyncGenerator[T, None]:
        last: T | None = None
        while True:
            try:
                async with self._policy.stream(self._opens, last) as stream:
                    async for chunk in stream:
                        last = chunk
                        yield chunk
            except Exception as error:
                self._breaks -= 1
                if last is None or self._breaks < 0 or not _failure.is_transient(error):
                    raise
            else:
                return


async def _first_with_a_chunk(opening: Sequence[asyncio.Task[Stream[T]]]) -> Stream[T]:
    """Return the first stream that has a chunk; where none has, one that came to its end without."""
    empty: Stream[T] | None = None
    failed: Exception | None = None
    for finished in asyncio.as_completed(opening):
        try:
            stream = await finished
        except Exception as error:  # noqa: BLE001 (raised where no other stream is better)
            failed = error
        else:
            if not stream.empty:
                return stream
            empty = empty or stream
    if empty is not None:
        return empty
    raise failed or AssertionError("a race has at least one stream")


async def _close_losers(opening: Sequence[asyncio.Task[Stream[T]]], winner: Stream[T] | None) -> None:
    """Close all at once, and each whatever the closing of another comes to."""
    await _cancel(opening)
    opened = [task.result() for task in opening if not task.cancelled() and task.exception() is None]
    await asyncio.gather(*(stream.aclose() for stream in opened if stream is not winner), return_exceptions=True)


def _is_being_cancelled() -> bool:
    """Whether somebody cancels the current task: a library also raises `CancelledError` of its own."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cancel(tasks: Sequence[asyncio.Task[T]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
