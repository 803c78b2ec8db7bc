"""The limit on each attempt, for the price of a dictionary entry."""

from __future__ import annotations

import asyncio

from . import _deadline

_RESOLUTION = 1e-6


class CallTimer:
    """The limit of one attempt: cancels its task when it is due, as `asyncio.timeout` does.

    Until it is stopped, policies that the attempt calls see the deadline `at`.

    Attributes:
        due: loop time at which the limit is over.
        own: the loop's timer, where the limit is not the usual one.
    """

    __slots__ = ("_cancelling", "_deadline", "_fired", "_group", "_task", "due", "own")

    def __init__(self, group: CallTimers, task: asyncio.Task[object], due: float, at: float) -> None:
        self.due = due
        self.own: asyncio.TimerHandle | None = None
        self._deadline = _deadline.begin(at)
        self._group = group
        self._task = task
        self._cancelling = task.cancelling()
        self._fired = False

    def fire(self) -> None:
        """Cancel the task: its time is over."""
        self._fired = True
        self._task.cancel()

    def stop(self, error: BaseException | None = None) -> bool:
        """End the limit; return whether `error` is the cancellation that this timer caused.

        A cancellation from outside in the same moment wins: the caller wants to stop, not to retry.
        """
        self._group.forget(self)
        _deadline.finish(self._deadline)
        if self.own is not None:
            self.own.cancel()
        if not self._fired:
            return False
        return self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError)


class CallTimers:
    """The limits of all attempts of a policy on one event loop.

    Attempts with the same limit become due in the order of their start, so one timer of the loop, set again when
    it fires, serves all of them; a timer for each would cost more than any other layer of a call.

    Args:
        seconds: the usual limit.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[CallTimer, None] = {}
        self._armed = False

    def start(self, task: asyncio.Task[object], now: float, at: float) -> CallTimer:
        """Limit the current `task` to the usual seconds, or to the deadline `at` where that is earlier."""
        left = at - now
        timer = CallTimer(self, task, now + min(self._seconds, left), at)
        self._running[timer] = None
        if left < self._seconds:
            timer.own = asyncio.get_running_loop().call_later(left, self._fire_one, timer)
        elif not self._armed:
            self._arm(self._seconds)
        return timer

    def forget(self, timer: CallTimer) -> None:
        """Take a stopped timer off the list."""
        self._running.pop(timer, None)

    def _arm(self, delay: float) -> None:
        self._armed = True
        asyncio.get_running_loop().call_later(delay, self._fire_due)

    def _fire_one(self, timer: CallTimer) -> None:
        if timer in self._running:
            del self._running[timer]
            timer.fire()

    def _fire_due(self) -> None:
        now = asyncio.get_running_loop().time()
        self._armed = False
        for timer in list(self._running):
            if timer.due > now + _RESOLUTION:
                return self._arm(timer.due - now)
            self._fire_one(timer)
        return None
