"""One call of a user: its deadline, its attempts and the pauses between them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from . import _deadline
from ._admission import Admission, Entry
from ._budget import Budget
from ._clock import Clock
from ._errors import CallRejected, DeadlineExceeded
from ._events import AttemptEnded, CallEnded, DropReason, Event, Outcome, RetryDropped, RetryScheduled
from ._failure import Failure
from ._headers import retry_after
from ._inside import Inside
from ._options import CallOptions
from ._per_loop import PerLoop
from ._retry import Retry
from ._slot import Slot
from ._timer import CallTimer, CallTimers

T = TypeVar("T")

_TOO_MANY = 429


class Exchange(Protocol[T]):
    """What one attempt does with its slot.

    Attributes:
        keeps_slot: the result holds the slot on, as a response whose body is still to be read.
        can_resend: whether there is anything left to send a second time.
    """

    keeps_slot: bool
    can_resend: bool

    async def send(self, slot: Slot) -> T:
        """Call the vendor once."""
        ...

    def judge(self, result: T) -> Failure | None:
        """Return what is wrong with a result that was returned and not raised."""
        ...

    def explain(self, error: Exception) -> Failure:
        """Return what an exception of `send` means."""
        ...

    def follow(self, result: T, ended: Callable[[BaseException | None], None]) -> bool:
        """Return whether the call goes on with its good result; `ended` is then called at its end, with the error."""
        ...

    async def discard(self, result: T) -> None:
        """Close a failed result that will not be used."""
        ...


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The limits of a call, in seconds, how it is repeated, and what is raised for an attempt that takes too long."""

    name: str
    call_timeout: float
    deadline: float
    retry: Retry
    late: Callable[[str, float], Exception]


class _Call(Entry):
    """The state of one call; as an entry it is that of the current attempt.

    `granted` is when the budget gave a retry that is not sent yet.
    """

    __slots__ = ("attempt", "granted", "started")

    def __init__(self, started: float, at: float, options: CallOptions) -> None:
        super().__init__(started, at, options)
        self.started = started
        self.attempt = 1
        self.granted: float | None = None


