"""A rate: how many calls or tokens may be sent in any window."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ._allowance import Counted


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` in any window of `per` seconds.

    Args:
        limit: the vendor's quota for one window.
        per: length of the window in seconds.
        burst: how many may start at the same instant; the rest is spread at `limit / per` a second.
            Default: a tenth of `limit`, at least 1. One larger amount still passes, after a quiet time.
        counts: "calls" counts each attempt as 1; "tokens" counts what the call declares.
        heeds_vendor: an answer that says less is left than we think tightens the rate until the vendor's reset.

    Raises:
        ValueError: a number is not positive, or `burst` is above `limit`.
    """

    limit: float
    per: float
    burst: float | None = None
    counts: Counted = "calls"
    heeds_vendor: bool = True

    def __post_init__(self) -> None:
        if not (0 < self.limit < math.inf and 0 < self.per < math.inf):
            raise ValueError(f"Rate({self.limit}, per={self.per}): both numbers must be above 0 and finite")
        if self.burst is not None and not 0 < self.burst <= self.limit:
            raise ValueError(f"burst={self.burst} must be above 0 and at most the limit of {self.limit:g}")

    @property
    def largest_burst(self) -> float:
        """How many may start at the same instant."""
        return max(1.0, self.limit / 10) if self.burst is None else self.burst

    def __str__(self) -> str:
        return f"{self.limit:g} {self.counts} per {self.per:g} s"
