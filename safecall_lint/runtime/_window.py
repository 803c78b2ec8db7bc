"""Counts over the last seconds, in constant time and memory."""

from __future__ import annotations

from collections import deque

_BUCKETS = 10


class Window:
    """Sums of a few columns over a sliding window, kept in ten buckets.

    Args:
        span: length of the window in seconds; what is older leaves in steps of a tenth of it.
        columns: how many sums are kept.
    """

    __slots__ = ("_buckets", "_columns", "_width", "totals")

    def __init__(self, span: float, columns: int) -> None:
        self._width = span / _BUCKETS
        self._columns = columns
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._buckets: deque[tuple[int, list[int]]] = deque()
        self.totals = [0] * self._columns

    def roll(self, now: float) -> list[int]:
        """Drop what is too old; return the sums."""
        index = int(now / self._width)
        buckets = self._buckets
        if buckets and buckets[-1][0] > index + _BUCKETS:
            self.reset()
        while buckets and buckets[0][0] <= index - _BUCKETS:
            self._subtract(buckets.popleft()[1])
        return self.totals

    def add(self, now: float, column: int, amount: int = 1) -> None:
        """Add `amount` to one column."""
        index = int(now / self._width)
        buckets = self._buckets
        if not buckets or buckets[-1][0] != index:
            self.roll(now)
            buckets = self._buckets
            buckets.append((index, [0] * self._columns))
        buckets[-1][1][column] += amount
        self.totals[column] += amount

    def take_back(self, then: float, column: int) -> None:
        """Undo one that was added at `then`; where that has left the window there is nothing to undo."""
        index = int(then / self._width)
        for number, counts in self._buckets:
            if number == index and counts[column] > 0:
                counts[column] -= 1
                self.totals[column] -= 1

    def _subtract(self, counts: list[int]) -> None:
        for column, count in enumerate(counts):
            self.totals[column] -= count
