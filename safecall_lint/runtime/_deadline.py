"""The deadline: one instant by which a whole piece of work must end, carried into everything it calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

from ._errors import DeadlineExceeded
from ._setting import number
from ._single_use import restore

if TYPE_CHECKING:
    from contextlib import _AsyncGeneratorContextManager

NEVER = float("inf")

_SECONDS = number(least=-NEVER, most=NEVER, so="it never comes and bounds nothing", give="a number of seconds")


class Mark:
    """A deadline, as tasks and contexts inherit it.

    Args:
        at: loop time at which the work ends.
        outer: the deadline around it, which counts once this one is over.

    Attributes:
        over: the work has ended; contexts that still hold the mark follow `outer`.
    """

    __slots__ = ("at", "outer", "over")

    def __init__(self, at: float, outer: Mark | None) -> None:
        self.at = at
        self.outer = outer
        self.over = False


_current: ContextVar[Mark | None] = ContextVar("safecall_deadline", default=None)


def ends() -> float:
    """Return the loop time at which the work of this context ends."""
    mark = _current.get()
    while mark is not None and mark.over:
        mark = mark.outer
    return NEVER if mark is None else mark.at


def begin(at: float) -> tuple[Mark, Token[Mark | None]]:
    """Mark this context: its work ends at the loop time `at`."""
    mark = Mark(at, _current.get())
    return mark, _current.set(mark)


def finish(begun: tuple[Mark, Token[Mark | None]]) -> None:
    """Take a mark back, also where a generator that was left early is closed from another context."""
    mark, token = begun
    mark.over = True
    restore(_current, token)


def remaining() -> float:
    """Return the seconds left to the innermost deadline, or infinity where there is none."""
    at = ends()
    return at if at == NEVER else at - asyncio.get_running_loop().time()


def deadline(seconds: float) -> _AsyncGeneratorContextManager[None]:
    """Bound everything inside to `seconds`, and tell every policy inside how much is left.

    A deadline inside a longer one shortens it; one inside a shorter one changes nothing. Use it once, where a
    request enters the service: attempts then shrink to what is left, and a retry that cannot finish is not begun.

    Args:
        seconds: how long. It may come from `remaining()`: infinity bounds nothing, and 0 or less is a time already up.

    Raises:
        DeadlineExceeded: the time was up; what ran inside was cancelled.
        TypeError: `seconds` is no number.
        ValueError: `seconds` is NaN.
    """
    _SECONDS("deadline", "seconds", seconds)
    return _bounded(seconds)


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    at = min(ends(), asyncio.get_running_loop().time() + seconds)
    limit = asyncio.timeout_at(at)
    begun = begin(at)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired() or isinstance(error, DeadlineExceeded):
            raise
        message = f"the work was not done within its deadline of {seconds:g} s, so it was cancelled"
        raise DeadlineExceeded(message) from error
    finally:
        finish(begun)
