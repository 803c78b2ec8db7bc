"""Server-sent events of a response, parsed by the client's own library."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import ModuleType
from typing import Any, Protocol, cast

from ._setting import refusal


class ServerSentEvent(Protocol):
    """One event, as httpx-sse and httpx2 both give it."""

    @property
    def event(self) -> str:
        """The event's type; "message" where the stream does not say."""
        ...

    @property
    def data(self) -> str:
        """The payload, its lines joined."""
        ...

    @property
    def id(self) -> str:
        """The last id that the stream gave, or an empty string."""
        ...

    @property
    def retry(self) -> int | None:
        """How long to wait before reconnecting, in milliseconds, where the stream says so."""
        ...


async def sse_events(response: object) -> AsyncGenerator[ServerSentEvent, None]:
    """Yield the events of a streamed `httpx.Response` or `httpx2.Response` as they arrive.

    httpx2 parses by itself; for httpx, httpx-sse does it. The caller closes the response.

    Raises:
        TypeError: `response` is of neither library.
        ModuleNotFoundError: the response is httpx's and httpx-sse is not installed.
        SSEError: the content type is not `text/event-stream` (httpx_sse.SSEError or httpx2.SSEError, both are
            TransportErrors of their library).
    """
    async with aclosing(cast("AsyncGenerator[ServerSentEvent, None]", _source(response))) as events:
        async for event in events:
            yield event


def _source(response: object) -> AsyncIterator[Any]:
    if _is_of("httpx2", response):
        from httpx2 import EventSource

        return aiter(EventSource(cast(Any, response)))
    if _is_of("httpx", response):
        events: AsyncIterator[Any] = _httpx_sse().EventSource(response).aiter_sse()
        return events
    text = "is not a response of httpx or httpx2, so it streams no events: give the response itself"
    raise refusal(TypeError, "sse_events", "response", response, text)


def _is_of(library: str, response: object) -> bool:
    """Without importing: whoever has a response of a library has imported the library."""
    module = sys.modules.get(library)
    return module is not None and isinstance(response, module.Response)


def _httpx_sse() -> ModuleType:
    try:
        import httpx_sse
    except ModuleNotFoundError as error:
        message = "httpx cannot parse server-sent events and httpx-sse is not installed: pip install httpx-sse"
        raise ModuleNotFoundError(message, name="httpx_sse") from error
    return httpx_sse
