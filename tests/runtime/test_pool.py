"""Connection slots survive cancellation storms and vendor outages, on httpx and on httpx2."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import anyio
import httpcore
import httpx
import httpx2
import pytest

from safecall_lint.runtime import _pool
from safecall_lint.runtime._pool import heal
from safecall_lint.runtime.testing import Vendor, reply, stall, stream, virtual_time

POOL = 10


class Recorder:
    """A transport as the runtime builds it, reduced to the healing; on httpx2 it must have nothing to do."""

    def __init__(self, http: ModuleType) -> None:
        self.inner = http.AsyncHTTPTransport(limits=http.Limits(max_connections=POOL))
        self.healed = 0
        recorder = self

        class Stream(http.AsyncByteStream):  # type: ignore[misc, name-defined]
            def __init__(self, inner: Any) -> None:
                self.inner = inner

            async def __aiter__(self) -> AsyncIterator[bytes]:
                async for chunk in self.inner:
                    yield chunk

            async def aclose(self) -> None:
                try:
                    await self.inner.aclose()
                finally:
                    recorder.healed += await heal(recorder.inner, self.inner)

        class Transport(http.AsyncBaseTransport):  # type: ignore[misc, name-defined]
            async def handle_async_request(self, request: Any) -> Any:
                try:
                    response = await recorder.inner.handle_async_request(request)
                except BaseException:
                    recorder.healed += await heal(recorder.inner)
                    raise
                response.stream = Stream(response.stream)
                return response

            async def aclose(self) -> None:
                await recorder.inner.aclose()

        self.transport = Transport()


def bare(http: ModuleType) -> Any:
    return http.AsyncHTTPTransport(limits=http.Limits(max_connections=POOL))


async def storm(client: Any, *, slots: int, cancels: int, seed: int = 1) -> int:
    """Start `cancels` requests, `slots` at a time, and cancel each after a random number of loop turns.

    Every fourth is cancelled a second time, while it is cleaning up. Returns how many finished before that.
    """
    chance = random.Random(seed)
    gate = asyncio.Semaphore(slots)

    async def call() -> None:
        async with gate:
            await client.get("/")

    async def cancelled() -> bool:
        task = asyncio.create_task(call())
        for turns in (60, 6)[: 2 if chance.random() < 0.25 else 1]:
            for _ in range(chance.randrange(turns)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        return not task.cancelled() and task.exception() is None

    finished = 0
    for _ in range(cancels // 50):
        finished += (await asyncio.gather(*(cancelled() for _ in range(50)))).count(True)
    return finished


async def usable(client: Any, vendor: Vendor) -> int:
    """How many requests the pool can carry at the same time, of `POOL`."""
    vendor.on("/", reply(200, latency=1))
    answers = await asyncio.gather(*(client.get("/") for _ in range(POOL)), return_exceptions=True)
    return sum(1 for answer in answers if not isinstance(answer, BaseException))


both_clients = pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])


@pytest.mark.parametrize("slots", [5, 100])
@both_clients
@virtual_time
async def test_every_slot_is_usable_after_a_cancellation_storm(http: ModuleType, slots: int) -> None:
    recorder = Recorder(http)
    timeout = http.Timeout(5, pool=2)
    async with (
        Vendor() as vendor,
        http.AsyncClient(base_url=vendor.url, transport=recorder.transport, timeout=timeout) as client,
    ):
        vendor.on("/", reply(200, "ok"))
        finished = await storm(client, slots=slots, cancels=1000)
        assert 0 < finished < 1000
        assert await usable(client, vendor) == POOL
        assert vendor.traffic.open_sockets <= POOL
        assert vendor.traffic.in_flight == 0
    assert (recorder.healed > 0) == (http is httpx)


@virtual_time
async def test_without_healing_httpx_loses_every_slot() -> None:
    timeout = httpx.Timeout(5, pool=2)
    async with (
        Vendor() as vendor,
        httpx.AsyncClient(base_url=vendor.url, transport=bare(httpx), timeout=timeout) as client,
    ):
        vendor.on("/", reply(200, "ok"))
        await storm(client, slots=5, cancels=1000)
        assert await usable(client, vendor) == 0


async def outage(client: Any, vendor: Vendor, *, callers: int, rounds: int) -> None:
    """Callers that give up on each call after 0.1 s and start the next at once, while the vendor says nothing.

    A busy loop is late for its timers; here each gives up a random number of loop turns late.
    """
    chance = random.Random(1)

    async def caller() -> None:
        for _ in range(rounds):
            call = asyncio.create_task(client.get("/"))
            await asyncio.sleep(0.1)
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait([call])

    with vendor.fault(stall()):
        await asyncio.gather(*(caller() for _ in range(callers)))


@both_clients
@virtual_time
async def test_every_slot_is_usable_after_an_outage(http: ModuleType) -> None:
    recorder = Recorder(http)
    timeout = http.Timeout(5, pool=2)
    async with (
        Vendor() as vendor,
        http.AsyncClient(base_url=vendor.url, transport=recorder.transport, timeout=timeout) as client,
    ):
        await outage(client, vendor, callers=4 * POOL, rounds=20)
        assert await usable(client, vendor) == POOL
        assert vendor.traffic.open_sockets <= POOL


@virtual_time
async def test_without_healing_httpx_stays_down_after_an_outage() -> None:
    timeout = httpx.Timeout(5, pool=2)
    async with (
        Vendor() as vendor,
        httpx.AsyncClient(base_url=vendor.url, transport=bare(httpx), timeout=timeout) as client,
    ):
        await outage(client, vendor, callers=4 * POOL, rounds=20)
        assert await usable(client, vendor) == 0


@virtual_time
async def test_slots_are_counted_although_an_anyio_scope_cancels_every_await() -> None:
    recorder = Recorder(httpx)
    chance = random.Random(1)
    timeout = httpx.Timeout(5, pool=2)
    async with (
        Vendor() as vendor,
        httpx.AsyncClient(base_url=vendor.url, transport=recorder.transport, timeout=timeout) as client,
    ):
        vendor.on("/", reply(200, "ok"))

        async def cancelled() -> None:
            scope = anyio.CancelScope()
            call = asyncio.create_task(within(scope))
            for _ in range(chance.randrange(60)):
                await asyncio.sleep(0)
            scope.cancel()
            await asyncio.wait([call])

        async def within(scope: anyio.CancelScope) -> None:
            with scope:
                await client.get("/")

        for _ in range(20):
            await asyncio.gather(*(cancelled() for _ in range(50)))
        assert recorder.healed > 0
        assert await usable(client, vendor) == POOL


@pytest.mark.parametrize("turns", range(6))
@both_clients
@virtual_time
async def test_a_stream_that_is_cancelled_twice_gives_its_slot_back(http: ModuleType, turns: int) -> None:
    recorder = Recorder(http)
    timeout = http.Timeout(5, pool=2)
    async with (
        Vendor() as vendor,
        http.AsyncClient(base_url=vendor.url, transport=recorder.transport, timeout=timeout) as client,
    ):
        vendor.on("/", stream(["a", "b"], stall_after=1))

        async def read() -> None:
            async with client.stream("GET", "/") as response:
                async for _ in response.aiter_raw():
                    pass

        readers = [asyncio.create_task(read()) for _ in range(POOL)]
        await asyncio.sleep(1)
        for reader in readers:
            reader.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        assert await usable(client, vendor) == POOL


@both_clients
@virtual_time
async def test_a_healthy_pool_keeps_its_connections(http: ModuleType) -> None:
    recorder = Recorder(http)
    async with (
        Vendor() as vendor,
        http.AsyncClient(base_url=vendor.url, transport=recorder.transport, timeout=60) as client,
    ):
        vendor.on("/", reply(200, latency=1))
        waiting = [asyncio.create_task(client.get("/")) for _ in range(POOL)]
        await asyncio.sleep(0.5)
        assert await heal(recorder.inner) == 0
        assert [(await call).status_code for call in waiting] == [200] * POOL
        assert await heal(recorder.inner) == 0
        assert vendor.traffic.sockets == POOL


def test_an_httpcore_that_is_not_known_to_lose_slots_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    @virtual_time
    async def healed_after_a_storm() -> int:
        recorder = Recorder(httpx)
        async with Vendor() as vendor, httpx.AsyncClient(base_url=vendor.url, transport=recorder.transport) as client:
            vendor.on("/", reply(200, "ok"))
            await storm(client, slots=5, cancels=200)
        return recorder.healed

    assert healed_after_a_storm() > 0
    monkeypatch.setattr(httpcore, "__version__", "1.0.10")
    _pool._loses_slots.cache_clear()
    try:
        assert healed_after_a_storm() == 0
    finally:
        _pool._loses_slots.cache_clear()


@virtual_time
async def test_other_transports_are_left_alone() -> None:
    mock = httpx.MockTransport(lambda _request: httpx.Response(200))
    assert await heal(mock) == 0
    assert await heal(object(), object()) == 0
