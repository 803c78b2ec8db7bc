"""A vendor's own count of our calls, as a ceiling under which a rate of ours stays until the vendor's reset."""

from __future__ import annotations

from ._allowance import Allowance

_NO_TIME_NAMED = 10.0
"""Seconds that a ceiling without a reset time holds; Azure counts requests in windows of this length."""


class Ceiling:
    """How much may still be sent, as the vendor said in one answer.

    Where the quota refills all the time, `remaining` grows to `limit` until the reset; else it stays as it is until
    then. After the reset there is no ceiling.

    Args:
        told: what the vendor said.
        now: when.
        after: number of the entry whose answer it was; the vendor has counted that one and those before it.
        since: what has been sent after that entry.

    Attributes:
        after: as given.
    """

    __slots__ = ("_from", "_room", "_speed", "_until", "after")

    def __init__(self, told: Allowance, now: float, after: int, since: float) -> None:
        seconds = _NO_TIME_NAMED if told.reset is None else told.reset
        missing = 0.0 if told.limit is None else told.limit - told.remaining
        self._room = told.remaining - since
        self._from = now
        self._until = now + seconds
        self._speed = missing / seconds if told.refills and seconds > 0 else 0.0
        self.after = after

    def over(self, now: float) -> bool:
        """Whether the vendor's reset is past."""
        return now >= self._until

    def wait(self, now: float, amount: float) -> float:
        """Return the seconds until `amount` may pass; 0 or less means now."""
        missing = amount - self._room - self._speed * (now - self._from)
        rest = self._until - now
        if missing <= 0 or rest <= 0:
            return 0.0
        return min(missing / self._speed, rest) if self._speed > 0 else rest

    def take(self, amount: float) -> None:
        """Note that `amount` was sent."""
        self._room -= amount

    def give_back(self, number: int, amount: float) -> None:
        """Note that entry `number` used less; what the vendor had counted already is not ours to count again."""
        if number > self.after:
            self._room += amount
