"""What a vendor does with one request, as a list of small steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, TypeAlias

from .._setting import (
    Check,
    count,
    each,
    flag,
    function,
    instance,
    number,
    optional,
    pause,
    refusal,
    text,
    unless,
    verify,
)
from ._traffic import Received

_PAUSE = pause("0.5")
_NAMES = each(instance(str, "no header holds it", "texts"))
_MAPPING = instance(Mapping, "it holds no headers", "a mapping of names to texts")


def _headers(owner: str, name: str, value: Any) -> None:
    _MAPPING(owner, name, value)
    _NAMES(owner, name, [*value, *value.values()])


def _line(owner: str, name: str, value: Any) -> None:
    text(owner, name, value)
    if "\n" in value or "\r" in value:
        raise refusal(ValueError, owner, name, value, "has a line break, so it ends too early: give one line")


_STATUS = number(
    least=200, most=599, whole=True, so="no HTTP answer has it", give="a status from 200 to 599, such as 429"
)
_AFTER = optional(count(0, "no stream breaks there"))
_CHECKS: Mapping[str, Check] = {
    "latency": _PAUSE,
    "gap": _PAUSE,
    "drop_after": _AFTER,
    "stall_after": _AFTER,
    "content_type": _line,
    "headers": optional(_headers),
    "status": _STATUS,
    "event": optional(_line),
    "id": optional(_line),
    "retry": optional(count(0, "no client waits so long")),
    "reset": flag,
    "retry_after": optional(unless(str, pause("2"))),
    "ms": optional(pause("250")),
    "at": optional(number(so="no calendar has that date", give="seconds since the epoch, such as time.time() + 2")),
}
_PIECES = each(instance((str, bytes), "it cannot be sent", "str or bytes"))
_PIECEWISE = instance(Iterable, "it has no pieces", "a list of str or bytes")


def check(owner: str, **given: object) -> None:
    """Refuse what no vendor can do.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: a number that is out of bounds, or two that contradict each other.
    """
    for name, value in given.items():
        _CHECKS[name](owner, name, value)
    if given.get("drop_after") is not None and given.get("stall_after") is not None:
        raise refusal(
            ValueError,
            owner,
            "stall_after",
            given["stall_after"],
            "never comes: the stream is cut: give one of the two",
        )


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for `seconds` of the loop's time."""

    seconds: float

    def __post_init__(self) -> None:
        _PAUSE("Wait", "seconds", self.seconds)


