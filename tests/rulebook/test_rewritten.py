"""Code that a fix has rewritten runs, and the harm is gone: each mistake is made against the loopback vendor as it was
written, and once more as the fixer leaves it."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx
import pytest

from safecall_lint.rulebook import rulebook
from safecall_lint.runtime import testing
from safecall_lint.runtime.testing import (
    Behaviour,
    Received,
    StandStill,
    Step,
    Vendor,
    drop,
    rate_limited,
    reply,
    stream,
)
from tests.cases import EXAMPLE, fixed

Code = dict[str, Any]
Both = Callable[[str, str], tuple[Code, Code]]


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    """The names of a module, as it is written and as a rule's unsafe fix leaves it."""

    def make(rule: str, code: str) -> tuple[Code, Code]:
        monkeypatch.chdir(tmp_path)
        text = textwrap.dedent(code)
        (tmp_path / EXAMPLE).write_text(text, "utf-8")
        changed = fixed(rulebook()[rule], EXAMPLE, unsafe=True)
        assert changed != text
        return _run(text), _run(changed)

    return make


def _run(text: str) -> Code:
    names: Code = {"__name__": "example"}
    exec(compile(text, EXAMPLE, "exec"), names)  # noqa: S102 (the test's own code)
    return names


def test_a_second_cancellation_does_not_cut_the_clean_up(both: Both) -> None:
    before, after = both(
        "unshielded-cleanup",
        """
        import asyncio
        import httpx

        async def run(client: httpx.AsyncClient) -> None:
            try:
                await client.post("/work")
            except asyncio.CancelledError:
                await client.delete("/work")
                raise
        """,
    )

    async def cut(code: Code) -> int:
        async with Vendor() as vendor, httpx.AsyncClient(base_url=vendor.url) as client:
            vendor.on("/work", reply(200, latency=2))
            task = asyncio.create_task(code["run"](client))
            for _ in range(2):
                await asyncio.sleep(1)
                task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await asyncio.sleep(1)
            assert [request.method for request in vendor.traffic.requests] == ["POST", "DELETE"]
            return vendor.traffic.early_closes

    assert testing.run(cut(before)) == 2
    assert testing.run(cut(after)) == 1


def test_a_stream_that_falls_silent_is_given_up(both: Both) -> None:
    before, after = both(
        "stream-without-idle-timeout",
        """
        import httpx

        http = httpx.AsyncClient(timeout=None)

        async def read(url: str, out: list[str]) -> None:
            async with http.stream("GET", url) as response:
                async for line in response.aiter_lines():
                    out.append(line)
        """,
    )

    async def lines(code: Code) -> tuple[list[str], float]:
        out: list[str] = []
        async with Vendor() as vendor, code["http"]:
            vendor.on("/", stream(["one\n", "two\n", "three\n"], gap=1, stall_after=2))
            with pytest.raises(httpx.ReadTimeout):
                await code["read"](vendor.url, out)
        return out, asyncio.get_running_loop().time()

    with pytest.raises(StandStill):
        testing.run(lines(before))
    out, seconds = testing.run(lines(after))
    assert out == ["one", "two"]
    assert 30 < seconds < 40


def test_a_stream_that_breaks_off_is_not_sent_twice(both: Both) -> None:
    before, after = both(
        "retry-mid-stream",
        """
        import asyncio
        import httpx
        from collections.abc import AsyncIterator

        async def read(client: httpx.AsyncClient) -> AsyncIterator[str]:
            for attempt in range(3):
                try:
                    async with client.stream("GET", "/") as response:
                        async for line in response.aiter_lines():
                            yield line
                    return
                except httpx.TransportError:
                    await asyncio.sleep(2**attempt)
        """,
    )

    async def read(code: Code, *behaviours: Behaviour) -> tuple[list[str], bool]:
        out: list[str] = []
        async with Vendor() as vendor, httpx.AsyncClient(base_url=vendor.url) as client:
            vendor.on("/", *behaviours)
            try:
                async for line in code["read"](client):
                    out.append(line)  # noqa: PERF401 (what comes before the break counts)
            except httpx.RemoteProtocolError:
                return out, False
        return out, True

    whole, broken = stream(["one\n", "two\n"]), stream(["one\n", "two\n"], drop_after=1)
    assert testing.run(read(before, broken, whole)) == (["one", "one", "two"], True)
    assert testing.run(read(after, broken, whole)) == (["one"], False)
    assert testing.run(read(after, drop(), drop(), whole)) == (["one", "two"], True)


