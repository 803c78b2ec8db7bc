"""What a vendor does with one request, as a list of small steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TypeAlias

from ._traffic import Received


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for `seconds` of the loop's time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Head:
    """Send the status line and the headers; without a content-length the body is chunked."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Data:
    """Send a piece of the body."""

    payload: bytes


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


Step: TypeAlias = Wait | Head | Data | End | Silence | Cut
Behaviour: TypeAlias = Iterable[Step] | Callable[[Received], Iterable[Step]]
"""The steps for a request, or a function that chooses them when the request is there."""


def reply(
    status: int = 200, body: object = b"", headers: Mapping[str, str] | None = None, *, latency: float = 0.0
) -> list[Step]:
    """One whole response after `latency` seconds.

    Bytes are sent as they are, a string as plain text, anything else as JSON.
    """
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
    fields = dict(headers or {})
    if at is not None:
        fields["retry-after"] = formatdate(at, usegmt=True)
    if retry_after is not None:
        fields["retry-after"] = f"{retry_after:g}" if isinstance(retry_after, (int, float)) else retry_after
    if ms is not None:
        fields["retry-after-ms"] = f"{ms:g}"
    error = {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "too many requests"}
    return reply(429, {"type": "error", "error": error}, fields, latency=latency)


def _encoded(body: object) -> tuple[str, bytes]:
    if isinstance(body, bytes):
        return "application/octet-stream", body
    if isinstance(body, str):
        return "text/plain; charset=utf-8", body.encode()
    return "application/json", json.dumps(body).encode()
