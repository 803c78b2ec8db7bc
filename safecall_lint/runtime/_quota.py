"""All the rates of one policy as one quota, and what a call took from it."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from ._allowance import Allowance
from ._meter import RESOLUTION, Entry, Meter
from ._rate import Rate
from ._throttle import Throttle

_CLOCK_STEP_BACK = 1.0


class Charge:
    """What one call took from each rate of a quota; it can be given back in part or whole."""

    __slots__ = ("_entries", "_quota")

    def __init__(self, quota: Quota, entries: list[Entry]) -> None:
        self._quota = quota
        self._entries = entries

    def refund(self, now: float) -> None:
        """Give everything back: the call was never sent."""
        self._quota.refund(now, self._entries)

    def settle(self, now: float, tokens: float) -> None:
        """Say how many tokens were really used; a surplus goes back, a shortfall is charged."""
        spent = [entry for entry in self._entries if not entry.meter.counts_calls]
        self._quota.give_back(now, [(entry, entry.amount - tokens) for entry in spent])

    @property
    def heeds_vendor(self) -> bool:
        """Whether what the vendor says of its quota is of any use."""
        return any(entry.meter.rate.heeds_vendor for entry in self._entries)

    def heed(self, now: float, told: Sequence[Allowance]) -> None:
        """Stay under what the vendor said is left, in its answer to this call."""
        self._quota.heed(now, self._entries, told)


class Quota:
    """All the rates of a policy, taken together or not at all.

    The state belongs to the process, not to an event loop: the vendor counts both loops of a program, and
    every `asyncio.run` of a worker, against the same quota. A lock makes that true across threads.
    """

    def __init__(self, rates: Sequence[Rate], throttle: Throttle | None = None) -> None:
        self._throttle = throttle
        self._meters = [Meter(rate) for rate in rates]
        self._lock = threading.Lock()
        self._latest = -math.inf
        self._held_until = -math.inf
        self._free = Charge(self, [])
        self._one_call = self._needs(1.0, 0.0)

    def never_fits(self, tokens: float) -> Rate | None:
        """Return the rate whose whole window is too small for this call, if there is one."""
        return next((meter.rate for meter, amount in self._needs(1.0, tokens) if amount > meter.rate.limit), None)

    def take(self, now: float, tokens: float) -> Charge | None:
        """Charge one call to every rate, or return None where one of them has no room."""
        if now < self._held_until:
            return None
        if not self._meters and self._throttle is None:
            return self._free
        with self._lock:
            if now < self._latest:
                self._follow(now)
            self._latest = now
            needs = self._needs(1.0, tokens) if tokens else self._one_call
            for meter, amount in needs:
                if meter.wait(now, amount) > RESOLUTION:
                    return None
            if self._throttle is not None:
                if self._throttle.wait(now) > RESOLUTION:
                    return None
                self._throttle.take(now)
            return Charge(self, [meter.take(now, amount) for meter, amount in needs])

    def wait(self, now: float, tokens: float) -> float:
        """Return the seconds until one call may pass."""
        with self._lock:
            self._follow(now)
            waits = [meter.wait(now, amount) for meter, amount in self._needs(1.0, tokens)]
            return max([*waits, self._held_until - now, self._throttle_wait(now, 1)])

    def estimate(self, now: float, calls: float, tokens: float) -> float:
        """Return about how many seconds it takes until `calls` with `tokens` in sum have passed."""
        with self._lock:
            self._follow(now)
            waits = [meter.estimate(now, amount) for meter, amount in self._needs(calls, tokens)]
            return max([*waits, self._held_until - now, self._throttle_wait(now, calls)])

    def hold(self, until: float) -> None:
        """Let nothing through before `until`: the vendor has said so."""
        with self._lock:
            self._held_until = max(self._held_until, until)

    def heed(self, now: float, entries: Sequence[Entry], told: Sequence[Allowance]) -> None:
        """Stay under what the vendor said is left, in its answer to the call that took `entries`."""
        with self._lock:
            for entry in entries:
                rate = entry.meter.rate
                for one in told:
                    if rate.heeds_vendor and one.counts == rate.counts:
                        entry.meter.heed(now, entry, one)

    def refused(self, now: float, sent: float) -> None:
        """Slow down after a 429 to a call that was sent at `sent`."""
        if self._throttle is not None:
            with self._lock:
                self._throttle.refused(now, sent)

    def accepted(self, now: float) -> None:
        """Speed up after a good answer."""
        if self._throttle is not None:
            with self._lock:
                self._throttle.accepted(now)

    def _throttle_wait(self, now: float, calls: float) -> float:
        return 0.0 if self._throttle is None else self._throttle.wait(now, calls)

    def _needs(self, calls: float, tokens: float) -> list[tuple[Meter, float]]:
        amounts = [(meter, calls if meter.counts_calls else tokens) for meter in self._meters]
        return [need for need in amounts if need[1] > 0]

    def refund(self, now: float, entries: Sequence[Entry]) -> None:
        """Return all of a charge."""
        self.give_back(now, [(entry, entry.amount) for entry in entries])
        if self._throttle is not None:
            with self._lock:
                self._throttle.give_back(now)

    def give_back(self, now: float, parts: Sequence[tuple[Entry, float]]) -> None:
        """Return parts of a charge."""
        with self._lock:
            for entry, amount in parts:
                entry.meter.give_back(now, entry, amount)

    def _follow(self, now: float) -> None:
        # A monotonic clock that steps back is another clock, as when a test's virtual time starts again.
        if now < self._latest - _CLOCK_STEP_BACK:
            self._held_until = -math.inf
            for meter in self._meters:
                meter.reset()
            if self._throttle is not None:
                self._throttle.reset()
