"""What a policy reports about its calls, as plain data, and who may listen.

A sink is any callable that takes one event: `CallPolicy(..., events=print)` is a working example.
Every duration is in seconds. `policy` is the name that the policy was given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["ok", "error", "timeout", "rejected", "cancelled"]
RejectReason: TypeAlias = Literal[
    "queue_timeout", "queue_full", "expected_wait", "rate_limited", "circuit_open", "deadline"
]
DropReason: TypeAlias = Literal["attempts", "budget", "deadline", "not_repeatable"]
CircuitState: TypeAlias = Literal["closed", "open", "half_open"]
StreamOutcome: TypeAlias = Literal["ok", "error", "timeout", "disconnected"]


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call got its slot. `slot_wait` and `rate_wait` add up to its whole time in the queue."""

    policy: str
    slot_wait: float
    rate_wait: float
    in_use: int


@dataclass(frozen=True, slots=True)
class Released:
    """A call gave its slot back after `held` seconds; `in_use` slots are still taken."""

    policy: str
    held: float
    in_use: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A call was refused before it was sent, after `waited` seconds in the queue."""

    policy: str
    reason: RejectReason
    waited: float
    retry_after: float | None


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """One attempt at the vendor ended; `attempt` counts from 1, `status` is HTTP's where known."""

    policy: str
    attempt: int
    outcome: Outcome
    duration: float
    error: BaseException | None
    status: int | None


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """Attempt number `attempt` failed and the next one starts in `delay` seconds."""

    policy: str
    attempt: int
    delay: float
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class RetryDropped:
    """Attempt number `attempt` failed in a retryable way and was not repeated, for `reason`."""

    policy: str
    attempt: int
    reason: DropReason
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A whole call ended: `duration` counts queueing, `attempts` attempts and every backoff."""

    policy: str
    outcome: Outcome
    duration: float
    attempts: int
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """The circuit breaker went from one state to another."""

    policy: str
    before: CircuitState
    after: CircuitState


@dataclass(frozen=True, slots=True)
class ConcurrencyChanged:
    """Adaptive concurrency moved the number of slots."""

    policy: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A stream began; `active` streams are now open on this policy."""

    policy: str
    active: int


@dataclass(frozen=True, slots=True)
class StreamFirstChunk:
    """The first chunk of a stream came `waited` seconds after the stream was asked for."""

    policy: str
    waited: float


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A stream ended; "disconnected" means that the reader left before the end."""

    policy: str
    outcome: StreamOutcome
    duration: float
    chunks: int
    active: int
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class PoolHealed:
    """`connections` connections that cancelled requests had left behind were closed."""

    policy: str
    connections: int


Event: TypeAlias = (
    Admitted
    | Released
    | Rejected
    | AttemptEnded
    | RetryScheduled
    | RetryDropped
    | CallEnded
    | CircuitChanged
    | ConcurrencyChanged
    | StreamOpened
    | StreamFirstChunk
    | StreamEnded
    | PoolHealed
)

Events: TypeAlias = Callable[[Event], None]
"""A sink for events. It runs inside the call, so it must be quick and must not block."""
