"""A circuit breaker with bounded, leased probes."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ._events import CircuitState
from ._setting import Check, count, optional, seconds, share, verify
from ._window import Window

_CALLS, _FAILED, _SLOW = range(3)
_ALWAYS_OR_NEVER = "the circuit opens at once or never"
_CHECKS: Mapping[str, Check] = {
    "failure_rate": share(_ALWAYS_OR_NEVER),
    "minimum_calls": count(1, _ALWAYS_OR_NEVER),
    "window": seconds("30", "the window has no beginning or no end"),
    "open_for": seconds("15", "the circuit closes at once or never"),
    "probes": count(1, "an open circuit never closes"),
    "slow_call": optional(seconds("10", "every call is slow or none is")),
    "slow_rate": share(_ALWAYS_OR_NEVER),
}


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """When to stop calling a vendor that fails, and how to find out that it is back.

    A failure is a timeout, a lost connection or a 5xx. A 429 is not one, nor is any other 4xx, a refusal of
    our own or a cancelled caller: none of them says that the vendor is down.

    Args:
        failure_rate: open when this share of the calls in the window failed.
        minimum_calls: never open on fewer calls than this in the window.
        window: length of the sliding window in seconds.
        open_for: seconds without any call before the first probe.
        probes: how many calls may try the vendor at once while half-open; as many successes close the circuit.
        slow_call: a call that takes longer than this many seconds is slow; None counts none. It is below the policy's
            call timeout: a call that reaches that has failed.
        slow_rate: open when this share of the calls in the window was slow.

    Raises:
        TypeError: a setting that is no number.
        ValueError: a share is outside 0 to 1, or another number is not positive.
    """

    failure_rate: float = 0.5
    minimum_calls: int = 20
    window: float = 30.0
    open_for: float = 15.0
    probes: int = 3
    slow_call: float | None = None
    slow_rate: float = 0.8

    def __post_init__(self) -> None:
        verify("CircuitBreaker", self, _CHECKS)


Permit: TypeAlias = int
"""Leave to make one call: a positive number is a probe's lease, any other the generation of a closed circuit."""


class _Lease:
    """Until when a probe is waited for, and the task that holds it for as long as it likes, where there is one."""

    __slots__ = ("_holder", "expiry")

    def __init__(self, expiry: float) -> None:
        self.expiry = expiry
        self._holder: Callable[[], asyncio.Task[object] | None] = lambda: None

    def hold(self, task: asyncio.Task[object]) -> None:
        self._holder = weakref.ref(task)

    def held(self) -> bool:
        task = self._holder()
        return task is not None and not task.done() and not task.get_loop().is_closed()


class Circuit:
    """The state of one breaker. It belongs to the process, like the vendor it watches.

    Args:
        settings: when to open and how to probe.
        lease: seconds after which a probe that has not reported is written off and another may go, unless it is held.
        on_change: told about each change of state.
    """

    def __init__(
        self, settings: CircuitBreaker, lease: float, on_change: Callable[[CircuitState, CircuitState], None]
    ) -> None:
        self.state: CircuitState = "closed"
        self._settings = settings
        self._lease = lease
        self._on_change = on_change
        self._window = Window(settings.window, columns=3)
        self._generation = 0
        self._opened_at = 0.0
        self._leases: dict[Permit, _Lease] = {}
        self._next_lease = self._first_lease = 1
        self._successes = 0
        self._lock = threading.RLock()

    @property
    def probing(self) -> int:
        """How many probes are under way."""
        return len(self._leases)

    def refusal(self, now: float) -> float | None:
        """Return the seconds until the circuit may let a call through, or None if it would now."""
        if self.state == "closed":
            return None
        with self._lock:
            return self._refusal(now)

    def _refusal(self, now: float) -> float | None:
        if self.state == "open":
            remaining = self._opened_at + self._settings.open_for - now
            if 0 < remaining <= self._settings.open_for:
                return remaining
            self._move("half_open")
        self._expire_leases(now)
        if self.state == "half_open" and len(self._leases) >= self._settings.probes:
            return min(lease.expiry for lease in self._leases.values()) - now
        return None

    def permit(self, now: float) -> Permit | None:
        """Return leave for one call, or None where the circuit refuses."""
        if self.state == "closed":
            return -self._generation
        with self._lock:
            if self._refusal(now) is not None:
                return None
            return self._grant_lease(now)

    def _grant_lease(self, now: float) -> Permit:
        permit = self._next_lease
        self._next_lease += 1
        self._leases[permit] = _Lease(now + self._lease)
        return permit

    def _expire_leases(self, now: float) -> None:
        for permit, lease in list(self._leases.items()):
            if not now < lease.expiry <= now + self._lease:
                if lease.held():
                    lease.expiry = now + self._lease
                else:
                    del self._leases[permit]

    def hold(self, permit: Permit, task: asyncio.Task[object]) -> None:
        """Wait for a probe for as long as `task` runs: the time of its work is its own."""
        if permit > 0:
            with self._lock:
                if (lease := self._leases.get(permit)) is not None:
                    lease.hold(task)

    def answered(self, permit: Permit, now: float, duration: float) -> Permit:
        """Let a probe whose answer has begun report that; return the permit under which its end is recorded."""
        if permit <= 0:
            return permit
        with self._lock:
            if permit < self._first_lease:
                return permit
            after = -self._generation - 1
            self.record(permit, now, failed=False, duration=duration)
            return after

    def record(self, permit: Permit, now: float, *, failed: bool, duration: float) -> None:
        """Count the result of a call. One from before the last change of state counts nothing."""
        slow = self._settings.slow_call is not None and duration > self._settings.slow_call
        with self._lock:
            if permit > 0:
                self._record_probe(permit, now, failed=failed or slow)
            elif self.state == "closed" and permit == -self._generation:
                self._record_call(now, failed, slow)
            elif failed and self.state == "half_open" and permit == -self._generation - 1:
                self._open(now)

    def forget(self, permit: Permit) -> None:
        """Give leave back without a result: the call was cancelled, or says nothing about the vendor."""
        if permit > 0:
            with self._lock:
                self._leases.pop(permit, None)

    def _record_probe(self, permit: Permit, now: float, *, failed: bool) -> None:
        """A lease that has expired tells of the vendor all the same."""
        if permit < self._first_lease:
            return
        self._leases.pop(permit, None)
        if failed:
            self._open(now)
            return
        self._successes += 1
        if self._successes >= self._settings.probes:
            self._move("closed")

    def _record_call(self, now: float, failed: bool, slow: bool) -> None:
        window = self._window
        window.add(now, _CALLS)
        if failed:
            window.add(now, _FAILED)
        if slow:
            window.add(now, _SLOW)
        if (failed or slow) and self._tripped(window.roll(now)):
            self._open(now)

    def _tripped(self, totals: list[int]) -> bool:
        settings, calls = self._settings, totals[_CALLS]
        if calls < settings.minimum_calls:
            return False
        return totals[_FAILED] >= settings.failure_rate * calls or totals[_SLOW] >= settings.slow_rate * calls

    def _open(self, now: float) -> None:
        self._opened_at = now
        self._move("open")

    def _move(self, state: CircuitState) -> None:
        before, self.state = self.state, state
        self._generation += 1
        self._successes = 0
        self._leases.clear()
        self._first_lease = self._next_lease
        self._window.reset()
        self._on_change(before, state)
