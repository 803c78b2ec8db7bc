"""Window-true rate limits: pacing by GCRA, truth by a log of the window.

GCRA alone is window-true only if it gives up its burst (burst + rate x window <= limit) and it cannot take a
token back exactly once later calls have been let in. A leaky bucket of 60 per minute lets 119 calls into one
minute. Here GCRA spreads the calls at the full rate, and a log of what was let in during the last window makes
the quota and every refund exact. The price is one small log entry for each call of the window.

GCRA: ITU-T I.371, "virtual scheduling".
"""

from __future__ import annotations

import math
from collections import deque

from ._allowance import Allowance
from ._ceiling import Ceiling
from ._rate import Rate

RESOLUTION = 1e-9
_LATE_TIMER = 0.02


class Entry:
    """What one call took from one rate, when, and as which of all that took from it."""

    __slots__ = ("amount", "meter", "number", "time")

    def __init__(self, meter: Meter, time: float, amount: float, number: int) -> None:
        self.meter = meter
        self.time = time
        self.amount = amount
        self.number = number


class Meter:
    """The state of one rate: the theoretical arrival time, the log of the window, and what the vendor says."""

    __slots__ = (
        "_arrival", "_ceilings", "_head_start", "_interval", "_limit", "_log", "_number", "_per", "_used",
        "counts_calls", "rate",
    )  # fmt: skip

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.counts_calls = rate.counts == "calls"
        self._limit = rate.limit
        self._per = rate.per
        self._interval = rate.per / rate.limit
        self._head_start = rate.largest_burst * self._interval
        self.reset()

    def reset(self) -> None:
        self._arrival = -math.inf
        self._log: deque[Entry] = deque()
        self._used = 0.0
        self._number = 0
        self._ceilings: dict[str, Ceiling] = {}

    def wait(self, now: float, amount: float) -> float:
        """Return the seconds until `amount` may pass; 0 or less means now."""
        log = self._log
        if log and log[0].time + self._per <= now + RESOLUTION:
            self._forget(now)
        paced = self._arrival + amount * self._interval - self._head_start - now
        missing = self._used + amount - self._limit
        if missing > 0:
            paced = max(paced, self._window_wait(now, missing))
        return paced if not self._ceilings else max(paced, self._ceiling_wait(now, amount))

    def _window_wait(self, now: float, missing: float) -> float:
        for entry in self._log:
            missing -= entry.amount
            if missing <= 0:
                return entry.time + self._per - now
        return math.inf

    def _forget(self, now: float) -> None:
        log = self._log
        while log and log[0].time + self._per <= now + RESOLUTION:
            self._used -= log.popleft().amount
        if not log:
            self._used = 0.0

    def take(self, now: float, amount: float) -> Entry:
        self._number += 1
        entry = Entry(self, now, amount, self._number)
        self._log.append(entry)
        self._used += amount
        for ceiling in self._ceilings.values():
            ceiling.take(amount)
        # A timer that woke its call a little late must not delay all the calls behind it, and what an amount above
        # the burst had to wait for has been paid for by that wait.
        cost = amount * self._interval
        paid = cost - self._head_start if cost > self._head_start else 0.0
        on_time = now - self._arrival <= _LATE_TIMER + paid
        self._arrival = (self._arrival if on_time else now - paid) + cost
        return entry

    def give_back(self, now: float, entry: Entry, amount: float) -> None:
        """Return `amount` of what `entry` took, unless its window is already over."""
        self._forget(now)
        amount = min(amount, entry.amount)
        counts = entry.time + self._per > now + RESOLUTION
        if counts or amount < 0:
            self._arrival -= amount * self._interval
        if counts:
            self._used -= amount
            entry.amount -= amount
        for ceiling in self._ceilings.values():
            ceiling.give_back(entry.number, amount)

    def estimate(self, now: float, amount: float) -> float:
        """Return about how many seconds `amount` takes to pass when all of it is queued now.

        What is beyond one limit passes whole windows after what is within it.
        """
        if amount <= self._limit:
            return self.wait(now, amount)
        windows = math.ceil(amount / self._limit) - 1
        paced = self._arrival + amount * self._interval - self._head_start - now
        rest = max(0.0, self.wait(now, amount - windows * self._limit))
        return max(paced, rest + windows * self._per, self._ceiling_wait(now, amount))

    def heed(self, now: float, entry: Entry, told: Allowance) -> None:
        """Stay under what the vendor said in its answer to `entry`, unless it has answered a later call already."""
        known = self._ceilings.get(told.name)
        if known is not None and known.after > entry.number and not known.over(now):
            return
        since = self._sent_since(entry)
        self._ceilings.pop(told.name, None)
        if told.remaining - since < self._limit:
            self._ceilings[told.name] = Ceiling(told, now, entry.number, since)

    def _sent_since(self, entry: Entry) -> float:
        total = 0.0
        for later in reversed(self._log):
            if later.number <= entry.number:
                break
            total += later.amount
        return total

    def _ceiling_wait(self, now: float, amount: float) -> float:
        for name in [name for name, ceiling in self._ceilings.items() if ceiling.over(now)]:
            del self._ceilings[name]
        return max((ceiling.wait(now, amount) for ceiling in self._ceilings.values()), default=0.0)
