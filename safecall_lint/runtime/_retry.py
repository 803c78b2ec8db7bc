"""Which failures are repeated, how often and after how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from . import _failure
from ._budget import RetryBudget
from ._failure import Failure
from ._headers import retry_after
from ._setting import Check, choice, count, flag, function, instance, optional, pause, refusal, verify

Predicate: TypeAlias = Callable[[Exception], bool]
On: TypeAlias = type[Exception] | Predicate | tuple[type[Exception] | Predicate, ...]
Repeat: TypeAlias = Literal["safe", "keyed", "always"]

TRANSIENT: Predicate = _failure.is_transient
"""The default of `Retry(on=)`: lost connections, timeouts, and HTTP 408, 409, 429 and 5xx, but 501 and 505.

Lost connections are Python's `ConnectionError` and `socket.gaierror`, and the errors of httpx, httpx2, aiohttp and the
SDKs that mean the same; timeouts are `TimeoutError` and those of the same libraries, but a pool's.
"""

_MOST_DOUBLINGS = 1000
"""One more than a float holds is 1024; `cap` decides long before."""

_PREDICATE = function("it names no failure", "exception types, predicates, or a tuple of both, such as TRANSIENT")


def _on(owner: str, name: str, value: Any) -> None:
    rules = value if isinstance(value, tuple) else (value,)
    if not rules:
        raise refusal(ValueError, owner, name, value, "names nothing, so nothing is repeated: give attempts=1 for that")
    for rule in rules:
        if not isinstance(rule, type):
            _PREDICATE(owner, name, rule)
        elif not issubclass(rule, Exception):
            text = "is no Exception, so it is no failure to repeat: give exception types, such as ConnectionError"
            raise refusal(TypeError, owner, name, rule, text)


_CHECKS: Mapping[str, Check] = {
    "attempts": count(1, "the call is never sent, or sent for ever"),
    "on": _on,
    "base": pause("0.5"),
    "cap": pause("20"),
    "repeat": choice(Repeat, "nothing says what may happen twice"),
    "pause_all": flag,
    "adaptive": flag,
    "budget": optional(
        instance(RetryBudget, "nothing bounds the retries", "RetryBudget(ratio=0.2), or None for no bound but attempts")
    ),
}


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
        TypeError: a setting of a wrong type; `on` names cancellation, or what is neither an exception nor a predicate.
        ValueError: `attempts` is below 1, a time is negative or has no end, or `repeat` is another word.
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
        verify("Retry", self, _CHECKS)

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
        jitter = chance * min(self.cap, self.base * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS))
        asked = retry_after(failure.headers, wall) if failure.headers else None
        return jitter if asked is None else asked + jitter


def _matches(rule: type[Exception] | Predicate, error: Exception) -> bool:
    return isinstance(error, rule) if isinstance(rule, type) else rule(error)
