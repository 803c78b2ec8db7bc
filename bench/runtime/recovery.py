"""Usable connections after cancelled requests and after an outage: `python bench/runtime/recovery.py`.

Ten connections. The storm cancels 2000 requests after a random number of turns of the event loop, a quarter of them
twice. In the outage 200 callers give up on a silent vendor after 0.1 s, again and again for 4 s. Then ten requests are
sent at once, and each that is answered counts as a usable slot. Virtual time, real sockets on loopback.
"""

from __future__ import annotations

import asyncio
import random
from types import ModuleType
from typing import Any

import httpx
import httpx2

from safecall_lint.runtime import CallPolicy, CircuitBreaker
from safecall_lint.runtime.testing import Vendor, reply, run, stall

SLOTS = 10


def bare(http: ModuleType, url: str) -> Any:
    limits = http.Limits(max_connections=SLOTS)
    return http.AsyncClient(base_url=url, limits=limits, timeout=http.Timeout(30, pool=2))


def ours(http: ModuleType, url: str) -> Any:
    policy = CallPolicy("v", max_concurrency=SLOTS, max_queue=1000, breaker=CircuitBreaker(open_for=1))
    return policy.client(http.__name__, base_url=url)  # type: ignore[call-overload]


async def give_up(request: Any, chance: random.Random) -> None:
    task = asyncio.ensure_future(request)
    for turns in (60, 6)[: 2 if chance.random() < 0.25 else 1]:
        for _ in range(chance.randrange(turns)):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])


async def storm(client: Any, vendor: Vendor) -> None:
    vendor.on("/", reply(200, "ok"))
    chance = random.Random(1)
    for _ in range(40):
        await asyncio.gather(*(give_up(client.get("/"), chance) for _ in range(50)))


async def outage(client: Any, vendor: Vendor) -> None:
    vendor.on("/", stall())
    chance = random.Random(1)

    async def caller() -> None:
        for _ in range(40):
            task = asyncio.ensure_future(client.get("/"))
            await asyncio.sleep(0.1)
            for _ in range(chance.randrange(30)):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    await asyncio.gather(*(caller() for _ in range(200)))
    await asyncio.sleep(2)


async def usable(client: Any, vendor: Vendor) -> int:
    vendor.on("/", reply(200))
    await asyncio.gather(*(client.get("/") for _ in range(3)), return_exceptions=True)
    vendor.on("/", reply(200, latency=1))
    answers = await asyncio.gather(*(client.get("/") for _ in range(SLOTS)), return_exceptions=True)
    return sum(not isinstance(answer, BaseException) for answer in answers)


async def scenario(make: Any, http: ModuleType, trouble: Any) -> str:
    async with Vendor() as vendor, make(http, vendor.url) as client:
        await trouble(client, vendor)
        return f"{await usable(client, vendor)} of {SLOTS}"


def main() -> None:
    print("## Recovery\n")
    print(
        "Ten connections; usable slots after 2000 cancelled requests, and after an outage of 4 s under 200 impatient"
        " callers (`recovery.py`):\n"
    )
    print("| | cancellation storm | outage |\n|---|---|---|")
    for name, make in {"bare client": bare, "safecall_lint.runtime": ours}.items():
        for http in (httpx, httpx2):
            cells = [run(scenario(make, http, trouble)) for trouble in (storm, outage)]
            print(f"| {name}, {http.__name__} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
