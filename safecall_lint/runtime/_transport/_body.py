"""The body of a response, which holds the slot until it has been read or closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .. import _failure
from .._errors import StreamPhase, StreamTimeout
from .._failure import Failure
from .._reading import Reading
from .._slot import Slot
from .._stream_report import StreamCounter, StreamReport
from .._watchdog import StreamLimits, Watchdog


class Body:
    """Wraps the stream of one response.

    Args:
        stream: the client library's own stream.
        slot: given back when the body ends.
        failure: what the status of the response says.
        limits: how long the body may take.
        at: loop time of the deadline around the request.
        late: makes the exception for a limit that was broken.
        closed: awaited after the stream was closed, with the stream.
        counter: told about the stream, or None for the body of a plain call.
    """

    _report: StreamReport | None = None
    _ended: Callable[[BaseException | None], None] | None = None

    def __init__(
        self,
        stream: Any,
        slot: Slot,
        failure: Failure | None,
        limits: StreamLimits,
        at: float,
        late: Callable[[StreamPhase | None], StreamTimeout],
        closed: Callable[[Any], Awaitable[None]],
        counter: StreamCounter | None,
    ) -> None:
        self._stream = stream
        self._slot = slot
        self._failure = failure
        self._closed = closed
        self._took = slot.age()
        report: StreamReport | None = None

        def first_chunk() -> None:  # not of `self`: a body in a cycle holds its slot until the garbage is collected
            if report is not None:
                report.first_chunk(slot.age())
                if failure is None:
                    slot.answered(slot.age())

        on_first = None if counter is None else first_chunk
        self._reading: Reading[bytes] = Reading(stream, Watchdog(limits, slot.time, at), late, on_first=on_first)
        self._report = report = None if counter is None else counter.open()

    def tell_end(self, ended: Callable[[BaseException | None], None]) -> bool:
        """Call `ended` at the end, with what ended the body early; a stream has its own report, and refuses."""
        if self._report is not None:
            return False
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        return True

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the body, once."""
        return self._reading.all()

    async def aclose(self) -> None:
        """Close the stream and give the slot back."""
        try:
            await self._stream.aclose()
        finally:
            try:
                self._leave()
            finally:
                await self._closed(self._stream)

    def _leave(self) -> None:
        reading = self._reading
        try:
            if self._report is not None:
                self._report.end(finished=reading.finished, chunks=reading.chunks, error=reading.error)
            ended, self._ended = self._ended, None
            if ended is not None:
                ended(reading.error)
            if reading.error is not None:
                self._slot.leave(_failure.of_error(reading.error), self._took)
            elif reading.finished or self._failure is not None:
                self._slot.leave(self._failure, self._took)
        finally:
            self._slot.abandon()

    def __del__(self) -> None:
        # A response that was neither read nor closed must not take its slot with it for ever.
        self._slot.lose()
        if self._report is not None:
            self._report.lose(self._reading.chunks)
        if self._ended is not None:
            with contextlib.suppress(RuntimeError):  # the sink is told by the loop, or by nobody where that is closed
                self._loop.call_soon_threadsafe(self._ended, None)
