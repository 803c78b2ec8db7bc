"""The circuit breaker: what opens it, what does not, and how it finds out that the vendor is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import ModuleType

import httpx
import httpx2
import pytest

from safecall_lint.runtime import CallPolicy, CallTimeout, CircuitBreaker, CircuitOpen, Event, Retry
from safecall_lint.runtime._events import CircuitChanged
from safecall_lint.runtime.testing import Vendor, VirtualClock, sse, stream, virtual_time

from .both_clients import client_of, on_both_clients

ONCE = Retry(attempts=1)


def a_policy(breaker: CircuitBreaker | None = None, **settings: object) -> tuple[CallPolicy, list[Event]]:
    events: list[Event] = []
    breaker = breaker or CircuitBreaker(minimum_calls=4, open_for=10, probes=2)
    return CallPolicy("v", retry=ONCE, breaker=breaker, events=events.append, **settings), events  # type: ignore[arg-type]


def changes(events: list[Event]) -> list[str]:
    return [event.after for event in events if isinstance(event, CircuitChanged)]


async def fail(policy: CallPolicy, times: int, error: Exception) -> None:
    async def send() -> None:
        raise error

    for _ in range(times):
        with pytest.raises(type(error)):
            await policy.call(send)


async def succeed(policy: CallPolicy, times: int) -> None:
    for _ in range(times):
        await policy.call(asyncio.sleep, 0)


def status_error(library: object, status: int) -> Exception:
    request = library.Request("GET", "http://vendor")  # type: ignore[attr-defined]
    response = library.Response(status, request=request)  # type: ignore[attr-defined]
    return library.HTTPStatusError("", request=request, response=response)  # type: ignore[attr-defined, no-any-return]


@virtual_time
async def test_it_opens_when_half_of_the_calls_fail() -> None:
    policy, events = a_policy()
    await succeed(policy, 2)
    await fail(policy, 1, ConnectionError())
    assert policy.state().circuit == "closed"
    await fail(policy, 1, ConnectionError())
    assert changes(events) == ["open"]
    with pytest.raises(CircuitOpen) as refused:
        await succeed(policy, 1)
    assert refused.value.retry_after == pytest.approx(10)


@virtual_time
async def test_too_few_calls_open_nothing() -> None:
    policy, _ = a_policy()
    await fail(policy, 3, ConnectionError())
    assert policy.state().circuit == "closed"


@virtual_time
async def test_failures_that_are_long_past_count_no_more() -> None:
    policy, _ = a_policy()
    await fail(policy, 3, ConnectionError())
    await asyncio.sleep(60)
    await fail(policy, 3, ConnectionError())
    assert policy.state().circuit == "closed"


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize(("status", "state"), [(400, "closed"), (429, "closed"), (500, "open"), (503, "open")])
def test_only_a_server_error_says_that_the_vendor_is_ill(library: object, status: int, state: str) -> None:
    @virtual_time
    async def scenario() -> None:
        policy, _ = a_policy()
        await fail(policy, 6 if state == "closed" else 4, status_error(library, status))
        assert policy.state().circuit == state

    scenario()


@virtual_time
async def test_our_own_mistakes_are_not_the_vendors() -> None:
    policy, _ = a_policy()
    await fail(policy, 10, KeyError())
    assert policy.state().circuit == "closed"


@virtual_time
async def test_callers_that_leave_do_not_open_it() -> None:
    policy, _ = a_policy()
    calls = [asyncio.ensure_future(policy.call(asyncio.sleep, 5)) for _ in range(10)]
    await asyncio.sleep(0.1)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert policy.state().circuit == "closed"


@virtual_time
async def test_call_timeouts_open_it() -> None:
    policy, _ = a_policy(call_timeout=1)
    for _ in range(4):
        with pytest.raises(CallTimeout):
            await policy.call(asyncio.sleep, 5)
    assert policy.state().circuit == "open"


@virtual_time
async def test_slow_calls_open_it() -> None:
    policy, _ = a_policy(CircuitBreaker(minimum_calls=4, slow_call=1, slow_rate=0.75))
    for seconds in (0, 2, 2, 2):
        await policy.call(asyncio.sleep, seconds)
    assert policy.state().circuit == "open"


@virtual_time
async def test_it_closes_after_as_many_good_probes_as_it_asks_for() -> None:
    policy, events = a_policy()
    await fail(policy, 4, ConnectionError())
    await asyncio.sleep(10)
    await succeed(policy, 1)
    assert changes(events) == ["open", "half_open"]
    await succeed(policy, 1)
    assert changes(events) == ["open", "half_open", "closed"]


@virtual_time
async def test_one_bad_probe_opens_it_again() -> None:
    policy, events = a_policy()
    await fail(policy, 4, ConnectionError())
    await asyncio.sleep(10)
    await succeed(policy, 1)
    await fail(policy, 1, ConnectionError())
    assert changes(events) == ["open", "half_open", "open"]
    with pytest.raises(CircuitOpen):
        await succeed(policy, 1)


@virtual_time
async def test_a_crowd_sends_no_more_probes_than_allowed() -> None:
    policy, _ = a_policy()
    await fail(policy, 4, ConnectionError())
    await asyncio.sleep(10)
    sent = 0

    async def probe() -> None:
        nonlocal sent
        sent += 1
        await asyncio.sleep(1)

    await asyncio.gather(*(policy.call(probe) for _ in range(50)), return_exceptions=True)
    assert sent == 2
    assert policy.state().circuit == "closed"


@virtual_time
async def test_a_cancelled_probe_gives_its_leave_back_at_once() -> None:
    policy, _ = a_policy()
    await fail(policy, 4, ConnectionError())
    await asyncio.sleep(10)
    probes = [asyncio.ensure_future(policy.call(asyncio.sleep, 20)) for _ in range(2)]
    await asyncio.sleep(0.1)
    with pytest.raises(CircuitOpen):
        await succeed(policy, 1)
    for probe in probes:
        probe.cancel()
    await asyncio.sleep(0)
    await succeed(policy, 2)
    assert policy.state().circuit == "closed"


@virtual_time
async def test_a_probe_that_never_reports_is_written_off_by_itself() -> None:
    policy, _ = a_policy(call_timeout=30)
    await fail(policy, 4, ConnectionError())
    await asyncio.sleep(10)
    lost = [policy.slot() for _ in range(2)]
    for slot in lost:
        await asyncio.create_task(slot.__aenter__())
    with pytest.raises(CircuitOpen) as refused:
        await succeed(policy, 1)
    assert refused.value.retry_after == pytest.approx(30)
    await asyncio.sleep(30)
    await succeed(policy, 2)
    assert policy.state().circuit == "closed"


@virtual_time
async def test_a_result_from_before_the_outage_changes_nothing_now() -> None:
    policy, _ = a_policy(CircuitBreaker(minimum_calls=2, open_for=1, probes=1), call_timeout=30)

    async def fail_late() -> None:
        await asyncio.sleep(20)
        raise ConnectionError

    late = [asyncio.ensure_future(policy.call(fail_late)) for _ in range(5)]
    await asyncio.sleep(0)
    await fail(policy, 2, ConnectionError())
    await asyncio.sleep(1)
    await succeed(policy, 1)
    assert policy.state().circuit == "closed"
    await asyncio.gather(*late, return_exceptions=True)
    assert policy.state().circuit == "closed"


@virtual_time
async def test_waiting_calls_are_refused_when_it_opens_before_their_turn() -> None:
    policy, _ = a_policy(max_concurrency=4)

    async def fail_late() -> None:
        await asyncio.sleep(1)
        raise ConnectionError

    failing = [asyncio.ensure_future(policy.call(fail_late)) for _ in range(4)]
    await asyncio.sleep(0)
    waiting = [asyncio.ensure_future(policy.call(asyncio.sleep, 0)) for _ in range(3)]
    results = await asyncio.gather(*failing, *waiting, return_exceptions=True)
    assert [type(result) for result in results[4:]] == [CircuitOpen] * 3
    assert policy.state().in_use == 0


async def numbers(count: int, gap: float, broken: bool = False) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(gap)
        yield number
    if broken:
        raise ConnectionError


async def read(policy: CallPolicy, count: int, gap: float = 1, leave_after: int | None = None) -> None:
    async with policy.stream(numbers, count, gap) as chunks:
        async for number in chunks:
            if number == leave_after:
                break


async def an_outage(policy: CallPolicy) -> None:
    await fail(policy, 4, ConnectionError())
    await asyncio.sleep(10)


@virtual_time
async def test_a_stream_that_outlives_its_lease_reports_with_its_first_chunk() -> None:
    policy, _ = a_policy(call_timeout=5, max_streams=5)
    await an_outage(policy)
    probes = [asyncio.ensure_future(read(policy, 60)) for _ in range(2)]
    await asyncio.sleep(0.9)
    with pytest.raises(CircuitOpen):
        await read(policy, 1)
    await asyncio.sleep(0.2)
    assert policy.state().circuit == "closed"
    await asyncio.gather(*probes)


@virtual_time
async def test_a_reader_that_leaves_early_has_reported_the_first_chunk() -> None:
    policy, _ = a_policy()
    await an_outage(policy)
    for _ in range(2):
        await read(policy, 60, leave_after=3)
    assert policy.state().circuit == "closed"


@virtual_time
async def test_a_probe_stream_with_a_slow_first_chunk_opens_it_again() -> None:
    policy, _ = a_policy(CircuitBreaker(minimum_calls=4, open_for=10, probes=2, slow_call=3))
    await an_outage(policy)
    await read(policy, 1, gap=4)
    assert policy.state().circuit == "open"


@virtual_time
async def test_a_probe_stream_that_dies_after_its_first_chunk_opens_it_again() -> None:
    policy, _ = a_policy()
    await an_outage(policy)
    with pytest.raises(ConnectionError):
        async with policy.stream(numbers, 2, 1, True) as chunks:
            async for _ in chunks:
                pass
    assert policy.state().circuit == "open"


@virtual_time
async def test_probes_that_die_after_they_closed_it_count_as_failures() -> None:
    policy, _ = a_policy(CircuitBreaker(minimum_calls=2, open_for=10, probes=2))
    await fail(policy, 2, ConnectionError())
    await asyncio.sleep(10)

    async def dies() -> None:
        async with policy.stream(numbers, 9, 1, True) as chunks:
            async for _ in chunks:
                pass

    dying = [asyncio.ensure_future(dies()) for _ in range(2)]
    await asyncio.sleep(2)
    assert policy.state().circuit == "closed"
    await asyncio.gather(*dying, return_exceptions=True)
    assert policy.state().circuit == "open"


@virtual_time
async def test_a_slot_that_is_held_for_long_is_one_probe_all_the_while() -> None:
    policy, _ = a_policy(call_timeout=5)
    await an_outage(policy)
    most = holding = 0

    async def hold() -> None:
        nonlocal most, holding
        async with policy.slot():
            holding += 1
            most = max(most, holding)
            await asyncio.sleep(45)
            holding -= 1

    first = asyncio.get_running_loop().time()
    holders = []
    while policy.state().circuit != "closed":
        holders.append(asyncio.ensure_future(hold()))
        await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() - first == pytest.approx(47, abs=1)
    assert most == 2
    await asyncio.gather(*holders, return_exceptions=True)


@virtual_time
async def test_a_probe_that_was_written_off_and_reports_after_all_counts() -> None:
    policy, _ = a_policy(call_timeout=5)
    await an_outage(policy)
    lent = [policy.slot() for _ in range(2)]
    for slot in lent:
        await asyncio.create_task(slot.__aenter__())
    await asyncio.sleep(9)
    assert await asyncio.gather(*(policy.call(asyncio.sleep, 1) for _ in range(1))) == [None]
    await lent[0].__aexit__(None, None, None)
    assert policy.state().circuit == "closed"
    await lent[1].__aexit__(ConnectionError, ConnectionError(), None)
    assert policy.state().circuit == "closed"


@on_both_clients
async def test_a_streamed_answer_that_is_left_early_has_reported_its_first_chunk(
    http: ModuleType, vendor: Vendor
) -> None:
    policy, _ = a_policy(clock=VirtualClock())
    await an_outage(policy)
    vendor.on("/", stream([sse("x")] * 9, gap=1))
    async with client_of(policy, http, vendor) as client:
        for _ in range(2):
            async with client.stream("GET", "/") as response:
                async for _chunk in response.aiter_bytes():
                    break
    assert policy.state().circuit == "closed"