@dataclass(frozen=True, slots=True)
class Head:
    """Send the status line and the headers; without a content-length the body is chunked."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        verify("Head", self, {"status": _STATUS, "headers": _headers})


@dataclass(frozen=True, slots=True)
class Data:
    """Send a piece of the body."""

    payload: bytes

    def __post_init__(self) -> None:
        instance(bytes, "it cannot be sent", "bytes, such as text.encode()")("Data", "payload", self.payload)


@dataclass(frozen=True, slots=True)
class End:
    """Finish the response; the connection may be used again."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Send nothing more and keep the connection open until the client leaves."""


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection here: politely (FIN), or with a reset (RST) if `reset`."""

    reset: bool = False

    def __post_init__(self) -> None:
        flag("Cut", "reset", self.reset)


Step: TypeAlias = Wait | Head | Data | End | Silence | Cut
Behaviour: TypeAlias = Iterable[Step] | Callable[[Received], Iterable[Step]]
"""The steps for a request, or a function that chooses them when the request is there."""


def reply(
    status: int = 200, body: object = b"", headers: Mapping[str, str] | None = None, *, latency: float = 0.0
) -> list[Step]:
    """One whole response after `latency` seconds.

    Bytes are sent as they are, a string as plain text, anything else as JSON.
    """
    check("reply", status=status, headers=headers, latency=latency)
    content_type, payload = _encoded(body)
    fields = {"content-type": content_type, "content-length": str(len(payload)), **(headers or {})}
    return [Wait(latency), Head(status, fields), Data(payload), End()]


def stream(
    chunks: Sequence[str | bytes],
    *,
    gap: float = 0.0,
    latency: float = 0.0,
    drop_after: int | None = None,
    stall_after: int | None = None,
    content_type: str = "text/event-stream",
) -> list[Step]:
    """A chunked response: the headers after `latency` seconds, then a chunk each `gap` seconds.

    Args:
        chunks: the pieces of the body; `sse()` makes one event.
        gap: seconds before each chunk.
        latency: seconds before the headers.
        drop_after: cut the connection after so many chunks.
        stall_after: fall silent after so many chunks.
        content_type: the response's content-type header.
    """
    check("stream", gap=gap, latency=latency, drop_after=drop_after, stall_after=stall_after, content_type=content_type)
    if isinstance(chunks, (str, bytes)):
        raise refusal(
            TypeError, "stream", "chunks", chunks, "is one text, sent letter by letter: give a list of pieces"
        )
    _PIECEWISE("stream", "chunks", chunks)
    chunks = list(chunks)
    _PIECES("stream", "chunks", chunks)
    steps: list[Step] = [Wait(latency), Head(200, {"content-type": content_type, "cache-control": "no-store"})]
    for chunk in chunks:
        steps += [Wait(gap), Data(chunk.encode() if isinstance(chunk, str) else chunk)]
    if drop_after is not None:
        return [*steps[: 2 + 2 * drop_after], Cut()]
    if stall_after is not None:
        return [*steps[: 2 + 2 * stall_after], Silence()]
    return [*steps, End()]


def sse(data: object, *, event: str | None = None, id: str | None = None, retry: int | None = None) -> str:
    """One server-sent event; a string is sent as it is, anything else as JSON. `retry` is in milliseconds."""
    check("sse", event=event, id=id, retry=retry)
    text = data if isinstance(data, str) else json.dumps(data)
    fields = (("event", event), ("id", id), ("retry", retry))
    lines = [f"{name}: {value}" for name, value in fields if value is not None]
    lines += [f"data: {line}" for line in text.split("\n")]
    return "\n".join(lines) + "\n\n"


def stall() -> list[Step]:
    """Take the request and never answer."""
    return [Silence()]


def drop(*, latency: float = 0.0, reset: bool = False) -> list[Step]:
    """Take the request, then end the connection without an answer after `latency` seconds."""
    check("drop", latency=latency, reset=reset)
    return [Wait(latency), Cut(reset)]


def rate_limited(
    retry_after: float | str | None = None,
    *,
    ms: float | None = None,
    at: float | None = None,
    headers: Mapping[str, str] | None = None,
    latency: float = 0.0,
) -> list[Step]:
    """A 429 as vendors send it.

    Args:
        retry_after: `Retry-After` in seconds, or any text to send as it is.
        ms: `retry-after-ms`, milliseconds.
        at: `Retry-After` as an HTTP date, in seconds since the epoch.
        headers: more headers, such as `x-ratelimit-remaining-requests`.
        latency: seconds before the answer.
    """
    check("rate_limited", retry_after=retry_after, ms=ms, at=at, headers=headers, latency=latency)
    fields = dict(headers or {})
    if at is not None:
        fields["retry-after"] = formatdate(at, usegmt=True)
    if retry_after is not None:
        fields["retry-after"] = f"{retry_after:g}" if isinstance(retry_after, (int, float)) else retry_after
    if ms is not None:
        fields["retry-after-ms"] = f"{ms:g}"
    error = {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "too many requests"}
    return reply(429, {"type": "error", "error": error}, fields, latency=latency)


_STEPS = each(
    instance((Wait, Head, Data, End, Silence, Cut), "it is no step of an answer", "steps, such as reply(200)")
)
_FUNCTION = function("it is no behaviour", "steps, such as reply(200), or a function of the request")


def check_behaviours(owner: str, behaviours: Sequence[Any]) -> None:
    """Refuse what is neither a list of steps nor a function of the request.

    Raises:
        TypeError: a behaviour is neither.
    """
    for place, behaviour in enumerate(behaviours):
        name = f"behaviours[{place}]"
        if isinstance(behaviour, (list, tuple)):
            _STEPS(owner, name, behaviour)
        elif isinstance(behaviour, (str, bytes, Mapping)) or not isinstance(behaviour, Iterable):
            _FUNCTION(owner, name, behaviour)


def _encoded(body: object) -> tuple[str, bytes]:
    if isinstance(body, bytes):
        return "application/octet-stream", body
    if isinstance(body, str):
        return "text/plain; charset=utf-8", body.encode()
    return "application/json", json.dumps(body).encode()
