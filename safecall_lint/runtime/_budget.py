"""A retry budget: retries as a share of the traffic, so that an outage is not answered with a multiple of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

from ._setting import Check, number, seconds, share, verify
from ._window import Window

_CALLS, _RETRIES = range(2)
_CHECKS: Mapping[str, Check] = {
    "ratio": share("it bounds nothing", of_none=True),
    "minimum_per_second": number(least=0, so="it bounds nothing", give="retries a second from 0, such as 1"),
    "window": seconds("10", "the window has no beginning or no end"),
}


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """How many retries the whole process may make, whatever each call would like.

    In any window it allows `max(ratio * calls, minimum_per_second * window)`. The larger of the two and not their sum:
    then the vendor of a busy service never gets more than `1 + ratio` requests for each of yours, and the minimum
    counts only below `minimum_per_second / ratio` calls a second.

    Args:
        ratio: retries allowed for each call of the window. Default: 20 %, as in Finagle and Envoy.
        minimum_per_second: retries allowed in any case, so that a quiet service can retry at all.
        window: length of the sliding window in seconds.

    Raises:
        TypeError: a setting that is no number.
        ValueError: `ratio` is outside 0 to 1, or another number is out of bounds.
    """

    ratio: float = 0.2
    minimum_per_second: float = 1.0
    window: float = 10.0

    def __post_init__(self) -> None:
        verify("RetryBudget", self, _CHECKS)


class Budget:
    """The state of one retry budget. It belongs to the process."""

    def __init__(self, settings: RetryBudget) -> None:
        self._ratio = settings.ratio
        self._minimum = settings.minimum_per_second * settings.window
        self._window = Window(settings.window, columns=2)
        self._lock = threading.Lock()

    def count_call(self, now: float) -> None:
        """Note one call of a user, which earns its share of a retry."""
        with self._lock:
            self._window.add(now, _CALLS)

    def take(self, now: float) -> bool:
        """Spend one retry; return False where none is left."""
        with self._lock:
            calls, retries = self._window.roll(now)
            if retries + 1 > max(self._ratio * calls, self._minimum):
                return False
            self._window.add(now, _RETRIES)
            return True

    def give_back(self, then: float) -> None:
        """Return a retry that was taken at `then` and never sent."""
        with self._lock:
            self._window.take_back(then, _RETRIES)

    def spent(self, now: float) -> int:
        """Return the retries that count against the window that ends now."""
        with self._lock:
            return self._window.roll(now)[_RETRIES]
