"""What a policy's settings may be, each alone and all together, and how defaults give way to what is stated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ._adaptive import AdaptiveConcurrency
from ._breaker import CircuitBreaker
from ._gate import Priority
from ._rate import Rate
from ._retry import Retry
from ._setting import (
    Check,
    Unstated,
    count,
    each,
    flag,
    function,
    having,
    instance,
    is_stated,
    number,
    optional,
    refusal,
    seconds,
    text,
    unless,
    verify,
)
from ._watchdog import StreamLimits

if TYPE_CHECKING:
    from ._policy import CallPolicy

CALL_TIMEOUT, QUEUE_TIMEOUT, DEADLINE = Unstated(30.0), Unstated(5.0), Unstated(60.0)

_NO_RATE = "nothing says how many calls may pass in which time"
_RATES = each(instance(Rate, _NO_RATE, "a Rate, such as Rate(60, per=60)"))
_LIMITER = having(("acquire",), _NO_RATE, "a Rate, such as Rate(60, per=60)")


def _rate(owner: str, name: str, value: Any) -> None:
    if isinstance(value, Rate):
        return None
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _LIMITER(owner, name, value)
    if not value:
        raise refusal(ValueError, owner, name, value, "holds no rate, so nothing is limited: leave it out, or give one")
    return _RATES(owner, name, value)


_CHECKS: Mapping[str, Check] = {
    "max_concurrency": unless(AdaptiveConcurrency, count(1, "no call is ever sent")),
    "max_streams": optional(count(1, "no stream is ever opened")),
    "max_queue": optional(count(0, "no queue is that short")),
    "queue_timeout": seconds("5"),
    "rate": optional(_rate),
    "call_timeout": seconds("30"),
    "deadline": seconds("60"),
    "retry": instance(Retry, "nothing says what is repeated", "Retry(attempts=3), or Retry(attempts=1) for none"),
    "breaker": optional(
        instance(
            CircuitBreaker, "nothing says when to stop calling", "CircuitBreaker(), or None for no circuit breaker"
        )
    ),
    "stream_limits": instance(
        StreamLimits, "no stream ends in time", "a StreamLimits, such as StreamLimits(total=600)"
    ),
    "events": optional(function("nobody is told what happens", "a function of one event, such as LogEvents()")),
    "clock": having(("time", "wall", "random", "sleep"), "no time can be read", "a Clock, such as LoopClock()"),
}


_PRIORITY = instance(Priority, "the queue has no place for it", "Priority.HIGH, Priority.NORMAL or Priority.LOW")
_TOKENS = number(least=0, so="no quota can be charged", give="how many tokens each attempt takes, from 0")
_WEIGHT = count(1, "the call takes no slot")


def check(policy: CallPolicy) -> None:
    """Refuse settings that cannot work, one by one, and then those that can never be reached."""
    text("CallPolicy", "name", policy.name)
    verify(policy.name, policy, _CHECKS)


def defaults(policy: CallPolicy) -> dict[str, Unstated]:
    """Return the values of the times that nobody stated, so that none is in conflict with a stated one."""
    longest = policy.deadline if is_stated(policy.deadline) else float("inf")
    slow = policy.breaker.slow_call if policy.breaker is not None else None
    found: dict[str, Unstated] = {}
    queue, call = policy.queue_timeout, policy.call_timeout
    if not is_stated(queue):
        found["queue_timeout"] = queue = Unstated(min(QUEUE_TIMEOUT, longest))
    if not is_stated(call):
        found["call_timeout"] = call = Unstated(min(max(CALL_TIMEOUT, 2 * (slow or 0.0)), longest))
    if not is_stated(policy.deadline):
        found["deadline"] = Unstated(max(DEADLINE, queue + max(call, policy.stream_limits.first)))
    return found


def check_together(policy: CallPolicy) -> None:
    """Refuse two stated settings of which one can never be reached."""
    limits = {
        "queue_timeout": policy.queue_timeout,
        "call_timeout": policy.call_timeout,
        "stream_limits.first": policy.stream_limits.first,
    }
    for name, limit in limits.items():
        if is_stated(limit) and limit > policy.deadline:
            _unreachable(policy.name, name, limit, "deadline", policy.deadline)
    slow = None if policy.breaker is None else policy.breaker.slow_call
    if slow is not None and slow >= policy.call_timeout:
        ends = "call_timeout" if is_stated(policy.call_timeout) else "deadline"
        _unreachable(policy.name, "breaker.slow_call", slow, ends, policy.call_timeout)


def _unreachable(owner: str, name: str, limit: float, ends: str, when: float) -> None:
    raise ValueError(
        f"{owner}: {name}={limit:g} can never be reached: the {ends.replace('_', ' ')} of {when:g} s ends the call"
        f" first. Lower {name}, or raise {ends}"
    )


def check_options(owner: str, slots: int, priority: object, tokens: object, weight: int, repeatable: object) -> None:
    """Refuse what a call cannot say of itself to a policy with so many `slots`."""
    _PRIORITY(owner, "priority", priority)
    _TOKENS(owner, "tokens", tokens)
    _WEIGHT(owner, "weight", weight)
    flag(owner, "repeatable", repeatable)
    if weight > slots:
        text = f"is above max_concurrency={slots}, so the call never gets in: give a whole number from 1 to {slots}"
        raise refusal(ValueError, owner, "weight", weight, text)


def most(slots: int | AdaptiveConcurrency) -> int:
    """The slots that there can be at most."""
    return slots if isinstance(slots, int) else slots.maximum