class Execution:
    """Runs calls: deadline around attempts, admission and call timeout inside each.

    Args:
        settings: the limits.
        admission: gives the slot of each attempt.
        budget: the retry budget, or None.
        clock: time, sleep and jitter.
        emit: told how attempts and calls end, or None.
        inside: the tasks that are inside the policy.
    """

    def __init__(
        self,
        settings: CallSettings,
        admission: Admission,
        budget: Budget | None,
        clock: Clock,
        emit: Callable[[Event], None] | None,
        inside: Inside,
    ) -> None:
        self._inside = inside
        self._settings = settings
        self._admission = admission
        self._budget = budget
        self._clock = clock
        self._emit = emit
        self._timers = PerLoop(functools.partial(CallTimers, settings.call_timeout))

    async def run(self, exchange: Exchange[T], options: CallOptions) -> T:
        """Return the first good result, or what the last attempt ended with.

        One coroutine for the whole way: while a call waits in the queue, each further frame costs it 300 bytes.
        """
        call = self._begin(options)
        task = self._inside.enter()
        slot = None
        try:
            while True:
                if self._admission.limiter is not None:
                    await self._admission.pass_limiter(call, self._admission.limiter)
                slot = self._admission.enter(call)
                if slot is None and call.waiter is not None:
                    slot = self._admission.claim(call, await call.waiter)
                assert slot is not None
                call.granted = None
                timer = self._timers.get().start(task, slot.time, call.at)
                try:
                    result = await exchange.send(slot)
                except BaseException as error:
                    delay = self._failed(call, slot, timer, exchange, error)
                    if delay is None:
                        raise
                else:
                    try:
                        delay = self._returned(call, slot, timer, exchange, result)
                    except BaseException:
                        if exchange.keeps_slot:
                            await exchange.discard(result)
                        raise
                    if delay is None:
                        return result
                    await exchange.discard(result)
                await self._clock.sleep(delay)
                self._next_attempt(call)
        except BaseException as error:
            self._abort(call, slot, error)
            raise
        finally:
            self._inside.leave(task)

    def _begin(self, options: CallOptions) -> _Call:
        now = self._clock.time()
        if self._budget is not None:
            self._budget.count_call(now)
        return _Call(now, min(now + self._settings.deadline, _deadline.ends()), options)

    def _next_attempt(self, call: _Call) -> None:
        call.attempt += 1
        call.since = self._clock.time()

    def _returned(self, call: _Call, slot: Slot, timer: CallTimer, exchange: Exchange[T], result: T) -> float | None:
        """Return the pause before the next attempt, or None where this result is the call's."""
        timer.stop()
        failure = exchange.judge(result)
        if not exchange.keeps_slot:
            slot.leave(failure)
        emit = self._emit
        if emit is not None:
            if failure is None and exchange.follow(result, functools.partial(self._report_both, emit, call, slot)):
                emit = None
            else:
                self._report_attempt(emit, call, slot, None, failure)
        if failure is None and self._settings.retry.adaptive:
            self._admission.accepted()
        delay = None if failure is None else self._pause(call, slot, exchange, failure)
        if delay is None and emit is not None:
            self._report_end(emit, call, None)
        return delay

    def _failed(
        self, call: _Call, slot: Slot, timer: CallTimer, exchange: Exchange[T], error: BaseException
    ) -> float | None:
        """Return the pause before the next attempt, or None where `error` is the call's.

        Raises:
            Exception: in place of the cancellation that a time limit of ours caused.
        """
        late = self._too_late(call, slot) if timer.stop(error) else None
        shown = late or error
        failure = exchange.explain(shown) if isinstance(shown, Exception) else None
        if failure is not None and failure.headers:
            slot.heed(failure.headers)
        slot.abandon() if failure is None or failure.refused else slot.leave(failure)
        if self._emit is not None:
            self._report_attempt(self._emit, call, slot, shown, failure)
        delay = None if failure is None else self._pause(call, slot, exchange, failure)
        if late is not None and delay is None:
            raise late from error
        return delay

    def _too_late(self, call: _Call, slot: Slot) -> Exception:
        name, limit = self._settings.name, self._settings.call_timeout
        if call.at - slot.time <= limit:
            message = f"{name}: the deadline of the whole call ended during an attempt, which was cancelled"
            return DeadlineExceeded(message, policy=name)
        return self._settings.late(name, limit)

    def _pause(self, call: _Call, slot: Slot, exchange: Exchange[T], failure: Failure) -> float | None:
        """Return the seconds until the next attempt, or None where there is none."""
        retry = self._settings.retry
        if failure.status == _TOO_MANY:
            if retry.pause_all:
                self._admission.hold(retry_after(failure.headers, self._clock.wall()))
            if retry.adaptive:
                self._admission.refused(slot.time)
        if not retry.names(failure):
            return None
        delay = retry.delay(failure, call.attempt, self._clock.random(), self._clock.wall())
        reason = self._drop_reason(call, exchange, failure, delay)
        if self._emit is not None:
            self._report_retry(self._emit, call, failure, delay, reason)
        return delay if reason is None else None

    def _drop_reason(self, call: _Call, exchange: Exchange[T], failure: Failure, delay: float) -> DropReason | None:
        """The budget comes last: only a retry that would really happen may spend from it."""
        if call.attempt >= self._settings.retry.attempts:
            return "attempts"
        harmless = call.options.repeatable or self._settings.retry.may_repeat(failure)
        if not (harmless and exchange.can_resend):
            return "not_repeatable"
        now = self._clock.time()
        if now + delay + self._admission.quickest() >= call.at:
            return "deadline"
        if self._budget is not None:
            if not self._budget.take(now):
                return "budget"
            call.granted = now
        return None

    def _abort(self, call: _Call, slot: Slot | None, error: BaseException) -> None:
        """Give back whatever the call still holds; each piece whatever the giving of the others comes to."""
        try:
            if slot is not None:
                slot.abandon()
        finally:
            try:
                self._admission.abandon(call)
            finally:
                if call.granted is not None and self._budget is not None:
                    self._budget.give_back(call.granted)
        if self._emit is not None:
            self._report_end(self._emit, call, error)

    def _report_attempt(
        self,
        emit: Callable[[Event], None],
        call: _Call,
        slot: Slot,
        error: BaseException | None,
        failure: Failure | None,
    ) -> None:
        status = None if failure is None else failure.status
        duration = self._clock.time() - slot.time
        outcome = "error" if error is None and failure is not None else _outcome(error)
        emit(AttemptEnded(self._settings.name, call.attempt, outcome, duration, error, status))

    def _report_both(self, emit: Callable[[Event], None], call: _Call, slot: Slot, error: BaseException | None) -> None:
        self._report_attempt(emit, call, slot, error, None)
        self._report_end(emit, call, error)

    def _report_retry(
        self, emit: Callable[[Event], None], call: _Call, failure: Failure, delay: float, reason: DropReason | None
    ) -> None:
        if reason is None:
            emit(RetryScheduled(self._settings.name, call.attempt, delay, failure.error))
        else:
            emit(RetryDropped(self._settings.name, call.attempt, reason, failure.error))

    def _report_end(self, emit: Callable[[Event], None], call: _Call, error: BaseException | None) -> None:
        duration = self._clock.time() - call.started
        emit(CallEnded(self._settings.name, _outcome(error), duration, call.attempt, error))


def _outcome(error: BaseException | None) -> Outcome:
    if error is None:
        return "ok"
    if isinstance(error, CallRejected):
        return "rejected"
    if isinstance(error, TimeoutError):
        return "timeout"
    return "error" if isinstance(error, Exception) else "cancelled"
