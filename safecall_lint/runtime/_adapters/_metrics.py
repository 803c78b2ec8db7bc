"""What the events measure: one table for every metrics library, with the metric names of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .. import _events as events

SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
"""Bucket bounds of every histogram: from a wait in the queue to a long answer."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric. Counters end in `_total` and durations are in seconds, as Prometheus wants it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: tuple[str, ...] = ("policy",)


Reading: TypeAlias = tuple[Metric, float, tuple[str, ...]]
"""A metric, its value, and the values of its labels in their order."""

CALLS = Metric("llm_calls_total", "counter", "Calls that ended, by outcome", ("policy", "outcome"))
CALL_DURATION = Metric("llm_call_duration_seconds", "histogram", "Whole calls: queue, attempts and backoff")
ERRORS = Metric("llm_errors_total", "counter", "Attempts that failed, by error", ("policy", "error"))
RETRIES = Metric("llm_retries_total", "counter", "Attempts that were repeated")
RETRIES_DROPPED = Metric(
    "llm_retries_dropped_total", "counter", "Failed attempts that were not repeated", ("policy", "reason")
)
QUEUE_TIMEOUT = Metric("llm_queue_timeout_total", "counter", "Calls that waited the whole queue timeout")
REJECTED = Metric("llm_rejected_total", "counter", "Calls refused before they were sent", ("policy", "reason"))
CALL_TIMEOUT = Metric("llm_call_timeout_total", "counter", "Attempts that took longer than the call timeout")
SLOT_WAIT = Metric("llm_semaphore_wait_seconds", "histogram", "Waits for a slot")
RATE_WAIT = Metric("llm_rate_limit_wait_seconds", "histogram", "Waits for the quota")
CONCURRENT = Metric("llm_concurrent_calls", "gauge", "Slots taken now")
CONCURRENCY_LIMIT = Metric("llm_concurrency_limit", "gauge", "Slots that adaptive concurrency allows now")
CIRCUIT = Metric("llm_circuit_changes_total", "counter", "Changes of the circuit breaker", ("policy", "state"))
ACTIVE_STREAMS = Metric("llm_active_streams", "gauge", "Streams open now")
FIRST_CHUNK = Metric("llm_stream_first_chunk_seconds", "histogram", "Waits for the first chunk of a stream")
STREAM_DURATION = Metric("llm_stream_duration_seconds", "histogram", "Streams, from asking to the last chunk")
STREAM_CHUNKS = Metric("llm_stream_chunks_total", "counter", "Chunks received")
STREAMS = Metric("llm_streams_total", "counter", "Streams that ended, by outcome", ("policy", "outcome"))
HEALED = Metric("llm_pool_healed_total", "counter", "Connections given back that cancelled requests had lost")

METRICS = (
    CALLS,
    CALL_DURATION,
    ERRORS,
    RETRIES,
    RETRIES_DROPPED,
    QUEUE_TIMEOUT,
    REJECTED,
    CALL_TIMEOUT,
    SLOT_WAIT,
    RATE_WAIT,
    CONCURRENT,
    CONCURRENCY_LIMIT,
    CIRCUIT,
    ACTIVE_STREAMS,
    FIRST_CHUNK,
    STREAM_DURATION,
    STREAM_CHUNKS,
    STREAMS,
    HEALED,
)


def readings(event: events.Event) -> Iterator[Reading]:
    """Yield what one event changes: an amount for counters and histograms, the new value for gauges."""
    policy = event.policy
    match event:
        case events.Admitted(slot_wait=slot_wait, rate_wait=rate_wait, in_use=in_use):
            yield SLOT_WAIT, slot_wait, (policy,)
            yield RATE_WAIT, rate_wait, (policy,)
            yield CONCURRENT, in_use, (policy,)
        case events.Released(in_use=in_use):
            yield CONCURRENT, in_use, (policy,)
        case events.Rejected(reason=reason):
            yield REJECTED, 1, (policy, reason)
            if reason == "queue_timeout":
                yield QUEUE_TIMEOUT, 1, (policy,)
        case events.AttemptEnded():
            yield from _attempt(event)
        case events.RetryScheduled():
            yield RETRIES, 1, (policy,)
        case events.RetryDropped(reason=reason):
            yield RETRIES_DROPPED, 1, (policy, reason)
        case events.CallEnded(outcome=outcome, duration=duration):
            yield CALLS, 1, (policy, outcome)
            yield CALL_DURATION, duration, (policy,)
        case events.CircuitChanged(after=after):
            yield CIRCUIT, 1, (policy, after)
        case events.ConcurrencyChanged(after=after):
            yield CONCURRENCY_LIMIT, after, (policy,)
        case events.StreamOpened(active=active):
            yield ACTIVE_STREAMS, active, (policy,)
        case events.StreamFirstChunk(waited=waited):
            yield FIRST_CHUNK, waited, (policy,)
        case events.StreamEnded():
            yield from _stream(event)
        case events.PoolHealed(connections=connections):
            yield HEALED, connections, (policy,)


def _attempt(event: events.AttemptEnded) -> Iterator[Reading]:
    if event.outcome in ("error", "timeout"):
        yield ERRORS, 1, (event.policy, _kind(event))
    if event.outcome == "timeout":
        yield CALL_TIMEOUT, 1, (event.policy,)


def _stream(event: events.StreamEnded) -> Iterator[Reading]:
    yield STREAMS, 1, (event.policy, event.outcome)
    yield STREAM_DURATION, event.duration, (event.policy,)
    yield STREAM_CHUNKS, event.chunks, (event.policy,)
    yield ACTIVE_STREAMS, event.active, (event.policy,)


def _kind(event: events.AttemptEnded) -> str:
    """The status or the exception's class: few values, so few time series, and nothing the vendor wrote."""
    if event.status is not None:
        return str(event.status)
    return "unknown" if event.error is None else type(event.error).__name__
