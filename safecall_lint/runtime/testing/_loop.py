"""Asyncio in virtual time: when nothing can run, the clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import functools
import math
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, TypeVarTuple, Unpack

import anyio.to_thread

from .._setting import coroutine_function, number, pause, refusal, seconds

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_P = ParamSpec("_P")

_NANOSECONDS = 9
_STANDS = 100
_ONLY_THE_WAKE_UP_PIPE = 1
_START = number(so="no time can follow", give="seconds, such as 0")
_SETTLE = pause("0.005")
_PATIENCE = seconds("10", "a test that stands still ends at once or never")


class StandStill(RuntimeError):
    """Every task waits, and neither a timer, a socket nor a thread is left to wake one of them."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` moves only when every task waits, and then in one jump.

    `asyncio.sleep`, `asyncio.timeout`, `loop.call_later` and everything in anyio follow it. Code that reads
    `time.monotonic()` itself does not. While a thread works (`asyncio.to_thread`, `loop.run_in_executor`, name
    look-ups), virtual time stands still, so a timeout never cuts off a thread.

    Args:
        start: the first value of `time()`, in virtual seconds.
        settle: real seconds that each jump first gives to bytes on their way between open sockets. Without sockets a
            jump costs nothing.
        patience: real seconds to wait for a socket or a thread when no timer is left; then `StandStill` is raised.

    Raises:
        TypeError: an argument that is no number.
        ValueError: an argument that is not finite, a negative `settle`, or a `patience` that is not above 0.
    """

    _ready: deque[asyncio.Handle]
    _closed = True  # what asyncio's own `__del__` asks of a loop whose settings were refused

    def __init__(self, *, start: float = 0.0, settle: float = 0.005, patience: float = 10.0) -> None:
        _START("VirtualTimeLoop", "start", start)
        _SETTLE("VirtualTimeLoop", "settle", settle)
        _PATIENCE("VirtualTimeLoop", "patience", patience)
        self._now = start
        self._stood_at = math.nan
        self._stands = 0
        self._settle = settle
        self._patience = patience
        self._busy_threads = 0
        self._anyio_threads: anyio.CapacityLimiter | None = None
        super().__init__(_JumpingSelector(self._before_waiting))

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        self._busy_threads += 1
        future.add_done_callback(self._thread_is_done)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        self._busy_threads += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._busy_threads -= 1

    async def watch_anyio_threads(self) -> None:
        """Let anyio's worker threads stop the clock too: anyio tells their number only to a task of this loop."""
        self._anyio_threads = anyio.to_thread.current_default_thread_limiter()

    def _thread_is_done(self, _future: asyncio.Future[Any]) -> None:
        self._busy_threads -= 1

    def _threads_at_work(self) -> bool:
        return self._busy_threads > 0 or (self._anyio_threads is not None and self._anyio_threads.borrowed_tokens > 0)

    def _before_waiting(self, selector: _JumpingSelector, timeout: float | None) -> _Ready:
        """Real I/O first; then the jump over `timeout` virtual seconds; None means that no timer is left."""
        if timeout is not None and timeout <= 0:
            if not self._ready:
                self._stand(self._now)
            return selector.select_really(0)
        sockets = len(selector.get_map()) > _ONLY_THE_WAKE_UP_PIPE
        if self._threads_at_work() or (sockets and timeout is None):
            ready = selector.select_really(self._patience)
            if not ready:
                raise StandStill(self._why("and no socket or thread answered"))
            return ready
        ready = selector.select_really(self._settle if sockets else 0)
        if ready:
            return ready
        if timeout is None:
            raise StandStill(self._why("and no timer, socket or thread is left to wake one"))
        before, self._now = self._now, round(self._now + timeout, _NANOSECONDS)
        if self._now <= before:
            self._stand(before)
        return []

    def _stand(self, now: float) -> None:
        """Count the timers that take no time; past a hundred in one instant, each takes a nanosecond.

        Sums such as 0.1 + 0.2 stay so on the nanosecond they mean, and a limiter that waits again and again for a rest
        that rounding left gets on, as it does where a clock runs.
        """
        self._stands = self._stands + 1 if self._stood_at == now else 1
        self._stood_at = self._now = now
        if self._stands > _STANDS:
            self._now = max(round(now + 10**-_NANOSECONDS, _NANOSECONDS), math.nextafter(now, math.inf))

    def _why(self, reason: str) -> str:
        waiting = [_where(task) for task in asyncio.all_tasks(self)]
        return f"virtual time stands still at {self._now} s: every task waits, {reason}: {'; '.join(waiting)}"


_Ready = list[tuple[selectors.SelectorKey, int]]


class _JumpingSelector(selectors.DefaultSelector):
    """The platform's selector, which asks before it would put the thread to sleep."""

    def __init__(self, before_waiting: Callable[[_JumpingSelector, float | None], _Ready]) -> None:
        super().__init__()
        self._before_waiting = before_waiting

    def select(self, timeout: float | None = None) -> _Ready:
        return self._before_waiting(self, timeout)

    def select_really(self, seconds: float) -> _Ready:
        return super().select(seconds)


def run(main: Coroutine[Any, Any, _T], *, start: float = 0.0, settle: float = 0.005, patience: float = 10.0) -> _T:
    """`asyncio.run` in virtual time: an hour of sleeping takes no time.

    Works in a plain test function, without a pytest plugin. The settings are those of `VirtualTimeLoop`.

    Raises:
        StandStill: every task waits for something that will never come.
        RuntimeError: an event loop is already running in this thread.
        TypeError: `main` is no coroutine, or a setting no number.
        ValueError: as `VirtualTimeLoop`.
    """
    if not asyncio.iscoroutine(main):
        text = "is no coroutine, so there is nothing to run: give what the coroutine function returns"
        raise refusal(TypeError, "run", "main", main, text)
    if asyncio._get_running_loop() is not None:
        main.close()
        raise RuntimeError("an event loop is already running here and owns the time: call run() from a plain function")
    loop = VirtualTimeLoop(start=start, settle=settle, patience=patience)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(loop.watch_anyio_threads())
        return runner.run(main)


def virtual_time(test: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]:
    """Decorator: an async test that pytest calls as a plain function and that runs in virtual time.

    Raises:
        TypeError: `test` is no coroutine function.
    """
    coroutine_function("virtual_time", "test", test)

    @functools.wraps(test)
    def runs(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return run(test(*args, **kwargs))

    return runs


def _where(task: asyncio.Task[Any]) -> str:
    """The await chain of a waiting task, outermost first."""
    steps: list[str] = []
    awaited: Any = task.get_coro()
    while frame := getattr(awaited, "cr_frame", None):
        steps.append(f"{awaited.__qualname__} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})")
        awaited = awaited.cr_await
    return f"{task.get_name()}: {' > '.join(steps)}"
