"""Test mode: policies that retry and count, and never wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from .._clock import LoopClock
from .._quota import Charge, Quota


@contextlib.contextmanager
def no_waits() -> Iterator[None]:
    """While inside, no policy of this process waits for backoff, `Retry-After` or its rates.

    Attempts, retry budget, circuit, slots, queue and all timeouts stay as they are. An `AsyncLimiter` given as `rate=`
    still waits: it is not ours. For tests on a loop that is not virtual, such as those of a pytest plugin.
    """
    # The classes are replaced for a while, so that production code carries no flag for tests.
    with contextlib.ExitStack() as stack:
        for owner, name, instant in _INSTANT:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, instant)
        yield


async def _sleep(_clock: LoopClock, _seconds: float) -> None:
    await asyncio.sleep(0)


def _take(quota: Quota, _now: float, _tokens: float) -> Charge | None:
    return Charge(quota, [])


def _no_time(*_arguments: object) -> float:
    return 0.0


_INSTANT: tuple[tuple[type, str, Any], ...] = (
    (LoopClock, "sleep", _sleep),
    (Quota, "take", _take),
    (Quota, "wait", _no_time),
    (Quota, "estimate", _no_time),
)
