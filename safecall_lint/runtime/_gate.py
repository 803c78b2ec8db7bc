"""The one queue in front of a vendor: it lets a call in when a slot and the quota both have room.

Slots and quota share a queue so that neither is held while the other is awaited: a call that gives up has
taken nothing, so there is nothing to lose and nothing to give back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from ._adaptive import Gradient
from ._pace import Pace
from ._quota import Charge, Quota
from ._turns import Turns

_TURN_OF_THE_OLDEST = 8
_COMPACT_ABOVE = 64
_TIMER_RESOLUTION = 1e-6
_NEVER = float("inf")


class Priority(IntEnum):
    """Who goes first when calls wait. One turn in eight goes to the call that has waited longest, whatever it is."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


class Pass:
    """What the gate gave to one call: its share of the slots and of the quota."""

    __slots__ = ("charge", "rate_wait", "slot_wait", "time", "weight")

    def __init__(self, time: float, weight: int, charge: Charge, slot_wait: float, rate_wait: float) -> None:
        self.time = time
        self.weight = weight
        self.charge = charge
        self.slot_wait = slot_wait
        self.rate_wait = rate_wait


class Waiter(asyncio.Future["Pass | None"]):
    """A call in the queue; its result is a pass, or None when its time there is over."""

    __slots__ = ("priority", "rate_mark", "since", "tokens", "weight")

    priority: Priority
    rate_mark: float
    since: float
    tokens: float
    weight: int


_Line: TypeAlias = deque[Waiter]


