"""Calls to other people's APIs, with every limit in the right order.

vendor = CallPolicy("openai", max_concurrency=50, rate=Rate(60, per=60))
answer = await vendor.call(ask, "How are you?")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._adaptive import AdaptiveConcurrency
from ._breaker import CircuitBreaker
from ._budget import RetryBudget
from ._clock import Clock, LoopClock
from ._deadline import deadline, remaining
from ._errors import (
    CallRejected,
    CallTimeout,
    CircuitOpen,
    DeadlineExceeded,
    QueueFull,
    QueueTimeout,
    RateLimited,
    StreamTimeout,
)
from ._events import Event, Events
from ._gate import Priority
from ._policy import CallPolicy
from ._rate import Rate
from ._retry import TRANSIENT, Retry
from ._shield import shielded
from ._slot import Slot
from ._sse import ServerSentEvent, sse_events
from ._state import PolicyState
from ._stream import Stream
from ._streams import merge, race, resumed
from ._unwrap import PolicyError, policy_error, unwrapped
from ._watchdog import StreamLimits

if TYPE_CHECKING:
    from ._adapters.logs import LogEvents
    from ._adapters.otel import OpenTelemetryEvents
    from ._adapters.prometheus import PrometheusEvents
    from ._adapters.several import SeveralEvents
    from ._adapters.structured import StructlogEvents
    from ._copy import copy_runtime
    from ._sizing import ImpossibleSizing, Sizing, size

__all__ = [
    "TRANSIENT",
    "AdaptiveConcurrency",
    "CallPolicy",
    "CallRejected",
    "CallTimeout",
    "CircuitBreaker",
    "CircuitOpen",
    "Clock",
    "DeadlineExceeded",
    "Event",
    "Events",
    "ImpossibleSizing",
    "LogEvents",
    "LoopClock",
    "OpenTelemetryEvents",
    "PolicyError",
    "PolicyState",
    "Priority",
    "PrometheusEvents",
    "QueueFull",
    "QueueTimeout",
    "Rate",
    "RateLimited",
    "Retry",
    "RetryBudget",
    "ServerSentEvent",
    "SeveralEvents",
    "Sizing",
    "Slot",
    "Stream",
    "StreamLimits",
    "StreamTimeout",
    "StructlogEvents",
    "copy_runtime",
    "deadline",
    "merge",
    "policy_error",
    "race",
    "remaining",
    "resumed",
    "shielded",
    "size",
    "sse_events",
    "unwrapped",
]

_IMPORTED_WHEN_ASKED_FOR = {
    "ImpossibleSizing": "._sizing",
    "LogEvents": "._adapters.logs",
    "OpenTelemetryEvents": "._adapters.otel",
    "PrometheusEvents": "._adapters.prometheus",
    "SeveralEvents": "._adapters.several",
    "Sizing": "._sizing",
    "StructlogEvents": "._adapters.structured",
    "copy_runtime": "._copy",
    "size": "._sizing",
}


def __getattr__(name: str) -> object:
    module = _IMPORTED_WHEN_ASKED_FOR.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module, __name__), name)
