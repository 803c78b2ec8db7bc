"""Slots that follow what the vendor can take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ._setting import Check, UnstatedCount, count, is_stated, number, verify

_SMOOTHING = 0.5
_HEADROOM = 4
_SHRINK = 0.9
_STEEPEST = 0.5
_MEMORY = 30.0
_LOOK_AGAIN = 0.9
_NEVER = float("inf")
_MAXIMUM, _INITIAL = UnstatedCount(200), UnstatedCount(20)
_CHECKS: Mapping[str, Check] = {
    "minimum": count(1, "slots can run out for ever"),
    "maximum": count(1, "no call is ever sent"),
    "initial": count(1, "no call is ever sent"),
    "tolerance": number(least=1, so="even the best time is too slow", give="a factor from 1, such as 1.5"),
}


@dataclass(frozen=True, slots=True)
class AdaptiveConcurrency:
    """Bounds for a number of slots that grows while answers stay quick and shrinks when they slow down.

    The rule is the gradient of Netflix's concurrency-limits over the best time, as Envoy takes it: the number goes half
    of the way to `number x min(1, tolerance x best time / this time) + 4`. Only a call that was sent after the last
    change moves the number again: the answers still under way tell of the number before, and a rule that heeds them
    swings between far too many and far too few. The best time is that of the last 30 to 60 s; each 30 s the number
    goes once to `0.9 / tolerance` of itself, or a lasting overload would become the best time. A 429, a 5xx, a timeout
    and a lost connection take a tenth away. The time is that to the first byte or chunk: how long an answer is says
    nothing about load.

    Args:
        minimum: the fewest slots.
        maximum: the most; a pool needs as many connections. Default: 200, or what is stated of the others where that is
            more.
        initial: how many to begin with. Default: 20, or the bound that is nearest to it.
        tolerance: how much slower than the best an answer may be before slots are taken away.

    Raises:
        TypeError: a number of slots that is not whole, or a `tolerance` that is no number.
        ValueError: the numbers are not in the order 1 <= minimum <= initial <= maximum, or `tolerance` is below 1.
    """

    minimum: int = 1
    maximum: int = _MAXIMUM
    initial: int = _INITIAL
    tolerance: float = 1.5

    def __post_init__(self) -> None:
        verify("AdaptiveConcurrency", self, _CHECKS)
        if not is_stated(self.maximum):
            stated = self.initial if is_stated(self.initial) else self.minimum
            object.__setattr__(self, "maximum", UnstatedCount(max(_MAXIMUM, self.minimum, stated)))
        if not is_stated(self.initial):
            object.__setattr__(self, "initial", UnstatedCount(max(self.minimum, min(_INITIAL, self.maximum))))
        if not self.minimum <= self.initial <= self.maximum:
            raise ValueError(
                f"{self} starts outside its own bounds, so nothing says how many slots there are:"
                " keep to minimum <= initial <= maximum"
            )


class Gradient:
    """The state of one adaptive number of slots.

    Args:
        settings: its bounds.
    """

    def __init__(self, settings: AdaptiveConcurrency) -> None:
        self._settings = settings
        self._number = float(settings.initial)
        self._best = _NEVER
        self._next_best = _NEVER
        self._until: float | None = None
        self._changed = -_NEVER

    def observe(self, now: float, took: float, *, dropped: bool, in_use: int) -> int:
        """Learn from one answer; return the number of slots from now on.

        Args:
            now: loop time.
            took: seconds to the first byte.
            dropped: the vendor refused or failed.
            in_use: slots that were taken; answers of a half-empty house say nothing about its size.
        """
        full = 2 * in_use >= self._number
        if not dropped:
            self._remember(now, took, full=full)
        if not self._changed <= now - took:
            return int(self._number)
        if dropped:
            self._set(now, self._number * _SHRINK)
        elif full:
            self._follow(now, took)
        return int(self._number)

    def _remember(self, now: float, took: float, *, full: bool) -> None:
        if self._until is None or not now < self._until <= now + _MEMORY:
            if self._until is not None and full:
                self._set(now, self._number * _LOOK_AGAIN / self._settings.tolerance)
            self._best, self._next_best, self._until = self._next_best, _NEVER, now + _MEMORY
        self._best = min(self._best, took)
        self._next_best = min(self._next_best, took)

    def _follow(self, now: float, took: float) -> None:
        ratio = 1.0 if took <= 0 else self._settings.tolerance * self._best / took
        target = self._number * max(_STEEPEST, min(1.0, ratio)) + _HEADROOM
        self._set(now, self._number + (target - self._number) * _SMOOTHING)

    def _set(self, now: float, number: float) -> None:
        self._changed = now
        self._number = max(self._settings.minimum, min(self._settings.maximum, number))
