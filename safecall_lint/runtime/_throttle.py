"""Adaptive retry: a speed limit that appears with the first 429 and goes away when the vendor takes our calls again."""

from __future__ import annotations

import math

from ._window import Window

_CUT = 0.7
_CURVE = 0.4
_SLOWEST = 0.5
_MEASURED_OVER = 4.0
_LEAST_TIME = 0.5
_NEVER = float("inf")


class Throttle:
    """Sends per second of one policy, for as long as the vendor says that there are too many.

    A 429 to a call that was sent after the last cut sets the speed to 0.7 of the speed measured over the last 4 s. Good
    answers raise it by CUBIC, `0.4 x (t - k)^3 + w`, with w the speed that was throttled, t the seconds since and
    k = (0.3 x w / 0.4)^(1/3): quickly back, slowly past w, then quickly on. At 2 x w the limit goes away. Constants and
    curve are those of botocore's adaptive mode (S. Ha, I. Rhee, L. Xu, "CUBIC", 2008), which never takes it away.
    """

    __slots__ = ("_at", "_first", "_next", "_sent", "_throttled", "speed")

    def __init__(self) -> None:
        self.speed = _NEVER
        self._throttled = _NEVER
        self._at = -_NEVER
        self._first = _NEVER
        self._next = -_NEVER
        self._sent = Window(_MEASURED_OVER, columns=1)

    def wait(self, now: float, calls: float = 1.0) -> float:
        """Return the seconds until so many calls have been sent; 0 or less means now."""
        return 0.0 if self.speed == _NEVER else self._next - now + (calls - 1) / self.speed

    def take(self, now: float) -> None:
        """Note a call that is sent."""
        self._first = min(self._first, now)
        self._sent.add(now, 0)
        if self.speed < _NEVER:
            self._next = max(self._next, now) + 1 / self.speed

    def give_back(self, now: float) -> None:
        """Note that a call was not sent after all."""
        if self.speed < _NEVER:
            self._next = max(now, self._next - 1 / self.speed)

    def refused(self, now: float, sent: float) -> None:
        """Slow down after a 429 to a call that was sent at `sent`."""
        if sent < self._at:
            return
        elapsed = min(_MEASURED_OVER, max(now - self._first, _LEAST_TIME))
        self._throttled = max(_SLOWEST, min(self.speed, self._sent.roll(now)[0] / elapsed))
        self._at = now
        self.speed = max(_SLOWEST, _CUT * self._throttled)
        self._next = now + 1 / self.speed

    def accepted(self, now: float) -> None:
        """Speed up after a good answer."""
        if self.speed == _NEVER:
            return
        back = math.cbrt(self._throttled * (1 - _CUT) / _CURVE)
        grown = _CURVE * (now - self._at - back) ** 3 + self._throttled
        if grown >= 2 * self._throttled:
            self.reset()
        else:
            self.speed = max(_SLOWEST, grown)

    def reset(self) -> None:
        """Set no limit."""
        self.speed = self._throttled = _NEVER
        self._at = self._next = -_NEVER
