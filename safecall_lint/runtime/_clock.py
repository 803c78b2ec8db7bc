"""Where time, waiting and chance come from, so that a test can own all three."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol

from ._setting import instance, optional


class Clock(Protocol):
    """Time, sleep and randomness as one dependency.

    Timers are set on the running event loop by delay, so `time()` and `sleep()` must advance as that
    loop does. A virtual-clock event loop needs no clock of its own: `LoopClock` follows it.
    """

    def time(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
        ...

    def wall(self) -> float:
        """Return seconds since the epoch, for HTTP dates only."""
        ...

    def random(self) -> float:
        """Return a number from the half-open range 0 to 1, for jitter."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


_CHANCE = optional(instance(random.Random, "there is no jitter", "random.Random(seed), or None"))


class LoopClock:
    """The running event loop's own time.

    Args:
        chance: source of jitter; pass `random.Random(seed)` for the same delays on every run.

    Raises:
        TypeError: `chance` is no `random.Random`.
    """

    def __init__(self, chance: random.Random | None = None) -> None:
        _CHANCE("LoopClock", "chance", chance)
        self.random = random.random if chance is None else chance.random

    def time(self) -> float:
        """Return the running loop's monotonic seconds."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of the running loop's time."""
        await asyncio.sleep(seconds)
