"""Which failures are repeated, how often and after how long."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from . import _failure
from ._budget import RetryBudget
from ._failure import Failure
from ._headers import retry_after

Predicate: TypeAlias = Callable[[Exception], bool]
On: TypeAlias = type[Exception] | Predicate | tuple[type[Exception] | Predicate, ...]
Repeat: TypeAlias = Literal["safe", "keyed", "always"]

TRANSIENT: Predicate = _failure.is_transient
"""The default of `Retry(on=)`: lost connections, timeouts, and HTTP 408, 409, 429 and 5xx."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How a failed attempt is repeated.

    Whatever `on` says, three things are never repeated: cancellation, a refusal of our own, and a 4xx other than
    408, 409 and 429. After the last attempt the vendor's own exception is raised, or its last response returned.

    Args:
        attempts: how often a call is sent at most, the first time included.
        on: what is repeated: exception types, predicates, or a tuple of both. Default: `TRANSIENT`.
        base: seconds; the wait before attempt n + 1 is drawn from 0 to `base * 2 ** (n - 1)` ("full jitter",
            M. Brooker, "Exponential Backoff And Jitter", AWS 2015).
        cap: seconds; the longest such wait. A `Retry-After` of the vendor is obeyed also beyond it.
        repeat: "safe" repeats what cannot happen twice: GET, HEAD, OPTIONS, TRACE, PUT, DELETE, a request with an
            `Idempotency-Key`, and whatever the vendor never got or turned away. "keyed" also adds such a key to
            other requests of a transport. "always" is your word that no call does harm when it happens twice.
        pause_all: a 429 that names a time holds every new attempt of the process until then, not only its own retry.
        adaptive: after a 429 the process sends more slowly, and speeds up again with good answers (as botocore).
        budget: the share of the traffic that may be retries; None lets every call use all its attempts.

    Raises:
        ValueError: `attempts` has no bound, or a time is negative.
        TypeError: `on` names cancellation or something that is neither a type nor a predicate.
    """

    attempts: int = 3
    on: On = TRANSIENT
    base: float = 0.5
    cap: float = 20.0
    repeat: Repeat = "safe"
    pause_all: bool = False
    adaptive: bool = False
    budget: RetryBudget | None = field(default_factory=RetryBudget)

    def __post_init__(self) -> None:
        if not isinstance(self.attempts, int) or self.attempts < 1:
            raise ValueError(f"attempts={self.attempts!r} must be a whole number from 1: an endless retry never fails")
        if self.base < 0 or self.cap < 0:
            raise ValueError(f"base={self.base} and cap={self.cap} are seconds and must not be negative")
        for rule in self._rules():
            _check_rule(rule)

    def _rules(self) -> tuple[type[Exception] | Predicate, ...]:
        return self.on if isinstance(self.on, tuple) else (self.on,)

    def names(self, failure: Failure) -> bool:
        """Whether `on` asks for this failure to be repeated."""
        if failure.refused or (failure.status is not None and not _failure.is_transient_status(failure.status)):
            return False
        error = failure.error
        if error is None:
            return failure.transient and TRANSIENT in self._rules()
        return any(_matches(rule, error) for rule in self._rules())

    def may_repeat(self, failure: Failure) -> bool:
        """Whether a repetition is harmless."""
        return self.repeat == "always" or failure.repeatable

    def delay(self, failure: Failure, attempt: int, chance: float, wall: float) -> float:
        """Return the seconds to wait after failed attempt number `attempt`, counted from 1.

        A `Retry-After` is a floor and the jitter comes on top: callers that return in the very moment that
        the vendor named would meet there again.
        """
        jitter = chance * min(self.cap, math.ldexp(self.base, attempt - 1))
        asked = retry_after(failure.headers, wall) if failure.headers else None
        return jitter if asked is None else asked + jitter


def _check_rule(rule: object) -> None:
    if isinstance(rule, type) and issubclass(rule, BaseException):
        if not issubclass(rule, Exception) or issubclass(rule, asyncio.CancelledError):
            raise TypeError(f"on={rule.__name__} would repeat a cancelled call: name exceptions, not cancellation")
    elif not callable(rule):
        raise TypeError(f"on={rule!r} is neither an exception type nor a predicate")


def _matches(rule: type[Exception] | Predicate, error: Exception) -> bool:
    return isinstance(error, rule) if isinstance(rule, type) else rule(error)
