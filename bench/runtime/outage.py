"""What a vendor gets during and after an outage, and at half-open: `python bench/runtime/outage.py`.

Virtual time, no sockets. 100 users a second, each with one call; the vendor refuses everything for 60 s and then
answers in 0.2 s. Peers come from the environment: `pip install tenacity purgatory aiobreaker "interlock-cb"`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import httpx
import httpx2
from table import row

from safecall_lint.runtime import CallPolicy, CircuitBreaker, Retry
from safecall_lint.runtime.testing import Vendor, VirtualClock, reply, run

USERS_PER_SECOND = 100
WIRE_USERS_PER_SECOND = 20
OUTAGE = 60.0

Call = Callable[[], Awaitable[object]]


class Service:
    """A vendor that is down until `OUTAGE` and counts what it gets."""

    def __init__(self) -> None:
        self.times: list[float] = []

    async def __call__(self) -> str:
        now = asyncio.get_running_loop().time()
        self.times.append(now)
        await asyncio.sleep(0.02)
        if now < OUTAGE:
            raise ConnectionError
        await asyncio.sleep(0.18)
        return "ok"


def ours(vendor: Call) -> Call:
    policy = CallPolicy("v", max_concurrency=500, retry=Retry(repeat="always"), clock=VirtualClock())
    return lambda: policy.call(vendor)


def ours_without_breaker(vendor: Call) -> Call:
    policy = CallPolicy("v", max_concurrency=500, retry=Retry(repeat="always"), breaker=None, clock=VirtualClock())
    return lambda: policy.call(vendor)


def three_attempts(vendor: Call) -> Call:
    import tenacity

    random.seed(1)
    wait = tenacity.wait_random_exponential(0.5, 20)
    return tenacity.retry(stop=tenacity.stop_after_attempt(3), wait=wait, reraise=True)(vendor)


def three_times_three(vendor: Call) -> Call:
    return three_attempts(three_attempts(vendor))


async def users(call: Call, vendor: Service) -> tuple[float, int]:
    """Vendor requests for each user request of the outage, and the most arrivals in 100 ms after it."""
    tasks = []
    for _ in range(int(OUTAGE + 20) * USERS_PER_SECOND):
        tasks.append(asyncio.ensure_future(call()))
        await asyncio.sleep(1 / USERS_PER_SECOND)
    await asyncio.gather(*tasks, return_exceptions=True)
    during = sum(time < OUTAGE for time in vendor.times)
    after = Counter(int(time * 10) for time in vendor.times if time >= OUTAGE)
    return during / (OUTAGE * USERS_PER_SECOND), max(after.values())


def print_amplification() -> None:
    print("## Outage\n")
    print(f"60 s of outage under {USERS_PER_SECOND} users a second, virtual time (`outage.py`):\n")
    print("| | vendor requests for each user request | most arrivals in 100 ms afterwards |\n|---|---|---|")
    contenders = {
        "safecall_lint.runtime": ours,
        "safecall_lint.runtime, circuit breaker off": ours_without_breaker,
        "tenacity, 3 attempts": three_attempts,
        "tenacity, 3 attempts around an SDK's 3": three_times_three,
    }
    for name, make in contenders.items():
        row(name, lambda make=make: amplification(make))  # type: ignore[misc]


def amplification(make: Callable[[Call], Call]) -> str:
    vendor = Service()
    ratio, most = run(users(make(vendor), vendor))
    return f"{ratio:.2f} | {most}"


async def over_the_wire(http: ModuleType, *, breaker: bool) -> float:
    """The same through a client and real sockets, with a fifth of the users: requests for each user request."""
    async with Vendor() as vendor:
        vendor.on("/", reply(503))
        policy = CallPolicy("v", clock=VirtualClock(), **({} if breaker else {"breaker": None}))  # type: ignore[arg-type]
        client: Any = policy.client(http.__name__, base_url=vendor.url)  # type: ignore[call-overload]
        async with client:
            calls = []
            for _ in range(int(OUTAGE * WIRE_USERS_PER_SECOND)):
                calls.append(asyncio.ensure_future(client.get("/")))
                await asyncio.sleep(1 / WIRE_USERS_PER_SECOND)
            during = len(vendor.traffic.requests)
            await asyncio.gather(*calls, return_exceptions=True)
        return during / (OUTAGE * WIRE_USERS_PER_SECOND)


def print_over_the_wire() -> None:
    print(f"\nThe same over the wire, {WIRE_USERS_PER_SECOND} users a second, the vendor answers 503:\n")
    print("| | vendor requests for each user request | circuit breaker off |\n|---|---|---|")
    for http in (httpx, httpx2):
        cells = [f"{run(over_the_wire(http, breaker=breaker)):.2f}" for breaker in (True, False)]
        print(f"| safecall_lint.runtime, {http.__name__} | {' | '.join(cells)} |", flush=True)


async def probes_of(call: Callable[[Call], Awaitable[object]], wait: float) -> int:
    """How many of 50 callers reach a vendor that was down, when the breaker lets the first through again."""
    reached = 0

    async def fail() -> None:
        raise ConnectionError

    async def answer() -> None:
        nonlocal reached
        reached += 1
        await asyncio.sleep(0.5)

    for _ in range(30):
        await asyncio.gather(call(fail), return_exceptions=True)
    await asyncio.sleep(wait)
    await asyncio.gather(*(call(answer) for _ in range(50)), return_exceptions=True)
    return reached


async def recovery_of(call: Callable[[Call], Awaitable[object]], wait: float) -> float:
    """Seconds from the cancellation of three probes to the first call that gets through."""

    async def fail() -> None:
        raise ConnectionError

    async def hang() -> None:
        await asyncio.sleep(100)

    for _ in range(30):
        await asyncio.gather(call(fail), return_exceptions=True)
    await asyncio.sleep(wait)
    probes = [asyncio.ensure_future(call(hang)) for _ in range(3)]
    await asyncio.sleep(0.5)
    for probe in probes:
        probe.cancel()
    await asyncio.gather(*probes, return_exceptions=True)
    for tick in range(400):
        if (await asyncio.gather(call(lambda: asyncio.sleep(0)), return_exceptions=True))[0] is None:
            return tick * 1.0
        await asyncio.sleep(1)
    return float("inf")


def ours_with_breaker() -> Callable[[Call], Awaitable[object]]:
    breaker = CircuitBreaker(open_for=5)
    return CallPolicy("v", max_concurrency=100, retry=Retry(attempts=1), breaker=breaker, clock=VirtualClock()).call


def with_purgatory() -> Callable[[Call], Awaitable[object]]:
    from purgatory import AsyncCircuitBreakerFactory

    factory = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=5)

    async def purgatory(send: Call) -> object:
        async with await factory.get_breaker("v"):
            return await send()

    return purgatory


def with_aiobreaker() -> Callable[[Call], Awaitable[object]]:
    from aiobreaker import CircuitBreaker as AioBreaker

    breaker = AioBreaker(fail_max=5, timeout_duration=timedelta(seconds=0.05))
    return breaker.call_async  # type: ignore[no-any-return]


def with_interlock() -> Callable[[Call], Awaitable[object]]:
    from interlock import CircuitBreaker as InterlockBreaker
    from interlock import Config

    breaker = InterlockBreaker(name="v", config=Config(wait_duration_in_open=2.0, max_concurrent_probes=3))
    return breaker.call


def print_probes() -> None:
    """Real time for the peers, whose clocks are not the loop's."""
    print("\n50 callers at half-open, one process:\n")
    print("| | reached the vendor |\n|---|---|")
    row("safecall_lint.runtime", lambda: f"{run(probes_of(ours_with_breaker(), 5.0))} of 50")
    row("interlock", lambda: f"{asyncio.run(probes_of(with_interlock(), 2.1))} of 50")
    row("purgatory", lambda: f"{asyncio.run(probes_of(with_purgatory(), 5.1))} of 50")
    row("aiobreaker", lambda: f"{asyncio.run(probes_of(with_aiobreaker(), 0.1))} of 50")
    recovered = run(recovery_of(ours_with_breaker(), 5.0))
    print(f"\nAfter three probes were cancelled at half-open, the next call passed after {recovered:.0f} s.")


def main() -> None:
    print_amplification()
    print_over_the_wire()
    print_probes()


if __name__ == "__main__":
    main()