class Gate:
    """Slots and quota of one policy on one event loop.

    It keeps no timer handle: a handle keeps its loop alive, and the loop this gate.

    Args:
        limit: how many slots there are.
        quota: the rates that every call is charged to.
        turns: shared with the other gates of the quota on this loop.
        now: the clock.
        patience: seconds after which a waiting call is sent away.
        gradient: moves the number of slots, or None where it is fixed.
        on_resize: told the number before and after, or None.
    """

    def __init__(
        self,
        limit: int,
        quota: Quota,
        turns: Turns,
        now: Callable[[], float],
        patience: float,
        gradient: Gradient | None = None,
        on_resize: Callable[[int, int], None] | None = None,
    ) -> None:
        self.limit = limit
        self._gradient = gradient
        self._on_resize = on_resize
        self.in_use = 0
        self.queued = 0
        self.outside = 0
        self._calls = [0 for _ in Priority]
        self._tokens = [0.0 for _ in Priority]
        self._weights = [0 for _ in Priority]
        self.pace = Pace()
        self._quota = quota
        self._turns = turns
        self._now = now
        self._patience = patience
        self._lines: tuple[_Line, ...] = tuple(deque() for _ in Priority)
        self._turn = 1
        self._quota_wake = _NEVER
        self._patience_armed = False
        self._rate_blocked = 0.0
        self._rate_blocked_since: float | None = None

    def enter(self, now: float, weight: int, tokens: float) -> Pass | None:
        """Let the call in at once, or return None where it has to wait."""
        if self.queued or self._turns.line or (self.in_use and self.in_use + weight > self.limit):
            return None
        charge = self._quota.take(now, tokens)
        if charge is None:
            return None
        self.in_use += weight
        return Pass(now, weight, charge, 0.0, 0.0)

    def quota_estimate(self, now: float, priority: Priority, tokens: float) -> float:
        """Return about how many seconds the quota alone keeps a call waiting that joins the queue now."""
        calls, ahead = self._turns.ahead(self)
        calls, ahead = calls + sum(self._calls[: priority + 1]), ahead + sum(self._tokens[: priority + 1])
        return self._quota.estimate(now, calls + 1, ahead + tokens)

    def slot_estimate(self, priority: Priority, weight: int) -> float:
        """Return about how many seconds the slots alone keep a call waiting that joins the queue now."""
        work = self.in_use + sum(self._weights[: priority + 1]) + weight - self.limit
        return self.pace.wait(work, self.limit)

    def join(self, now: float, weight: int, tokens: float, priority: Priority, timeout: float) -> Waiter:
        """Queue a call for at most `timeout` seconds; whoever awaits it must `abandon` it when that is cut short."""
        loop = asyncio.get_running_loop()
        waiter = Waiter(loop=loop)
        waiter.since = now
        waiter.rate_mark = self._rate_blocked_until(now)
        waiter.weight, waiter.tokens, waiter.priority = weight, tokens, priority
        self._lines[priority].append(waiter)
        self._count(waiter, 1)
        try:
            if timeout < self._patience:
                loop.call_later(timeout, self._send_away, waiter)
            elif not self._patience_armed:
                self._patience_armed = True
                loop.call_later(self._patience, self._lose_patience)
            self.admit()
        except BaseException:
            self.abandon(waiter)
            raise
        return waiter

    def abandon(self, waiter: Waiter) -> None:
        """The caller was cancelled, perhaps in the very moment in which its pass arrived."""
        if waiter.cancel() or waiter.cancelled():
            self._leave(waiter)
        elif (given := waiter.result()) is not None:
            self.revoke(given)

    def _send_away(self, waiter: Waiter) -> None:
        if not waiter.done():
            waiter.set_result(None)
            self._leave(waiter)

    def _lose_patience(self) -> None:
        """One timer for all: calls of equal patience lose it in the order in which they came."""
        now = self._now()
        self._patience_armed = False
        oldest = None
        for line in self._lines:
            while (head := _head(line)) is not None and head.since + self._patience <= now + _TIMER_RESOLUTION:
                self._send_away(head)
            oldest = head.since if head is not None and (oldest is None or head.since < oldest) else oldest
        if oldest is not None:
            self._patience_armed = True
            asyncio.get_running_loop().call_later(oldest + self._patience - now, self._lose_patience)

    def _count(self, waiter: Waiter, step: int) -> None:
        self.queued += step
        self._calls[waiter.priority] += step
        self._tokens[waiter.priority] += step * waiter.tokens
        self._weights[waiter.priority] += step * waiter.weight

    def _leave(self, waiter: Waiter) -> None:
        self._count(waiter, -1)
        self._compact()
        self.admit()

    def _compact(self) -> None:
        """Drop the places of calls that gave up, before a storm of them fills the memory."""
        if sum(map(len, self._lines)) > 2 * self.queued + _COMPACT_ABOVE:
            self._lines = tuple(deque(waiter for waiter in line if not waiter.done()) for line in self._lines)

    def admit(self) -> None:
        """Let in from the head of the queue whoever now has both a slot and quota."""
        now = self._now()
        while self.queued and (head := self._next()) is not None:
            if self.in_use and self.in_use + head.weight > self.limit:
                break
            charge = self._quota.take(now, head.tokens) if self._turns.may_take(self) else None
            if charge is None:
                self._admit_later(now, head)
                return
            self._turns.leave(self)
            self._lines[head.priority].popleft()
            self._turn += 1
            self._count(head, -1)
            self.in_use += head.weight
            head.set_result(self._pass(now, head, charge))
        self._turns.leave(self)
        self._note_rate_block(now, None)
        self._turns.proceed()

    def claim(self) -> tuple[int, float]:
        """Return the calls and the tokens of the head of the queue."""
        head = self._next()
        return (0, 0.0) if head is None else (1, head.tokens)

    def _next(self) -> Waiter | None:
        heads = [head for line in self._lines if (head := _head(line)) is not None]
        if self._turn % _TURN_OF_THE_OLDEST == 0:
            return min(heads, key=lambda waiter: waiter.since, default=None)
        return heads[0] if heads else None

    def _pass(self, now: float, waiter: Waiter, charge: Charge) -> Pass:
        rate_wait = self._rate_blocked_until(now) - waiter.rate_mark
        return Pass(now, waiter.weight, charge, now - waiter.since - rate_wait, rate_wait)

    def _admit_later(self, now: float, head: Waiter) -> None:
        """One timer for the whole queue: only its head can be waiting for the quota."""
        self._note_rate_block(now, now)
        self._turns.wait(self)
        if not self._turns.may_take(self):
            self._turns.proceed()
            return
        delay = self._quota.wait(now, head.tokens)
        if now + delay < self._quota_wake:
            self._quota_wake = now + delay
            asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._quota_wake = _NEVER
        self.admit()

    def _note_rate_block(self, now: float, since: float | None) -> None:
        self._rate_blocked = self._rate_blocked_until(now)
        self._rate_blocked_since = since

    def _rate_blocked_until(self, now: float) -> float:
        """Seconds for which the quota has held up the head of the queue, ever."""
        since = self._rate_blocked_since
        return self._rate_blocked if since is None else self._rate_blocked + now - since

    def rate_wait(self, waiter: Waiter) -> float:
        """Return for how many seconds the quota has held up the queue since `waiter` joined it."""
        return self._rate_blocked_until(self._now()) - waiter.rate_mark

    def release(self, weight: int) -> None:
        """Give the slots of an ended call back."""
        self.in_use -= weight
        if self.queued:
            self.admit()

    def revoke(self, given: Pass) -> None:
        """Take back slots and quota of a call that was let in and never sent."""
        try:
            given.charge.refund(self._now())
        finally:
            self.release(given.weight)
        self.refunded()

    def refunded(self) -> None:
        """Let in whoever waits for the quota, at this gate or another, now that it has more room."""
        self._turns.proceed()

    def learn(self, took: float, *, dropped: bool) -> None:
        """Let an answer of the vendor move the number of slots; calls that hold one now keep it."""
        if self._gradient is None:
            return
        before = self.limit
        self.limit = self._gradient.observe(self._now(), took, dropped=dropped, in_use=self.in_use)
        if self.limit != before and self._on_resize is not None:
            self._on_resize(before, self.limit)


def _head(line: _Line) -> Waiter | None:
    while line and line[0].done():
        line.popleft()
    return line[0] if line else None
