"""Virtual time: what follows it, what stops it, what it refuses; and the test mode without waits."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from aiolimiter import AsyncLimiter

from safecall_lint.runtime import CallPolicy, CallTimeout, QueueFull, Rate, Retry
from safecall_lint.runtime.testing import (
    StandStill,
    Vendor,
    VirtualClock,
    VirtualTimeLoop,
    no_waits,
    rate_limited,
    reply,
    run,
    stall,
    virtual_time,
)


def test_an_hour_of_sleeping_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.perf_counter()
    assert run(main()) == 3600.0
    assert time.perf_counter() - began < 1


def test_anyio_takes_the_loop_as_its_own() -> None:
    async def main() -> float:
        await anyio.sleep(3600)
        return anyio.current_time()

    assert anyio.run(main, backend_options={"loop_factory": VirtualTimeLoop}) == 3600.0


def test_time_starts_where_it_is_told() -> None:
    async def main() -> float:
        await asyncio.sleep(0.5)
        return asyncio.get_running_loop().time()

    assert run(main(), start=100) == 100.5


@pytest.mark.parametrize("start", [0.1, 1.0, 4.01, 7.3, 1e8])
def test_a_limiter_that_asks_for_less_than_a_nanosecond_gets_on(start: float) -> None:
    async def main() -> float:
        limiter = AsyncLimiter(5, 1)
        async with asyncio.timeout(60):
            for _ in range(10):
                await limiter.acquire()
        return asyncio.get_running_loop().time() - start

    assert run(main(), start=start) == pytest.approx(1, abs=1e-6)


def test_a_timer_of_less_than_a_nanosecond_leaves_the_time_as_it_is_meant() -> None:
    async def main() -> float:
        await asyncio.sleep(0.1)
        await asyncio.sleep(0.2)
        await asyncio.sleep(1e-12)
        return asyncio.get_running_loop().time()

    assert run(main()) == 0.3


@virtual_time
async def test_sleepers_wake_in_the_order_of_their_timers() -> None:
    woken: list[tuple[float, str]] = []
    loop = asyncio.get_running_loop()

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((loop.time(), name))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("c", 0.3), ("a", 0.1), ("b", 0.2)):
            group.create_task(sleeper(name, seconds))
    assert woken == [(0.1, "a"), (0.2, "b"), (0.3, "c")]


@virtual_time
async def test_ten_thousand_short_sleeps_add_up_without_drift() -> None:
    for _ in range(10_000):
        await asyncio.sleep(0.1)
    assert asyncio.get_running_loop().time() == pytest.approx(1000.0, abs=1e-6)


@virtual_time
async def test_asyncio_timeout_fires_at_its_instant() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() == 30.0


@virtual_time
async def test_anyio_scopes_follow_virtual_time() -> None:
    with anyio.move_on_after(7) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert anyio.current_time() == 7.0


@virtual_time
async def test_a_working_thread_stops_the_clock() -> None:
    async with asyncio.timeout(0.001):
        await asyncio.to_thread(time.sleep, 0.05)
    assert asyncio.get_running_loop().time() == 0.0


@virtual_time
async def test_a_working_anyio_thread_stops_the_clock() -> None:
    with anyio.fail_after(0.001):
        await anyio.to_thread.run_sync(time.sleep, 0.05)
    assert anyio.current_time() == 0.0


@virtual_time
async def test_bytes_between_sockets_arrive_before_time_jumps() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, asyncio.timeout(1):
        for _ in range(20):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()
            await writer.wait_closed()
    assert asyncio.get_running_loop().time() == 0.0


def test_a_deadlock_is_named_at_once_instead_of_hanging() -> None:
    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(StandStill, match=r"still at 0.0 s: .*waits_for_ever \(test_testing_clock.py:\d+\)"):
        run(waits_for_ever())


def test_a_socket_that_never_speaks_is_named_too() -> None:
    async def main() -> None:
        async with Vendor() as vendor, httpx.AsyncClient(base_url=vendor.url, timeout=None) as client:  # noqa: S113
            vendor.on("/", stall())
            await client.get("/")

    with pytest.raises(StandStill, match="no socket or thread answered"):
        run(main(), patience=0.05)


def test_run_inside_a_running_loop_is_refused() -> None:
    async def inner() -> None: ...

    async def outer() -> None:
        run(inner())

    with pytest.raises(RuntimeError, match="already running here"):
        run(outer())


@virtual_time
async def test_the_virtual_clock_tells_date_time_and_chance_from_the_loop() -> None:
    clock = VirtualClock(wall=1_000_000.0, seed=7)
    await clock.sleep(90)
    assert (clock.time(), clock.wall()) == (90.0, 1_000_090.0)
    assert VirtualClock(seed=7).random() == VirtualClock(seed=7).random() != VirtualClock(seed=8).random()


class VendorIsDown(ConnectionError):
    """A failure that the default policy repeats."""


def busy_policy(**settings: Any) -> CallPolicy:
    retry = Retry(attempts=3, base=100, cap=100, repeat="always", budget=None)
    return CallPolicy("v", rate=Rate(1, per=60), deadline=1000, queue_timeout=900, retry=retry, **settings)


@virtual_time
async def test_no_waits_keeps_the_attempts_and_drops_the_time_between_them() -> None:
    policy = busy_policy(breaker=None)
    attempts: list[float] = []

    async def fails() -> None:
        attempts.append(asyncio.get_running_loop().time())
        raise VendorIsDown

    with no_waits():
        for _ in range(4):
            with pytest.raises(VendorIsDown):
                await policy.call(fails)
    assert attempts == [0.0] * 12


@virtual_time
async def test_after_no_waits_every_wait_is_back() -> None:
    policy = busy_policy()

    async def answers() -> float:
        return asyncio.get_running_loop().time()

    with pytest.raises(ZeroDivisionError), no_waits():
        raise ZeroDivisionError
    assert [await policy.call(answers) for _ in range(3)] == [0.0, 60.0, 120.0]


@virtual_time
async def test_no_waits_leaves_refusals_and_timeouts_alone() -> None:
    policy = CallPolicy("v", max_concurrency=1, max_queue=0, call_timeout=3, retry=Retry(attempts=1))

    async def hangs() -> None:
        await asyncio.Event().wait()

    with no_waits():
        hanging = asyncio.create_task(policy.call(hangs))
        await asyncio.sleep(1)
        with pytest.raises(QueueFull):
            await policy.call(hangs)
        with pytest.raises(CallTimeout):
            await hanging
    assert asyncio.get_running_loop().time() == 3.0


@virtual_time
async def test_no_waits_ignores_the_vendors_retry_after() -> None:
    policy = CallPolicy("v", retry=Retry(attempts=3, budget=None))
    async with Vendor() as vendor, policy.client("httpx", base_url=vendor.url) as client:
        vendor.on("/", rate_limited(20), rate_limited(20), reply(200))
        with no_waits():
            assert (await client.get("/")).status_code == 200
    assert len(vendor.traffic.requests) == 3
    assert asyncio.get_running_loop().time() == 0.0
