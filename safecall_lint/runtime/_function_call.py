"""A coroutine function as something that the layers can send."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from . import _failure
from ._errors import CallTimeout
from ._failure import Failure
from ._slot import Slot

T = TypeVar("T")


class FunctionCall(Generic[T]):
    """An attempt that awaits a coroutine function."""

    __slots__ = ("_args", "_failure", "_function", "_kwargs")

    keeps_slot = False
    can_resend = True

    def __init__(self, function: Callable[..., Awaitable[T]], args: Any, kwargs: Any) -> None:
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._failure: Failure | None = None

    async def send(self, slot: Slot) -> T:
        opened = self._function(*self._args, **self._kwargs)
        try:
            result = await opened
        except TypeError:
            if inspect.isawaitable(opened):
                raise
            raise self._not_awaitable(opened) from None
        if _failure.is_response(result):
            slot.heed(result.headers)
            self._failure = _failure.of_response(result)
        else:
            self._failure = None
        return result

    def _not_awaitable(self, opened: object) -> TypeError:
        instead = "use policy.stream()" if hasattr(opened, "__aiter__") else "pass a coroutine function"
        kind = type(opened).__name__
        return TypeError(f"call: {self._function!r} returned a {kind}, which nobody can await: {instead}")

    def judge(self, result: T) -> Failure | None:
        return self._failure

    def explain(self, error: Exception) -> Failure:
        return _failure.of_error(error)

    def follow(self, result: T, ended: Callable[[BaseException | None], None]) -> bool:
        return False

    async def discard(self, result: T) -> None:
        close = getattr(result, "aclose", None)
        if close is not None:
            await close()


def no_answer(name: str, limit: float) -> CallTimeout:
    """What is raised when an attempt takes longer than `limit` seconds."""
    message = f"{name}: no answer within the call timeout of {limit:g} s, so the attempt was cancelled"
    return CallTimeout(message, policy=name)
