"""What is told about the streams of a policy, whichever way they are read."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from ._clock import Clock
from ._errors import StreamTimeout
from ._events import Event, StreamEnded, StreamFirstChunk, StreamOpened, StreamOutcome


class StreamCounter:
    """Counts the open streams of one policy and tells about each.

    Args:
        name: the policy's name.
        clock: the time.
        emit: told about streams, or None.

    Attributes:
        active: how many streams are open.
    """

    def __init__(self, name: str, clock: Clock, emit: Callable[[Event], None] | None) -> None:
        self.name = name
        self.clock = clock
        self.emit = emit
        self.active = 0

    def open(self) -> StreamReport:
        """Count a stream that begins now."""
        report = StreamReport(self)
        self.active += 1
        if self.emit is not None:
            self.emit(StreamOpened(self.name, self.active))
        return report


class StreamReport:
    """One stream: when it began, its first chunk, its end."""

    __slots__ = ("_counter", "_ended", "_loop", "_opened")

    def __init__(self, counter: StreamCounter) -> None:
        self._counter = counter
        self._loop = asyncio.get_running_loop()
        self._opened = counter.clock.time()
        self._ended = False

    def first_chunk(self, waited: float) -> None:
        """Tell about the first chunk, `waited` seconds after the slot was given."""
        counter = self._counter
        if counter.emit is not None:
            counter.emit(StreamFirstChunk(counter.name, waited))

    def end(self, *, finished: bool, chunks: int, error: BaseException | None) -> None:
        """Tell how it ended; a second end says nothing."""
        if self._ended:
            return
        self._ended = True
        counter = self._counter
        counter.active -= 1
        if counter.emit is not None:
            duration = counter.clock.time() - self._opened
            outcome = _outcome(error, finished=finished)
            counter.emit(StreamEnded(counter.name, outcome, duration, chunks, counter.active, error))

    def lose(self, chunks: int) -> None:
        """Tell from a finalizer that nobody reads the stream any more.

        A finalizer may run in any thread, and in the middle of whatever the sink does: so the sink is told by the loop,
        or by nobody where that is closed.
        """
        if self._ended:
            return
        try:
            self._loop.call_soon_threadsafe(functools.partial(self.end, finished=False, chunks=chunks, error=None))
        except RuntimeError:
            self._ended = True
            self._counter.active -= 1


def _outcome(error: BaseException | None, *, finished: bool) -> StreamOutcome:
    if isinstance(error, StreamTimeout):
        return "timeout"
    if error is not None:
        return "error"
    return "ok" if finished else "disconnected"
