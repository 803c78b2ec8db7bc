"""Limits on the reading of a stream, without a timer for each chunk."""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ._errors import StreamPhase
from ._setting import Check, Unstated, is_stated, seconds, verify

_RESOLUTION = 1e-6
_BETWEEN_CHUNKS, _TOTAL = Unstated(30.0), Unstated(600.0)
_CHECKS: Mapping[str, Check] = {"first": seconds("30"), "idle": seconds("30"), "total": seconds("600")}


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How long a stream may keep its reader waiting, in seconds.

    Args:
        first: from the moment the slot was given to the first chunk. Default: 30, at most a stated `total`.
        idle: between one chunk and the next, as long as we wait for it: a slow reader of ours is not a late vendor.
            Default: 30, at most a stated `total`.
        total: from the moment the slot was given to the end. Default: 600, at least `first` and `idle`.

    Raises:
        TypeError: a limit that is no number.
        ValueError: a limit is not above 0 and finite, or a stated `first` or `idle` is above a stated `total`.
    """

    first: float = _BETWEEN_CHUNKS
    idle: float = _BETWEEN_CHUNKS
    total: float = _TOTAL

    def __post_init__(self) -> None:
        verify("StreamLimits", self, _CHECKS)
        if not is_stated(self.total):
            longest = max((limit for limit in (self.first, self.idle) if is_stated(limit)), default=_TOTAL)
            object.__setattr__(self, "total", Unstated(max(_TOTAL, longest)))
        for name in ("first", "idle"):
            limit = getattr(self, name)
            if not is_stated(limit):
                object.__setattr__(self, name, Unstated(min(_BETWEEN_CHUNKS, self.total)))
            elif limit > self.total:
                raise ValueError(
                    f"StreamLimits: {name}={limit:g} can never be reached: the total of {self.total:g} s ends the"
                    f" stream first. Lower {name}, or raise total"
                )


class Watchdog:
    """Cancels the task that waits for a chunk when the chunk is late.

    The reader notes that it waits, and since when (`task`, `since`), and that is all it does for each chunk: the timer
    is set for the earliest moment at which anything can be late, and when it fires it looks and is set again. No
    timeout scope is open while a chunk is with the consumer, so none can cancel the consumer's own work.

    Args:
        limits: the limits.
        started: loop time from which `first` and `total` count.
        at: loop time of the deadline around the stream.
    """

    __slots__ = (
        "_cancelled", "_cancelling", "_first", "_idle", "_loop", "_stopped", "_timer", "_total",
        "armed", "chunks", "current_task", "phase", "since", "task", "time",
    )  # fmt: skip

    def __init__(self, limits: StreamLimits, started: float, at: float) -> None:
        self._loop = asyncio.get_running_loop()
        self.time = time.monotonic if _keeps_plain_time(self._loop) else self._loop.time
        self.current_task = _current_task_of(self._loop)
        self._first = started + limits.first
        self._idle = limits.idle
        self._total = min(started + limits.total, at)
        self._timer: asyncio.TimerHandle | None = None
        self.armed = False
        self.chunks = 0
        self._cancelled: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._stopped: asyncio.Future[None] | None = None
        self.phase: StreamPhase | None = None
        self.task: asyncio.Task[object] | None = None
        self.since = started

    def begin(self) -> None:
        """Start to wait for a chunk."""
        self.since = self.time()
        self.task = self.current_task()
        if not self.armed:
            self._arm(self.since)

    def stop(self) -> None:
        """Watch no more."""
        self.task = None
        self.barked(None)
        if self._timer is not None:
            self._timer.cancel()
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    async def interrupt(self) -> None:
        """Cancel the task that waits for a chunk, if one does, and return when it no longer does."""
        if self.task is None:
            return
        if self._stopped is None or self._stopped.done():
            self._stopped = self._loop.create_future()
        self.task.cancel()
        await self._stopped

    def barked(self, error: BaseException | None) -> bool:
        """Return whether `error` is the cancellation that a late chunk caused, and take that cancellation back."""
        task, self._cancelled = self._cancelled, None
        if task is None:
            return False
        return task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError)

    def _due(self) -> tuple[float, StreamPhase]:
        late: tuple[float, StreamPhase] = (self.since + self._idle, "idle")
        if not self.chunks:
            late = (self._first, "first")
        return min(late, (self._total, "total"))

    def _arm(self, now: float) -> None:
        self.armed = True
        self._timer = self._loop.call_later(max(0.0, self._due()[0] - now), self._look)

    def _look(self) -> None:
        now, (due, phase) = self.time(), self._due()
        if now + _RESOLUTION < due:
            return self._arm(now)
        self.armed = False
        if self.task is not None:
            self.phase = phase
            self._cancelled, self._cancelling = self.task, self.task.cancelling()
            self.task.cancel()
        return None


def _keeps_plain_time(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop's time is `time.monotonic()`, which is worth knowing once for each chunk."""
    return type(loop).time is asyncio.BaseEventLoop.time


def _current_task_of(loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.Task[object] | None]:
    """Before 3.12 `asyncio.current_task` is written in Python and takes half of what a chunk may cost."""
    if sys.version_info >= (3, 12):
        return asyncio.current_task
    return functools.partial(asyncio.tasks._current_tasks.get, loop)  # type: ignore[attr-defined]
