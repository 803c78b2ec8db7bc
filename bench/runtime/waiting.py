"""What a waiting call costs, and how soon waiters get through: `python bench/runtime/waiting.py`."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
from table import row

from safecall_lint.runtime import CallPolicy, Rate
from safecall_lint.runtime.testing import Vendor, reply

WAITERS = 1000


async def memory_of(call: Callable[[], Awaitable[object]], hold: Callable[[], Awaitable[object]]) -> float:
    """Bytes for each of `WAITERS` tasks that wait behind `hold`."""
    holder = asyncio.ensure_future(hold())
    await asyncio.sleep(0.05)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tasks = [asyncio.ensure_future(call()) for _ in range(WAITERS)]
    await asyncio.sleep(1)
    used = (tracemalloc.get_traced_memory()[0] - before) / WAITERS
    tracemalloc.stop()
    for task in (holder, *tasks):
        task.cancel()
    await asyncio.gather(holder, *tasks, return_exceptions=True)
    return used


async def ours() -> float:
    policy = CallPolicy("v", max_concurrency=1, max_queue=WAITERS, queue_timeout=30)
    return await memory_of(lambda: policy.call(asyncio.sleep, 0), lambda: policy.call(asyncio.sleep, 20))


async def semaphore() -> float:
    slots = asyncio.Semaphore(1)

    async def call(seconds: float) -> None:
        async with slots:
            await asyncio.sleep(seconds)

    return await memory_of(lambda: call(0), lambda: call(20))


async def nest_by_hand() -> float:
    slots = asyncio.Semaphore(1)

    async def call(seconds: float) -> None:
        async with asyncio.timeout(60), asyncio.timeout(30) as queue, slots:
            queue.reschedule(None)
            async with asyncio.timeout(30):
                await asyncio.sleep(seconds)

    return await memory_of(lambda: call(0), lambda: call(20))


async def pool() -> float:
    async with Vendor() as vendor:
        vendor.on("/", reply(200, latency=20))
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(base_url=vendor.url, limits=limits, timeout=60) as client:
            return await memory_of(lambda: client.get("/"), lambda: client.get("/"))


async def through(acquire: Callable[[], Awaitable[object]], waiters: int) -> float:
    start = time.perf_counter()
    await asyncio.gather(*(acquire() for _ in range(waiters)))
    return time.perf_counter() - start


def print_through() -> None:
    print("\n100 waiters at 20 a second (1200 per 60 s, bursts of 1), real time, median of 3:\n")
    print("| | seconds | over the ideal of 99 gaps of 50 ms |\n|---|---|---|")

    async def with_us() -> float:
        policy = CallPolicy("v", rate=Rate(1200, per=60, burst=1), max_queue=200, queue_timeout=20)
        return await through(lambda: policy.call(asyncio.sleep, 0), 100)

    async def with_leaky_bucket() -> float:
        from aiolimiter import AsyncLimiter

        return await through(AsyncLimiter(1, 0.05).acquire, 100)

    for name, scenario in {"safecall_lint.runtime": with_us, "aiolimiter": with_leaky_bucket}.items():
        row(name, lambda scenario=scenario: through_cells(scenario))  # type: ignore[misc]


def through_cells(scenario: Callable[[], Coroutine[Any, Any, float]]) -> str:
    seconds = statistics.median(asyncio.run(scenario()) for _ in range(3))
    return f"{seconds:.2f} | {seconds / 4.95 - 1:.1%}"


def main() -> None:
    print("## Waiting\n")
    print(f"Bytes for each of {WAITERS} waiting calls, its task included (`waiting.py`):\n")
    print("| waiting for | bytes |\n|---|---|")
    contenders = {
        "a slot of safecall_lint.runtime, all layers": ours,
        "a bare asyncio.Semaphore": semaphore,
        "a semaphore inside deadline and queue timeout, by hand": nest_by_hand,
        "a connection of httpx's pool": pool,
    }
    for name, scenario in contenders.items():
        print(f"| {name} | {asyncio.run(scenario()):.0f} |", flush=True)
    print_through()


if __name__ == "__main__":
    main()
