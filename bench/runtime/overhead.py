"""What every local layer together costs one call: `python bench/runtime/overhead.py`.

Peers come from the environment: `pip install tenacity aiolimiter purgatory pyresilience "interlock-cb[tenacity]"`.
Each contender has retry, circuit breaker, concurrency limit and time limits, and a rate limit where its row says so.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

import httpx
import httpx2
from table import row

from safecall_lint.runtime import CallPolicy, Rate

Call = Callable[[], Awaitable[object]]

ROUNDS = 7
CALLS = 5000
PLENTY = 1e7


async def vendor() -> int:
    return 1


def ours(rate: Rate | None) -> Call:
    policy = CallPolicy("v", max_concurrency=50, max_queue=10_000, queue_timeout=30, rate=rate)
    return lambda: policy.call(vendor)


def hand_stacked() -> Call:
    """Retry > deadline > purgatory > queue timeout > aiolimiter > semaphore > call timeout, as teams stack them."""
    import tenacity
    from aiolimiter import AsyncLimiter
    from purgatory import AsyncCircuitBreakerFactory

    slots = asyncio.Semaphore(50)
    rate = AsyncLimiter(PLENTY, 60)
    breakers = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=30)

    # safecall: ignore[retried-queue-timeout] the recipe is measured as teams write it, mistakes and all
    @tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_random_exponential(0.5, 20))
    async def call() -> object:
        async with asyncio.timeout(60), await breakers.get_breaker("v"):
            async with asyncio.timeout(30) as queue:
                async with rate, slots:
                    queue.reschedule(None)
                    async with asyncio.timeout(30):
                        return await vendor()

    return call


def nest_by_hand() -> Call:
    slots = asyncio.Semaphore(50)

    async def call() -> object:
        async with asyncio.timeout(60), asyncio.timeout(30) as queue, slots:
            queue.reschedule(None)
            async with asyncio.timeout(30):
                return await vendor()

    return call


def with_pyresilience() -> Call:
    import pyresilience

    return pyresilience.resilient(  # type: ignore[no-any-return]
        retry=pyresilience.RetryConfig(max_attempts=3),
        timeout=pyresilience.TimeoutConfig(seconds=30),
        circuit_breaker=pyresilience.CircuitBreakerConfig(),
        bulkhead=pyresilience.BulkheadConfig(max_concurrent=50, max_wait=30),
    )(vendor)


def with_interlock() -> Call:
    from interlock import CircuitBreaker as InterlockBreaker
    from interlock import Pipeline

    builder = Pipeline.builder().retry(attempts=3).circuit_breaker(InterlockBreaker(name="v"))
    pipeline = builder.bulkhead(50, max_wait=30).timeout(30.0).build()
    return pipeline(vendor)  # type: ignore[no-any-return]


CONTENDERS: dict[str, Callable[[], Call]] = {
    "safecall_lint.runtime, all layers and the rate": lambda: ours(Rate(PLENTY, per=60)),
    "safecall_lint.runtime, without the rate": lambda: ours(None),
    "tenacity + purgatory + aiolimiter + semaphore + timeouts": hand_stacked,
    "interlock pipeline: retry, breaker, bulkhead, timeout": with_interlock,
    "pyresilience: retry, breaker, bulkhead, timeout": with_pyresilience,
    "by hand: deadline, queue timeout, semaphore, call timeout": nest_by_hand,
}


async def one_after_the_other(call: Call) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        await call()
    return (time.process_time() - start) / CALLS * 1e6


async def at_once(call: Call, tasks: int) -> float:
    each = CALLS // tasks

    async def work() -> None:
        for _ in range(each):
            await call()

    start = time.process_time()
    await asyncio.gather(*(work() for _ in range(tasks)))
    return (time.process_time() - start) / (each * tasks) * 1e6


async def measure(make: Callable[[], Call], tasks: int) -> float:
    call = make()
    await call()
    times = [await (one_after_the_other(call) if tasks == 1 else at_once(call, tasks)) for _ in range(ROUNDS)]
    return statistics.median(times)


def cells(make: Callable[[], Call]) -> str:
    return " | ".join(f"{asyncio.run(measure(make, tasks)):.1f}" for tasks in (1, 50, 500, 2000))


async def request_cost(http: ModuleType, *, with_policy: bool) -> float:
    """One POST through a client, without a network: the transport below answers at once, with a body to be read."""

    class Answer(http.AsyncByteStream):  # type: ignore[name-defined,misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{}"

    class Network(http.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        async def handle_async_request(self, request: Any) -> Any:
            return http.Response(200, stream=Answer())

    transport = Network()
    if with_policy:
        policy = CallPolicy("v", max_concurrency=50, rate=Rate(PLENTY, per=60))
        transport = policy.transport(http.__name__, inner=transport)  # type: ignore[call-overload]
    async with http.AsyncClient(transport=transport) as client:
        return await measure(lambda: lambda: client.post("http://v/", json={"prompt": "hello"}), 1)


def print_requests() -> None:
    print(f"\nus of CPU for one POST through a client, no network, median of {ROUNDS} rounds of {CALLS}:\n")
    print("| | bare client | with every layer and the rate | more |\n|---|---|---|---|")
    for http in (httpx, httpx2):
        bare, ours = (asyncio.run(request_cost(http, with_policy=with_policy)) for with_policy in (False, True))
        print(f"| {http.__name__} | {bare:.1f} | {ours:.1f} | {ours - bare:.1f} |", flush=True)


def main() -> None:
    print("## All layers around one call\n")
    print(f"us of CPU for one call, median of {ROUNDS} rounds of {CALLS} calls (`overhead.py`):\n")
    print("| | one at a time | 50 tasks | 500 tasks | 2000 tasks |\n|---|---|---|---|---|")
    for name, make in CONTENDERS.items():
        row(name, lambda make=make: cells(make))  # type: ignore[misc]
    print_requests()


if __name__ == "__main__":
    main()
