"""How long calls hold their slots, and how quick the vendor is at its best."""

from __future__ import annotations

from collections import deque

_LATEST = 32
_ENOUGH = 10
_MEMORY = 30.0
_NEVER = float("inf")


class Pace:
    """What one gate has seen of its calls."""

    __slots__ = ("_holds", "_next_quickest", "_quickest", "_sum", "_until")

    def __init__(self) -> None:
        self._holds: deque[float] = deque()
        self._sum = 0.0
        self._quickest = _NEVER
        self._next_quickest = _NEVER
        self._until = -_NEVER

    def released(self, held: float) -> None:
        """Note a slot that came back after `held` seconds, whatever the call's end.

        The mean is that of the last 32: after an outage an exponentially weighted one stays too high for hundreds of
        quick calls.
        """
        holds = self._holds
        holds.append(held)
        self._sum += held
        if len(holds) > _LATEST:
            self._sum -= holds.popleft()

    def wait(self, work: int, slots: int) -> float:
        """Return the seconds until `work` slots have come back, out of `slots` that are taken; 0 where too few did yet.

        Slots come back at `slots / mean hold` a second (Little's law), so it is `work x mean hold / slots`.
        """
        if work <= 0 or len(self._holds) < _ENOUGH:
            return 0.0
        return work * self._sum / len(self._holds) / slots

    def answered(self, now: float, took: float) -> None:
        """Note a good answer, and the seconds to its first byte."""
        if not now < self._until <= now + _MEMORY:
            recent = now < self._until + _MEMORY
            self._quickest, self._next_quickest = self._next_quickest if recent else _NEVER, _NEVER
            self._until = now + _MEMORY
        if took < self._next_quickest:
            self._next_quickest = took
            self._quickest = min(self._quickest, took)

    def quickest(self, now: float) -> float:
        """Return the shortest time of a good answer in the last 30 to 90 s; 0 where there was none."""
        known = self._quickest < _NEVER and self._until - 2 * _MEMORY < now < self._until + _MEMORY
        return self._quickest if known else 0.0
