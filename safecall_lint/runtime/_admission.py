"""The way to a slot: circuit, quota and concurrency, in this order, under one queue timeout."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ._breaker import Circuit, Permit
from ._clock import Clock
from ._errors import CallRejected, CircuitOpen, DeadlineExceeded, QueueFull, QueueTimeout, RateLimited
from ._events import Admitted, Event, Rejected, RejectReason
from ._gate import Gate, Pass, Waiter
from ._options import CallOptions
from ._per_loop import PerLoop
from ._quota import Quota
from ._slot import Slot


class Limiter(Protocol):
    """A limiter of someone else, such as `aiolimiter.AsyncLimiter`."""

    async def acquire(self, amount: float = 1) -> None:
        """Return when `amount` may pass."""
        ...


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How a policy queues: its name, how long and how many may wait."""

    name: str
    queue_timeout: float
    max_queue: int


class Entry:
    """One attempt on its way to a slot.

    Args:
        since: loop time at which it came.
        at: loop time of the deadline.
        options: what the call says of itself.
    """

    __slots__ = ("at", "options", "since", "waiter")

    def __init__(self, since: float, at: float, options: CallOptions) -> None:
        self.since = since
        self.at = at
        self.options = options
        self.waiter: Waiter | None = None


class Admission:
    """Lets calls of one policy through to the vendor, or refuses them with a reason.

    The caller awaits `entry.waiter` itself: a coroutine of ours around it would double what a waiting call costs.

        slot = admission.enter(entry)
        if slot is None:
            slot = admission.claim(entry, await entry.waiter)

    Args:
        settings: the bounds of the queue.
        gates: slots and quota, for each event loop.
        quota: the rates, to know a wait before it is waited.
        limiter: another limiter to pass first, or None. It cannot take tokens back.
        circuit: the circuit breaker, or None.
        clock: the time.
        emit: told about every admission and refusal, or None.
    """

    def __init__(
        self,
        settings: QueueSettings,
        gates: PerLoop[Gate],
        quota: Quota,
        limiter: Limiter | None,
        circuit: Circuit | None,
        clock: Clock,
        emit: Callable[[Event], None] | None,
    ) -> None:
        self._settings = settings
        self._gates = gates
        self._quota = quota
        self.limiter = limiter
        self._circuit = circuit
        self._clock = clock
        self._emit = emit

    def enter(self, entry: Entry) -> Slot | None:
        """Return a slot, or None after putting `entry.waiter` into the queue.

        Raises:
            CallRejected: no slot can be had within the queue timeout, as far as that is known now.
            DeadlineExceeded: the deadline is over.
        """
        now = entry.since if self.limiter is None else self._clock.time()
        if now >= entry.at:
            raise self._deadline_exceeded(now - entry.since)
        circuit = self._circuit
        if circuit is not None and (wait := circuit.refusal(now)) is not None:
            raise self._circuit_open(wait, waited=0.0)
        gate = self._gates.get()
        given = gate.enter(now, entry.options.weight, entry.options.tokens)
        if given is not None:
            return self._slot(gate, entry, given)
        timeout = self._patience(entry) + entry.since - now
        self._shed(gate, now, entry.options, timeout)
        options = entry.options
        entry.waiter = gate.join(now, options.weight, options.tokens, options.priority, timeout)
        return None

    def claim(self, entry: Entry, given: Pass | None) -> Slot:
        """Return the slot that the wait led to.

        Raises:
            QueueTimeout: it led to none.
            DeadlineExceeded: the deadline came first.
            CircuitOpen: the circuit opened meanwhile.
        """
        waiter, entry.waiter = entry.waiter, None
        gate = self._gates.get()
        if given is not None:
            return self._slot(gate, entry, given)
        waited = self._clock.time() - entry.since
        if entry.at - entry.since <= self._settings.queue_timeout:
            raise self._deadline_exceeded(waited)
        message = f"waited {waited:.3g} s and none of {gate.limit} slots came free: send less, or raise max_concurrency"
        if waiter is not None and 2 * (by_quota := gate.rate_wait(waiter)) > waited:
            message = (
                f"waited {waited:.3g} s and the quota had no room for {by_quota:.3g} s: send less, or raise the quota"
            )
        raise self._rejected(QueueTimeout, "queue_timeout", message, waited, None)

    def hold(self, seconds: float | None) -> None:
        """Let no call through for `seconds`, as the vendor asked; nothing happens where it named no time."""
        if seconds is not None:
            self._quota.hold(self._clock.time() + seconds)

    def refused(self, sent: float) -> None:
        """Send more slowly, where that is wished: the vendor answered 429 to a call that was sent at `sent`."""
        self._quota.refused(self._clock.time(), sent)

    def accepted(self) -> None:
        """Send more quickly again after a good answer."""
        self._quota.accepted(self._clock.time())

    def abandon(self, entry: Entry) -> None:
        """Leave the queue: the caller was cancelled."""
        if entry.waiter is not None:
            self._gates.get().abandon(entry.waiter)
            entry.waiter = None

    async def wait(self, entry: Entry) -> Slot:
        """Return a slot, for callers that hold many things at once anyway, such as streams."""
        if self.limiter is not None:
            await self.pass_limiter(entry, self.limiter)
        slot = self.enter(entry)
        if slot is not None or entry.waiter is None:
            assert slot is not None
            return slot
        try:
            return self.claim(entry, await entry.waiter)
        except BaseException:
            self.abandon(entry)
            raise

    async def pass_limiter(self, entry: Entry, limiter: Limiter) -> None:
        """Wait for another limiter, within the queue timeout.

        Raises:
            RateLimited: it let nothing through in that time.
            QueueFull: too many wait already.
        """
        gate = self._gates.get()
        self._shed_by_length(gate)
        gate.outside += 1
        try:
            async with asyncio.timeout(self._patience(entry)):
                await limiter.acquire()
        except TimeoutError:
            waited = self._clock.time() - entry.since
            message = f"the rate limiter had no room for {waited:.3g} s: send less, or raise its rate"
            raise self._rejected(RateLimited, "rate_limited", message, waited, None) from None
        finally:
            gate.outside -= 1

    def _patience(self, entry: Entry) -> float:
        return min(self._settings.queue_timeout, entry.at - entry.since)

    def _slot(self, gate: Gate, entry: Entry, given: Pass) -> Slot:
        slot = None
        try:
            permit = self._permit(entry, given)
            slot = Slot(self._settings.name, self._clock, gate, given, self._circuit, permit, self._emit)
            if entry.options.owner is not None:
                entry.options.note(slot)
            if self._emit is not None:
                self._emit(Admitted(self._settings.name, given.slot_wait, given.rate_wait, gate.in_use))
        except BaseException:
            gate.revoke(given) if slot is None else slot.abandon()
            raise
        return slot

    def _permit(self, entry: Entry, given: Pass) -> Permit:
        """Ask the circuit again: it may have opened while this call was in the queue."""
        if self._circuit is None:
            return 0
        permit = self._circuit.permit(given.time)
        if permit is None:
            wait = self._circuit.refusal(given.time) or 0.0
            raise self._circuit_open(wait, given.time - entry.since)
        return permit

    def _shed(self, gate: Gate, now: float, options: CallOptions, timeout: float) -> None:
        """Refuse at once what the queue cannot serve in time."""
        too_small = self._quota.never_fits(options.tokens)
        if too_small is not None:
            message = f"one call of {options.tokens:g} tokens can never pass a quota of {too_small}"
            raise self._rejected(RateLimited, "rate_limited", f"{message}: send a smaller one", 0.0, None)
        self._shed_by_length(gate)
        self._shed_by_wait(gate, options, timeout)
        wait = gate.quota_estimate(now, options.priority, options.tokens)
        if wait > timeout:
            message = f"the quota has no room for {wait:.3g} s and a call may queue for {timeout:.3g} s"
            raise self._rejected(RateLimited, "rate_limited", f"{message}: send less, or raise the quota", 0.0, wait)

    def _shed_by_length(self, gate: Gate) -> None:
        waiting = gate.queued + gate.outside
        if waiting >= self._settings.max_queue:
            message = f"{waiting} calls already wait for {gate.limit} slots, the bound of the queue"
            raise self._rejected(QueueFull, "queue_full", f"{message}: send less, or raise max_concurrency", 0.0, None)

    def _shed_by_wait(self, gate: Gate, options: CallOptions, timeout: float) -> None:
        wait = gate.slot_estimate(options.priority, options.weight)
        if wait > timeout:
            message = f"a slot is expected in {wait:.3g} s and a call may queue for {timeout:.3g} s"
            text = f"{message}: send less, or raise max_concurrency"
            raise self._rejected(QueueFull, "expected_wait", text, 0.0, wait - timeout)

    def quickest(self) -> float:
        """Return the seconds that a good answer takes at least, going by the last minute; 0 where that is unknown."""
        return self._gates.get().pace.quickest(self._clock.time())

    def _circuit_open(self, wait: float, waited: float) -> CallRejected:
        message = f"the vendor is failing, so calls stop for {wait:.3g} s more: look at the vendor's status"
        return self._rejected(CircuitOpen, "circuit_open", message, waited, wait)

    def _rejected(
        self, kind: type[CallRejected], reason: RejectReason, message: str, waited: float, retry_after: float | None
    ) -> CallRejected:
        name = self._settings.name
        if self._emit is not None:
            self._emit(Rejected(name, reason, waited, retry_after))
        return kind(f"{name}: {message}", policy=name, retry_after=retry_after)

    def _deadline_exceeded(self, waited: float) -> DeadlineExceeded:
        name = self._settings.name
        if self._emit is not None:
            self._emit(Rejected(name, "deadline", waited, None))
        return DeadlineExceeded(f"{name}: the deadline ended before the call could be sent", policy=name)
