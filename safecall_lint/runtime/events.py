"""The events that a sink is told, one class for each: `match event: case RetryDropped(reason=reason): ...`."""

from __future__ import annotations

from ._events import (
    Admitted,
    AttemptEnded,
    CallEnded,
    CircuitChanged,
    ConcurrencyChanged,
    Event,
    Events,
    PoolHealed,
    Rejected,
    Released,
    RetryDropped,
    RetryScheduled,
    StreamEnded,
    StreamFirstChunk,
    StreamOpened,
)

__all__ = [
    "Admitted",
    "AttemptEnded",
    "CallEnded",
    "CircuitChanged",
    "ConcurrencyChanged",
    "Event",
    "Events",
    "PoolHealed",
    "Rejected",
    "Released",
    "RetryDropped",
    "RetryScheduled",
    "StreamEnded",
    "StreamFirstChunk",
    "StreamOpened",
]
