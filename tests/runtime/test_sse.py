"""Server-sent events: the same events at the same instants from httpx and from httpx2."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

import httpx
import httpx2
import httpx_sse
import pytest

from safecall_lint.runtime._sse import sse_events
from safecall_lint.runtime.testing import Vendor, reply, sse, stream, virtual_time

both_clients = pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])


@both_clients
@virtual_time
async def test_each_event_is_there_when_the_vendor_sends_it(http: ModuleType) -> None:
    sent = [sse({"n": 1}, event="delta", id="a"), sse("two\nlines"), sse("[DONE]", retry=500)]
    seen: list[tuple[float, str, str, str, int | None]] = []
    async with Vendor() as vendor, http.AsyncClient(base_url=vendor.url, timeout=60) as client:
        vendor.on("/", stream(sent, gap=10))
        async with client.stream("GET", "/") as response:
            async for event in sse_events(response):
                at = asyncio.get_running_loop().time()
                seen.append((at, event.event, event.data, event.id, event.retry))
    assert seen == [
        (10.0, "delta", '{"n": 1}', "a", None),
        (20.0, "message", "two\nlines", "a", None),
        (30.0, "message", "[DONE]", "a", 500),
    ]


@both_clients
@virtual_time
async def test_events_survive_any_split_and_exotic_line_separators(http: ModuleType) -> None:
    text = 'data: {"text": "a\u2028b\u0085c \U0001f600"}\r\n\r\ndata: 2\n\n'.encode()
    async with Vendor() as vendor, http.AsyncClient(base_url=vendor.url) as client:
        vendor.on("/", stream([text[i : i + 1] for i in range(len(text))], gap=0.01))
        async with client.stream("GET", "/") as response:
            data = [event.data async for event in sse_events(response)]
    assert data == ['{"text": "a\u2028b\u0085c \U0001f600"}', "2"]


@pytest.mark.parametrize(("http", "error"), [(httpx, httpx_sse.SSEError), (httpx2, httpx2.SSEError)])
@virtual_time
async def test_an_answer_that_is_no_event_stream_is_an_error(http: ModuleType, error: type[Exception]) -> None:
    async with Vendor() as vendor, http.AsyncClient(base_url=vendor.url) as client:
        vendor.on("/", reply(200, {"error": "no stream for you"}))
        async with client.stream("GET", "/") as response:
            with pytest.raises(error, match="application/json"):
                await anext(sse_events(response))


@both_clients
@virtual_time
async def test_leaving_early_lets_the_vendor_know(http: ModuleType) -> None:
    async with Vendor() as vendor, http.AsyncClient(base_url=vendor.url) as client:
        vendor.on("/", stream([sse(n) for n in range(100)], gap=1))
        async with client.stream("GET", "/") as response:
            async for event in sse_events(response):
                if event.data == "2":
                    break
        await asyncio.sleep(1)
        assert (vendor.traffic.early_closes, vendor.traffic.in_flight) == (1, 0)


@virtual_time
async def test_something_else_is_named_in_the_error() -> None:
    with pytest.raises(TypeError, match="is not a response of httpx"):
        await anext(sse_events(b"data: 1"))


def test_a_missing_httpx_sse_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    async def first() -> None:
        await anext(sse_events(httpx.Response(200)))

    monkeypatch.setitem(sys.modules, "httpx_sse", None)
    with pytest.raises(ModuleNotFoundError, match="pip install httpx-sse"):
        asyncio.run(first())
