"""The runtime's clock, for tests: dates move with the loop and chance repeats itself."""

from __future__ import annotations

import random

from .._clock import LoopClock
from .._setting import number

NEW_YEAR_2026 = 1_767_225_600.0

WALL = number(so="no calendar has that date", give="seconds since the epoch, such as time.time()")
SEED = number(whole=True, so="chance does not repeat itself", give="a whole number")


class VirtualClock(LoopClock):
    """A clock whose `wall()` follows the event loop, so that `Retry-After` dates work in virtual time.

    Args:
        wall: seconds since the epoch at loop time 0; the default is 2026-01-01 00:00 UTC.
        seed: decides every jitter; the same seed gives the same delays.

    Raises:
        TypeError: an argument that is no number.
        ValueError: `wall` is not finite.
    """

    def __init__(self, *, wall: float = NEW_YEAR_2026, seed: int = 0) -> None:
        WALL("VirtualClock", "wall", wall)
        SEED("VirtualClock", "seed", seed)
        super().__init__(random.Random(seed))
        self._epoch = wall

    def wall(self) -> float:
        """Return seconds since the epoch, virtual."""
        return self._epoch + self.time()
