"""A rate: how many calls or tokens may be sent in any window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ._allowance import Counted
from ._setting import Check, choice, flag, number, optional, seconds, verify

_CHECKS: Mapping[str, Check] = {
    "limit": number(
        least=0, beyond=True, so="nothing ever passes", give="the vendor's quota for one window, such as 60"
    ),
    "per": seconds("60", "the window has no beginning or no end"),
    "burst": optional(number(least=1, so="no whole call starts at once", give="a number from 1, or leave it out")),
    "counts": choice(Counted, "nothing is counted"),
    "heeds_vendor": flag,
}


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
        TypeError: a setting of a wrong type.
        ValueError: a number is out of bounds, `limit` is below 1, or `burst` is above `limit`.
    """

    limit: float
    per: float
    burst: float | None = None
    counts: Counted = "calls"
    heeds_vendor: bool = True

    def __post_init__(self) -> None:
        verify("Rate", self, _CHECKS)
        if self.limit < 1:
            raise ValueError(
                f"Rate: limit={self.limit:g} is below 1, so nothing whole ever passes:"
                f" say the same as Rate(1, per={self.per / self.limit:g})"
            )
        if self.burst is not None and self.burst > self.limit:
            raise ValueError(
                f"Rate: burst={self.burst:g} is above the limit of {self.limit:g}, so it never starts at once:"
                " lower burst to the limit or below"
            )

    @property
    def largest_burst(self) -> float:
        """How many may start at the same instant."""
        return max(1.0, self.limit / 10) if self.burst is None else self.burst

    def __str__(self) -> str:
        return f"{self.limit:g} {self.counts} per {self.per:g} s"
