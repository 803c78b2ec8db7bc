"""What the events say in a log: a level, a name, one sentence, and plain fields."""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
from collections.abc import Mapping

from .. import _events as events

_REFUSALS: Mapping[str, str] = {
    "queue_timeout": "no slot came free in time",
    "queue_full": "the queue is full",
    "expected_wait": "a slot is not expected in time",
    "rate_limited": "our own quota is used up",
    "circuit_open": "the circuit is open, the vendor keeps failing",
    "deadline": "its deadline came first",
}
_NOT_REPEATED: Mapping[str, str] = {
    "attempts": "it was the last one allowed",
    "budget": "the retry budget is used up",
    "deadline": "the next one could not end before the deadline",
    "not_repeatable": "the vendor may have acted on it, and it carries no idempotency key",
}


def name(event: events.Event) -> str:
    """Return the event's class name in snake case, such as `retry_scheduled`."""
    return _snake_case(type(event).__name__)


@functools.cache
def _snake_case(words: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", words).lower()


def fields(event: events.Event) -> dict[str, object]:
    """Return the event's fields, errors as their class name.

    The text of an error is left out: httpx puts the URL into it, and some vendors take their key in the URL.
    """
    values = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    if "error" in values:
        values["error"] = _error(values["error"])
    return values


def level(event: events.Event) -> int:
    """Return the logging level: what someone on call wants to see is INFO or above."""
    match event:
        case events.CircuitChanged(after="open"):
            return logging.ERROR
        case events.Rejected() | events.RetryDropped() | events.CallEnded(outcome="error" | "timeout"):
            return logging.WARNING
        case events.StreamEnded(outcome="error" | "timeout") | events.PoolHealed():
            return logging.WARNING
        case events.RetryScheduled() | events.CircuitChanged() | events.ConcurrencyChanged():
            return logging.INFO
        case _:
            return logging.DEBUG


def sentence(event: events.Event) -> str:
    """Return one line for a person, without the policy's name."""
    match event:
        case events.Admitted() | events.Released() | events.Rejected():
            return _admission(event)
        case events.AttemptEnded() | events.RetryScheduled() | events.RetryDropped() | events.CallEnded():
            return _call(event)
        case events.StreamOpened() | events.StreamFirstChunk() | events.StreamEnded():
            return _stream(event)
        case events.CircuitChanged(before=before, after=after):
            return f"circuit went from {before} to {after}"
        case events.ConcurrencyChanged(before=before, after=after):
            return f"adaptive concurrency went from {before} to {after} slots"
        case events.PoolHealed(connections=connections):
            return f"gave back {connections} connections that cancelled requests had lost"


def _admission(event: events.Admitted | events.Released | events.Rejected) -> str:
    match event:
        case events.Admitted(slot_wait=slot, rate_wait=rate, in_use=in_use):
            return f"got a slot after {slot:.3f} s, of which the quota took {rate:.3f} s; {in_use} in use"
        case events.Released(held=held, in_use=in_use):
            return f"gave a slot back after {held:.3f} s; {in_use} in use"
        case events.Rejected(reason=reason, waited=waited, retry_after=retry_after):
            again = "" if retry_after is None else f"; try again in {retry_after:.1f} s"
            return f"refused a call after {waited:.3f} s in the queue: {_REFUSALS[reason]}{again}"


def _call(event: events.AttemptEnded | events.RetryScheduled | events.RetryDropped | events.CallEnded) -> str:
    match event:
        case events.AttemptEnded(attempt=attempt, outcome=outcome, duration=duration):
            return f"attempt {attempt} ended after {duration:.3f} s: {outcome}{_because(event.status, event.error)}"
        case events.RetryScheduled(attempt=attempt, delay=delay, error=error):
            return f"attempt {attempt} failed{_because(None, error)}; the next one starts in {delay:.1f} s"
        case events.RetryDropped(attempt=attempt, reason=reason, error=error):
            return f"attempt {attempt} failed{_because(None, error)} and is not repeated: {_NOT_REPEATED[reason]}"
        case events.CallEnded(outcome=outcome, duration=duration, attempts=attempts, error=error):
            return f"call ended after {duration:.3f} s, attempts: {attempts}: {outcome}{_because(None, error)}"


def _stream(event: events.StreamOpened | events.StreamFirstChunk | events.StreamEnded) -> str:
    match event:
        case events.StreamOpened(active=active):
            return f"stream opened; {active} active"
        case events.StreamFirstChunk(waited=waited):
            return f"first chunk of a stream after {waited:.3f} s"
        case events.StreamEnded(outcome=outcome, duration=duration, chunks=chunks, error=error):
            return f"stream ended after {duration:.3f} s, chunks: {chunks}: {outcome}{_because(None, error)}"


def _because(status: int | None, error: BaseException | None) -> str:
    details = [str(detail) for detail in (status, _error(error)) if detail is not None]
    return f" ({', '.join(details)})" if details else ""


def _error(error: BaseException | None) -> str | None:
    return None if error is None else type(error).__name__
