"""Cleanup that runs to its end although its request was cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from ._setting import refusal, seconds

T = TypeVar("T")

_TIMEOUT = seconds("2", "the cleanup is cut off at once or never")


async def shielded(cleanup: Coroutine[Any, Any, T], *, timeout: float) -> T:
    """Run `cleanup` to its end, or for `timeout` seconds, whatever happens to the caller meanwhile.

    Call it in a `finally` block: a cancelled task runs that, and runs no `except Exception`. A cancellation that
    arrives during the cleanup is raised again after it. `asyncio.shield` alone does not wait: under an anyio cancel
    scope, as in every streaming response of Starlette, its await ends at once.

    A cleanup that was cancelled has `timeout` seconds more to end; one that ignores its cancellation is left to run.

    Raises:
        TimeoutError: the cleanup was not done after `timeout` seconds, so it was cancelled.
        TypeError: `cleanup` is nothing to await, or `timeout` no number.
        ValueError: `timeout` is not above 0 and finite.
    """
    if not inspect.isawaitable(cleanup):
        text = "cannot be awaited, so there is nothing to run: give what the coroutine function returns"
        raise refusal(TypeError, "shielded", "cleanup", cleanup, text)
    _TIMEOUT("shielded", "timeout", timeout)
    task = asyncio.ensure_future(cleanup)
    with _anyio_shield():
        cancelled = await _outlast(task, timeout)
        if not task.done():
            task.cancel()
            cancelled = await _outlast(task, timeout) or cancelled
    if cancelled is not None:
        raise cancelled
    if not task.done():
        raise TimeoutError(f"the cleanup ignored its cancellation after {timeout:g} s and runs on: let it end")
    if task.cancelled():
        raise TimeoutError(f"the cleanup was not done after {timeout:g} s, so it was cancelled: make it shorter")
    return task.result()


async def _outlast(task: asyncio.Future[T], timeout: float) -> asyncio.CancelledError | None:
    """Wait for `task`; return the cancellation of the caller that came meanwhile."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    cancelled = None
    while not task.done() and loop.time() < end:
        try:
            await asyncio.wait([task], timeout=end - loop.time())
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def _anyio_shield() -> contextlib.AbstractContextManager[object]:
    """Where anyio was never imported there is no scope of it to be shielded from."""
    anyio = sys.modules.get("anyio")
    return contextlib.nullcontext() if anyio is None else anyio.CancelScope(shield=True)