def test_a_slot_is_held_while_its_stream_runs(both: Both) -> None:
    before, after = both(
        "slot-released-before-stream",
        """
        import asyncio
        import httpx
        from collections.abc import AsyncIterator

        slots = asyncio.Semaphore(2)

        async def lines(client: httpx.AsyncClient) -> AsyncIterator[str]:
            async with client.stream("GET", "/") as response:
                async for line in response.aiter_lines():
                    yield line

        async def opened(client: httpx.AsyncClient) -> AsyncIterator[str]:
            async with slots:
                return lines(client)
        """,
    )

    async def most_at_once(code: Code) -> int:
        async def read(client: httpx.AsyncClient, leaves: bool) -> int:
            async with aclosing(await code["opened"](client)) as pieces:
                async for _ in pieces:
                    if leaves:
                        return 1
            return 2

        async with Vendor() as vendor, httpx.AsyncClient(base_url=vendor.url) as client:
            vendor.on("/", stream(["one\n", "two\n"], gap=1))
            counts = await asyncio.gather(*(read(client, number % 2 == 0) for number in range(6)))
            assert counts == [1, 2] * 3
            return vendor.traffic.max_in_flight

    assert testing.run(most_at_once(before)) == 6
    assert testing.run(most_at_once(after)) == 2


def test_a_request_whose_answer_is_lost_is_carried_out_once(both: Both) -> None:
    before, after = both(
        "unsafe-retry",
        """
        import asyncio
        import httpx

        async def place(client: httpx.AsyncClient, order: dict[str, int]) -> int:
            for attempt in range(3):
                try:
                    reply = await client.post("/orders", json=order, headers={"x-shop": "north"})
                    return reply.status_code
                except httpx.TransportError:
                    await asyncio.sleep(2**attempt)
            return 0
        """,
    )

    async def orders(code: Code) -> int:
        """A vendor that keeps idempotency keys, and loses its first answer after the order was placed."""
        placed: dict[str, bytes] = {}

        def place(request: Received) -> Iterable[Step]:
            first = not placed
            placed[request.headers.get("idempotency-key", str(len(placed)))] = request.body
            return drop() if first else reply(200)

        async with Vendor() as vendor, httpx.AsyncClient(base_url=vendor.url) as client:
            vendor.on("/orders", place)
            assert [await code["place"](client, {"number": number}) for number in (1, 2)] == [200, 200]
            assert {request.headers["x-shop"] for request in vendor.traffic.requests} == {"north"}
        return len(placed)

    assert testing.run(orders(before)) == 3
    assert testing.run(orders(after)) == 2


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_refused_request_comes_back_when_the_vendor_says(both: Both, form: str) -> None:
    before, after = both(
        "ignored-retry-after",
        """
        import asyncio
        import httpx

        async def fetch(client: httpx.AsyncClient) -> str:
            for attempt in range(4):
                reply = await client.get("/")
                if reply.status_code == 429:
                    await asyncio.sleep(2)
                    continue
                return reply.text
            return ""
        """,
    )

    async def requests(code: Code) -> list[float]:
        async with Vendor() as vendor, httpx.AsyncClient(base_url=vendor.url) as client:
            asked = rate_limited(9) if form == "seconds" else rate_limited(at=time.time() + 9)
            vendor.on("/", asked, reply(200, b"ok"))
            assert await code["fetch"](client) == "ok"
            return [request.at for request in vendor.traffic.requests]

    first, second = testing.run(requests(before))
    assert second - first == pytest.approx(2, abs=0.5)
    first, second = testing.run(requests(after))
    assert second - first == pytest.approx(9, abs=1.5)


def test_a_large_collection_waits_for_its_slots_and_loses_nothing(both: Both) -> None:
    before, after = both(
        "unbounded-fan-out",
        """
        import asyncio
        import httpx

        async def page(client: httpx.AsyncClient, number: int) -> str:
            return (await client.get(f"/{number}")).text

        async def pages(client: httpx.AsyncClient, numbers: list[int]) -> list[str]:
            return await asyncio.gather(*(page(client, number) for number in numbers))
        """,
    )

    async def most_at_once(code: Code) -> int:
        limits = httpx.Limits(max_connections=200)
        async with Vendor() as vendor, httpx.AsyncClient(base_url=vendor.url, limits=limits, timeout=60) as client:
            for number in range(300):
                vendor.on(f"/{number}", reply(200, str(number), latency=10))
            found = await code["pages"](client, list(range(300)))
            assert found == [str(number) for number in range(300)]
            return vendor.traffic.max_in_flight

    assert testing.run(most_at_once(before)) > 100
    assert testing.run(most_at_once(after)) == 50


def test_a_refusal_tells_callers_when_to_come_back(both: Both) -> None:
    before, after = both(
        "overload-as-server-error",
        """
        import httpx
        from fastapi import FastAPI, HTTPException

        app = FastAPI()
        client = httpx.AsyncClient()

        @app.get("/")
        async def index(url: str) -> str:
            try:
                reply = await client.get(url)
                reply.raise_for_status()
                return reply.text
            except httpx.HTTPStatusError:
                raise HTTPException(status_code=503, detail="busy")
        """,
    )

    async def told(code: Code) -> str | None:
        service = httpx.ASGITransport(code["app"])
        async with Vendor() as vendor, code["client"], httpx.AsyncClient(transport=service) as caller:
            vendor.on("/", rate_limited(7))
            answer = await caller.get("http://service/", params={"url": vendor.url})
            assert answer.status_code == 503
            return dict(answer.headers).get("retry-after")

    assert testing.run(told(before)) is None
    assert testing.run(told(after)) == "7"
