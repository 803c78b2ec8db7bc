"""How much useful work is done at five times the capacity: `python bench/runtime/goodput.py`.

Virtual time. The vendor serves 50 requests at once, 0.5 s each: 100 a second. 500 users a second come for 30 s, and
each leaves after 5 s. Good is what was answered before that and within the 30 s.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from table import row

from safecall_lint.runtime import CallPolicy, deadline
from safecall_lint.runtime.testing import VirtualClock, run

CAPACITY = 50
SERVICE = 0.5
ARRIVALS = 500
SECONDS = 30
PATIENCE = 5.0

Call = Callable[[], Awaitable[object]]


class Vendor:
    """Serves `CAPACITY` requests at once, the rest in the order of arrival, also those nobody waits for any more."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(CAPACITY)
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self) -> None:
        task = asyncio.ensure_future(self._serve())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def _serve(self) -> None:
        async with self._places:
            await asyncio.sleep(SERVICE)


def ours(vendor: Call) -> Call:
    policy = CallPolicy(
        "v", max_concurrency=CAPACITY, queue_timeout=2, deadline=PATIENCE, call_timeout=3, clock=VirtualClock()
    )
    return lambda: policy.call(vendor)


def no_limit(vendor: Call) -> Call:
    return vendor


def slots_only(vendor: Call) -> Call:
    slots = asyncio.Semaphore(CAPACITY)

    async def call() -> None:
        async with slots:
            await vendor()

    return call


def recipe(vendor: Call) -> Call:
    """The order that is copied most: a queue timeout around everything, and retries around that."""
    import tenacity

    slots = asyncio.Semaphore(CAPACITY)
    random.seed(1)

    @tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_random_exponential(0.5, 5), reraise=True)
    async def call() -> None:
        async with asyncio.timeout(2), slots, asyncio.timeout(3):
            await vendor()

    return call


async def good_share(make: Callable[[Call], Call]) -> float:
    call = make(Vendor())
    good = 0

    async def user() -> None:
        nonlocal good
        async with deadline(PATIENCE):
            await call()
        good += loop.time() <= end

    users = []
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    for _ in range(ARRIVALS * SECONDS):
        users.append(asyncio.ensure_future(user()))
        await asyncio.sleep(1 / ARRIVALS)
    await asyncio.gather(*users, return_exceptions=True)
    return good / (CAPACITY / SERVICE * SECONDS)


def main() -> None:
    print("## Overload\n")
    print(f"Five times the capacity for {SECONDS} s, users leave after {PATIENCE:g} s, virtual time (`goodput.py`):\n")
    print("| | good answers, as a share of the capacity |\n|---|---|")
    contenders = {
        "safecall_lint.runtime": ours,
        "tenacity around queue timeout, semaphore and call timeout": recipe,
        "a semaphore alone": slots_only,
        "no limit": no_limit,
    }
    for name, make in contenders.items():
        row(name, lambda make=make: f"{run(good_share(make)):.1%}")  # type: ignore[misc]


if __name__ == "__main__":
    main()
