"""Local rate limits: speed, what one window lets in, and who is starved: `python bench/runtime/limiters.py`.

Peers come from the environment: `pip install aiolimiter limits throttled-py pyrate-limiter`. Windows are measured in
virtual time.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from table import row

from safecall_lint.runtime import CallPolicy, Rate
from safecall_lint.runtime._quota import Quota
from safecall_lint.runtime.testing import run

ROUNDS = 7
CALLS = 20_000
PLENTY = 10_000_000

Take = Callable[[], Awaitable[object]]


def ours() -> Take:
    quota = Quota([Rate(PLENTY, per=60)])
    clock = time.monotonic

    async def take() -> object:
        return quota.take(clock(), 0)

    return take


def with_aiolimiter() -> Take:
    from aiolimiter import AsyncLimiter

    return AsyncLimiter(PLENTY, 60).acquire


def with_limits() -> Take:
    from limits import RateLimitItemPerMinute
    from limits.aio.storage import MemoryStorage
    from limits.aio.strategies import MovingWindowRateLimiter

    strategy, item = MovingWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(PLENTY)
    return lambda: strategy.hit(item, "v")


def with_throttled() -> Take:
    from throttled.asyncio import Throttled, rate_limiter

    throttle = Throttled(key="v", quota=rate_limiter.per_min(PLENTY))
    return throttle.limit


def with_pyrate() -> Take:
    from pyrate_limiter import Limiter
    from pyrate_limiter import Rate as PyrateRate

    limiter = Limiter(PyrateRate(PLENTY, 60_000))
    return lambda: limiter.try_acquire_async("v")


async def speed(make: Callable[[], Take]) -> float:
    take = make()
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(CALLS):
            await take()
        times.append((time.process_time() - start) / CALLS * 1e6)
    return statistics.median(times)


def print_speed() -> None:
    print("## Rates\n")
    print(f"us of CPU for one admission, median of {ROUNDS} rounds of {CALLS} (`limiters.py`):\n")
    print("| | us | thousand a second |\n|---|---|---|")
    contenders = {
        "safecall_lint.runtime": ours,
        "aiolimiter": with_aiolimiter,
        "limits, moving window in memory": with_limits,
        "throttled-py, in memory": with_throttled,
        "pyrate-limiter, in memory": with_pyrate,
    }
    for name, make in contenders.items():
        row(name, lambda make=make: speed_cells(make))  # type: ignore[misc]


def speed_cells(make: Callable[[], Take]) -> str:
    each = asyncio.run(speed(make))
    return f"{each:.2f} | {1000 / each:.0f}"


def most_in_a_window(times: list[float], per: float) -> int:
    return max(sum(start <= time < start + per - 1e-6 for time in times) for start in times)


async def flood(send: Callable[[Callable[[], Awaitable[None]]], Awaitable[object]], count: int) -> list[float]:
    times: list[float] = []

    async def sent() -> None:
        times.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(send(sent) for _ in range(count)), return_exceptions=True)
    return times


def print_windows() -> None:
    print("\n60 per 60 s, 300 callers at once, virtual time:\n")
    print("| | most in any 60 s | all sent |\n|---|---|---|")

    async def with_us() -> list[float]:
        policy = CallPolicy("v", rate=Rate(60, per=60), queue_timeout=900, deadline=900, max_queue=1000)
        return await flood(policy.call, 300)

    async def with_leaky_bucket() -> list[float]:
        from aiolimiter import AsyncLimiter

        limiter = AsyncLimiter(60, 60)

        async def send(sent: Callable[[], Awaitable[None]]) -> None:
            async with limiter:
                await sent()

        return await flood(send, 300)

    def window_cells(scenario: Callable[[], Coroutine[Any, Any, list[float]]]) -> str:
        times = run(scenario())
        return f"{most_in_a_window(times, 60)} | at {max(times):.0f} s"

    for name, scenario in {"safecall_lint.runtime": with_us, "aiolimiter": with_leaky_bucket}.items():
        row(name, lambda scenario=scenario: window_cells(scenario))  # type: ignore[misc]


def print_starvation() -> None:
    print("\n100 tokens per 1 s; one call of 50 comes after 100 calls of 1 and before 160 more each second, for 8 s:\n")
    print("| | the call of 50 waited |\n|---|---|")

    async def waited(acquire: Callable[[float], Awaitable[object]]) -> float:
        loop = asyncio.get_running_loop()
        small = [asyncio.ensure_future(acquire(1)) for _ in range(100)]
        await asyncio.sleep(0)
        start = loop.time()
        large = asyncio.ensure_future(acquire(50))
        while not large.done() and loop.time() < start + 8:
            small.extend(asyncio.ensure_future(acquire(1)) for _ in range(4))
            await asyncio.sleep(0.025)
        end = loop.time()
        for task in (large, *small):
            task.cancel()
        await asyncio.gather(large, *small, return_exceptions=True)
        return end - start

    async def with_us() -> float:
        rate = Rate(100, per=1, counts="tokens")
        policy = CallPolicy("v", rate=rate, queue_timeout=900, deadline=900, max_queue=10_000)

        async def acquire(tokens: float) -> None:
            with policy.options(tokens=tokens):
                await policy.call(asyncio.sleep, 0)

        return await waited(acquire)

    async def with_leaky_bucket() -> float:
        from aiolimiter import AsyncLimiter

        return await waited(AsyncLimiter(100, 1).acquire)

    row("safecall_lint.runtime", lambda: f"{asyncio.run(with_us()):.1f} s")
    row("aiolimiter", lambda: f"{asyncio.run(with_leaky_bucket()):.1f} s, of 8 s")


def main() -> None:
    print_speed()
    print_windows()
    print_starvation()


if __name__ == "__main__":
    main()
