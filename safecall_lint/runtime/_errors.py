"""Every refusal and every limit that ends a call, as types.

    Exception
    ├── CallRejected            the call was never sent; retrying at once adds load
    │   ├── QueueTimeout        waited for a slot for the whole queue timeout
    │   ├── QueueFull           the queue had no place, or its wait was too long to start
    │   ├── RateLimited         our own quota; `retry_after` says when it has room
    │   └── CircuitOpen         the vendor is failing; `retry_after` says when it is tried again
    └── TimeoutError
        ├── CallTimeout         one attempt took longer than `call_timeout`
        ├── DeadlineExceeded    the whole call, backoff included, ran out of time
        └── StreamTimeout       a stream was late: `phase` says which limit fired

After the last attempt the vendor's own exception is raised, unchanged.
"""

from __future__ import annotations

from typing import Literal

StreamPhase = Literal["first", "idle", "total"]


class CallRejected(Exception):
    """The policy refused the call before anything was sent to the vendor.

    Attributes:
        policy: name of the policy that refused.
        retry_after: seconds until a new call can succeed, or None where that is unknown.
    """

    def __init__(self, message: str, *, policy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.policy = policy
        self.retry_after = retry_after


class QueueTimeout(CallRejected):
    """No slot came free within `queue_timeout` seconds."""


class QueueFull(CallRejected):
    """The queue already held `max_queue` calls, or their wait was longer than this one may queue.

    For such a wait `retry_after` is the time in seconds by which it was too long.
    """


class RateLimited(CallRejected):
    """The quota has no room within `queue_timeout`; `retry_after` is the exact wait in seconds."""


class CircuitOpen(CallRejected):
    """The circuit breaker is open; `retry_after` is the time in seconds until the next probe."""


class CallTimeout(TimeoutError):
    """One attempt ran longer than `call_timeout` seconds and was cancelled."""

    def __init__(self, message: str, *, policy: str = "") -> None:
        super().__init__(message)
        self.policy = policy


class DeadlineExceeded(TimeoutError):
    """The time for the whole call is over: queueing, every attempt and every backoff counted."""

    def __init__(self, message: str, *, policy: str = "") -> None:
        super().__init__(message)
        self.policy = policy


class StreamTimeout(TimeoutError):
    """A stream broke one of its limits: `phase` is "first", "idle" or "total"."""

    def __init__(self, message: str, *, policy: str = "", phase: StreamPhase = "idle") -> None:
        super().__init__(message)
        self.policy = policy
        self.phase: StreamPhase = phase
