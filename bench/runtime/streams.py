"""What watching a stream costs for each chunk, and how soon its slot is free: `python bench/runtime/streams.py`."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

import httpx
import httpx2

from safecall_lint.runtime import CallPolicy, StreamLimits, StreamTimeout
from safecall_lint.runtime.testing import Vendor, sse, stream

CHUNKS = 50_000
ROUNDS = 7


async def source() -> AsyncIterator[int]:
    for number in range(CHUNKS):
        yield number


async def bare() -> None:
    async for _ in source():
        pass


async def ours() -> None:
    async with CallPolicy("v").stream(source) as chunks:
        async for _ in chunks:
            pass


async def timeout_for_each() -> None:
    iterator = source()
    while True:
        try:
            async with asyncio.timeout(30):
                await anext(iterator)
        except StopAsyncIteration:
            return


async def wait_for_each() -> None:
    iterator = source()
    while True:
        try:
            await asyncio.wait_for(anext(iterator), 30)
        except StopAsyncIteration:
            return


def cpu(read: Callable[[], Awaitable[None]], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.process_time()
        asyncio.run(read())  # type: ignore[arg-type]
        times.append((time.process_time() - start) / CHUNKS * 1e6)
    return statistics.median(times)


async def releases() -> list[float]:
    """Milliseconds from a disconnect to the free slot, the reader suspended in a send that never ends."""
    policy = CallPolicy("v", max_concurrency=200)
    times: list[float] = []

    async def endless() -> AsyncIterator[int]:
        while True:
            yield 1
            await asyncio.sleep(0.001)

    async def handler() -> None:
        async with policy.stream(endless) as chunks:
            async for _ in chunks:
                await asyncio.sleep(3600)

    for _ in range(200):
        task = asyncio.ensure_future(handler())
        await asyncio.sleep(0.002)
        left = time.perf_counter()
        task.cancel()
        await asyncio.wait([task])
        assert policy.state().in_use == 0
        times.append((time.perf_counter() - left) * 1000)
    return times


async def stall_noticed(limit: float) -> float:
    async def silent() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(3600)

    policy = CallPolicy("v", stream_limits=StreamLimits(first=limit, idle=limit, total=600))
    start = time.perf_counter()
    try:
        async with policy.stream(silent) as chunks:
            async for _ in chunks:
                start = time.perf_counter()
    except StreamTimeout:
        pass
    return time.perf_counter() - start


def reader_of(http: ModuleType, *, with_policy: bool) -> Callable[[], Awaitable[None]]:
    """Reads an event stream through a client, without a network."""

    class Chunks(http.AsyncByteStream):  # type: ignore[name-defined,misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            for _ in range(CHUNKS):
                yield b"data: x"

    class Network(http.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        async def handle_async_request(self, request: Any) -> Any:
            return http.Response(200, headers={"content-type": "text/event-stream"}, stream=Chunks())

    async def read() -> None:
        transport = Network()
        if with_policy:
            transport = CallPolicy("v").transport(http.__name__, inner=transport)  # type: ignore[call-overload]
        async with http.AsyncClient(transport=transport) as client, client.stream("GET", "http://v/") as response:
            async for _ in response.aiter_raw():
                pass

    return read


async def releases_over(http: ModuleType) -> list[float]:
    """Milliseconds from a disconnect to the free slot, through a client and a real socket."""
    policy = CallPolicy("v", max_concurrency=10)
    times: list[float] = []
    async with Vendor() as vendor:
        vendor.on("/", stream([sse("x")] * 100, gap=0.005))
        client: Any = policy.client(http.__name__, base_url=vendor.url)  # type: ignore[call-overload]
        async with client:

            async def handler() -> None:
                async with client.stream("GET", "/") as response:
                    async for _ in response.aiter_raw():
                        await asyncio.sleep(3600)

            for _ in range(100):
                task = asyncio.ensure_future(handler())
                await asyncio.sleep(0.03)
                left = time.perf_counter()
                task.cancel()
                await asyncio.wait([task])
                assert policy.state().in_use == 0
                times.append((time.perf_counter() - left) * 1000)
    return sorted(times)


def print_chunks() -> None:
    print("## Streams\n")
    print(f"us of CPU for one chunk, median of {ROUNDS} rounds of {CHUNKS} chunks (`streams.py`):\n")
    base = cpu(bare, ROUNDS)
    print(f"| | us over a bare `async for` ({base:.2f} us) |\n|---|---|")
    print(f"| safecall_lint.runtime: first, idle and total limit | {cpu(ours, ROUNDS) - base:.2f} |", flush=True)
    print(f"| asyncio.timeout around each chunk | {cpu(timeout_for_each, 3) - base:.2f} |", flush=True)
    print(f"| asyncio.wait_for around each chunk | {cpu(wait_for_each, 3) - base:.2f} |", flush=True)
    for http in (httpx, httpx2):
        plain, watched = (cpu(reader_of(http, with_policy=with_policy), 5) for with_policy in (False, True))
        name = f"safecall_lint.runtime, over a bare {http.__name__} client ({plain:.2f} us)"
        print(f"| {name} | {watched - plain:.2f} |", flush=True)


def main() -> None:
    print_chunks()
    print("\nThe slot is free after a disconnect, the reader blocked in a send:\n")
    print("| | p50 | p99 |\n|---|---|---|")
    times = sorted(asyncio.run(releases()))
    print(f"| 200 streams of a function | {times[100]:.1f} ms | {times[197]:.1f} ms |")
    for http in (httpx, httpx2):
        times = asyncio.run(releases_over(http))
        print(f"| 100 streams through {http.__name__} | {times[50]:.1f} ms | {times[98]:.1f} ms |", flush=True)
    noticed = statistics.median(asyncio.run(stall_noticed(1.0)) for _ in range(3))
    print(f"\nA stall at an idle limit of 1 s is noticed after {noticed:.3f} s.")


if __name__ == "__main__":
    main()
