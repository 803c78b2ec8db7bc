"""Streams: retried until the first chunk, watched until the last, and in possession of their slot all the while."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

from . import _deadline, _failure
from ._errors import StreamPhase, StreamTimeout
from ._execution import Execution
from ._failure import Failure
from ._options import CallOptions
from ._reading import Reading
from ._shield import shielded
from ._single_use import entered_twice
from ._slot import Slot
from ._stream_report import StreamCounter, StreamReport
from ._watchdog import StreamLimits, Watchdog

T = TypeVar("T")

_CLOSING = 1.0


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The limits of streams, who counts them and who runs the attempts to open them."""

    limits: StreamLimits
    counter: StreamCounter
    execution: Execution


class Stream(Generic[T]):
    """An open stream: iterate it once. It is made by `async with policy.stream(...)`.

    Attributes:
        waited: seconds from the slot to the first chunk.
        empty: whether it came to its end without a chunk.
    """

    _report: StreamReport | None = None

    def __init__(
        self,
        source: object,
        iterator: AsyncIterator[T],
        first: list[T],
        slot: Slot,
        at: float,
        settings: StreamSettings,
    ) -> None:
        self._source = source
        self._slot = slot
        self._name = settings.counter.name
        self.waited = slot.age()
        self.empty = not first
        watchdog = Watchdog(settings.limits, slot.time, at)
        self._reading = Reading(iterator, watchdog, self._late, first)
        self._chunks = self._reading.all()
        self._report = report = settings.counter.open()
        try:
            if first:
                report.first_chunk(self.waited)
                slot.answered(self.waited)
        except BaseException as error:
            report.end(finished=False, chunks=0, error=error)
            raise

    @property
    def chunks(self) -> int:
        """How many chunks have been read."""
        return self._reading.chunks

    def __aiter__(self) -> AsyncIterator[T]:
        """Yield the chunks.

        Raises:
            StreamTimeout: a chunk was late, or the stream too long.
        """
        return self._chunks

    async def aclose(self) -> None:
        """Close the stream at the vendor and give the slot back, whatever else happens to this task."""
        try:
            await (self._close() if self._reading.finished else shielded(self._close(), timeout=_CLOSING))
        finally:
            self._leave()

    async def _close(self) -> None:
        try:
            await self._reading.interrupt()
        finally:
            try:
                await self._chunks.aclose()
            finally:
                await close(self._source)

    def _leave(self) -> None:
        reading = self._reading
        try:
            if self._report is not None:
                self._report.end(finished=reading.finished, chunks=reading.chunks, error=reading.error)
            if reading.error is not None:
                self._slot.leave(_failure.of_error(reading.error), self.waited)
            elif reading.finished:
                self._slot.leave(None, self.waited)
        finally:
            self._slot.abandon()

    def _late(self, phase: StreamPhase | None) -> StreamTimeout:
        text = f"{self._name}: the stream broke its {phase} time limit, so it was closed"
        return StreamTimeout(text, policy=self._name, phase=phase or "total")

    def __del__(self) -> None:
        self._slot.lose()
        if self._report is not None:
            self._report.lose(self._reading.chunks)


class StreamContext(Generic[T]):
    """`async with` around one stream."""

    def __init__(self, exchange: _OpenStream[T], options: CallOptions) -> None:
        self._exchange = exchange
        self._options = options
        self._stream: Stream[T] | None = None
        self._in_use = False

    async def __aenter__(self) -> Stream[T]:
        if self._in_use:
            raise entered_twice("stream", "async with policy.stream(...)")
        self._in_use = True
        try:
            self._stream = await self._exchange.settings.execution.run(self._exchange, self._options)
        except BaseException:
            self._in_use = False
            raise
        return self._stream

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._stream is not None:
                await self._stream.aclose()
        finally:
            self._in_use = False


class _OpenStream(Generic[T]):
    """The attempts to open a stream: each ends with its first chunk."""

    keeps_slot = True
    can_resend = True

    def __init__(
        self, settings: StreamSettings, opens: Callable[[], AsyncIterable[T] | Awaitable[AsyncIterable[T]]]
    ) -> None:
        self.settings = settings
        self._opens = opens
        self._at = _deadline.ends()

    async def send(self, slot: Slot) -> Stream[T]:
        source: Any = None
        try:
            opened = self._opens()
            source = await opened if inspect.isawaitable(opened) else opened
            iterator = _iterated(source)
            first = await _first(iterator)
            return Stream(source, iterator, first, slot, self._at, self.settings)
        except BaseException:
            await shielded(close(source), timeout=_CLOSING)
            raise

    def judge(self, result: Stream[T]) -> Failure | None:
        return None

    def explain(self, error: Exception) -> Failure:
        return _failure.of_error(error)

    def follow(self, result: Stream[T], ended: Callable[[BaseException | None], None]) -> bool:
        return False

    async def discard(self, result: Stream[T]) -> None:
        await result.aclose()


async def close(source: object) -> None:
    """Close whatever a stream is: an async generator, an SDK's stream, a response."""
    for name in ("aclose", "close"):
        closing = getattr(source, name, None)
        if closing is not None:
            result = closing()
            if inspect.isawaitable(result):
                await result
            return


def _iterated(source: Any) -> AsyncIterator[Any]:
    if not hasattr(source, "__aiter__"):
        kind = type(source).__name__
        raise TypeError(f"stream: what was opened is a {kind}, which `async for` cannot read: pass an async generator")
    return aiter(source)


async def _first(iterator: AsyncIterator[T]) -> list[T]:
    try:
        return [await anext(iterator)]
    except StopAsyncIteration:
        return []


def open_stream(
    settings: StreamSettings,
    options: CallOptions,
    opens: Callable[[], AsyncIterable[T] | Awaitable[AsyncIterable[T]]],
) -> StreamContext[T]:
    """Return the context of a stream that `opens` begins."""
    return StreamContext(_OpenStream(settings, opens), options)
