"""A policy under a whole client: the same behaviour on httpx and on httpx2."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest

from safecall_lint.runtime import (
    CallTimeout,
    CircuitBreaker,
    DeadlineExceeded,
    Event,
    QueueTimeout,
    Rate,
    Retry,
    StreamLimits,
    StreamTimeout,
    deadline,
)
from safecall_lint.runtime._events import AttemptEnded, CallEnded, Released, StreamEnded, StreamFirstChunk, StreamOpened
from safecall_lint.runtime.testing import (
    Cut,
    Data,
    Head,
    Vendor,
    drop,
    rate_limited,
    reply,
    sse,
    stall,
    stream,
)

from .both_clients import a_policy, client_of, on_both_clients

DRIPS = stream(["x"] * 100, gap=0.5, content_type="application/json")


@on_both_clients
async def test_a_request_passes_and_leaves_nothing_behind(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", reply(200, {"answer": 42}))
    policy = a_policy()
    async with client_of(policy, http, vendor) as client:
        assert (await client.get("/")).json() == {"answer": 42}
    assert policy.state().in_use == 0


@on_both_clients
async def test_the_vendor_never_sees_more_requests_than_slots(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", reply(200, latency=1))
    policy = a_policy(max_concurrency=3, max_queue=100, queue_timeout=20)
    async with client_of(policy, http, vendor) as client:
        await asyncio.gather(*(client.get("/") for _ in range(12)))
    assert vendor.traffic.max_in_flight == 3
    assert vendor.traffic.sockets <= 3


@on_both_clients
async def test_a_streamed_response_holds_its_slot_until_it_is_closed(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stream([sse("a"), sse("b")], gap=1))
    policy = a_policy(max_concurrency=1, queue_timeout=1)
    async with client_of(policy, http, vendor) as client:
        async with client.stream("GET", "/") as response:
            assert policy.state().in_use == 1
            with pytest.raises(QueueTimeout):
                await asyncio.create_task(client.get("/"))
            assert b"".join([chunk async for chunk in response.aiter_bytes()]).count(b"data") == 2
        assert policy.state().in_use == 0


@on_both_clients
async def test_a_response_that_is_dropped_unread_gives_its_slot_back(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", reply(200, b"x" * 10))
    policy = a_policy(max_concurrency=1)
    async with client_of(policy, http, vendor) as client:
        response = await client.send(client.build_request("GET", "/"), stream=True)
        assert policy.state().in_use == 1
        del response
        gc.collect()
        assert policy.state().in_use == 0


@on_both_clients
async def test_a_stream_that_is_dropped_unread_is_counted_down(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stream([sse("x")] * 3, gap=1))
    vendor.on("/plain", DRIPS)
    seen: list[Event] = []
    policy = a_policy(events=seen.append)
    async with client_of(policy, http, vendor) as client:
        for path in ("/", "/plain"):
            response = await client.send(client.build_request("GET", path), stream=True)
            assert policy.state().streams == (path == "/")
            del response
            gc.collect()
            await asyncio.sleep(0)
            assert policy.state().streams == 0
    assert [event.outcome for event in seen if isinstance(event, StreamEnded)] == ["disconnected"]
    assert ends(seen) == [("AttemptEnded", "ok"), ("CallEnded", "ok")] * 2


@on_both_clients
async def test_a_bad_moment_of_the_vendor_is_repeated(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", reply(503), drop(), reply(200, "ok"))
    async with client_of(a_policy(), http, vendor) as client:
        assert (await client.get("/")).text == "ok"
    assert len(vendor.traffic.requests) == 3


@on_both_clients
async def test_the_last_response_comes_back_as_it_is(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", reply(503, "down"))
    policy = a_policy(retry=Retry(attempts=2))
    async with client_of(policy, http, vendor) as client:
        response = await client.get("/")
    assert (response.status_code, response.text) == (503, "down")
    assert len(vendor.traffic.requests) == 2
    assert policy.state().in_use == 0


@on_both_clients
async def test_a_rate_limit_is_waited_out(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", rate_limited(3), reply(200))
    async with client_of(a_policy(), http, vendor) as client:
        assert (await client.post("/", json={})).status_code == 200
    first, second = vendor.traffic.requests
    assert 3 <= second.at - first.at < 4


@on_both_clients
async def test_a_date_that_is_none_costs_no_answer(http: ModuleType, vendor: Vendor) -> None:
    never = "Mon, 01 Jan 99999999999999 00:00:00 GMT"
    told = {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": never}
    policy = a_policy(rate=Rate(500, per=60))
    vendor.on("/", reply(429, headers={"retry-after": never, "date": never}), reply(200, {"paid": 1}, headers=told))
    async with client_of(policy, http, vendor) as client:
        assert (await client.get("/")).json() == {"paid": 1}
    assert policy.state().in_use == 0


@on_both_clients
async def test_a_post_that_may_have_arrived_is_not_sent_again(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", drop(), reply(200))
    async with client_of(a_policy(), http, vendor) as client:
        with pytest.raises(http.RemoteProtocolError):
            await client.post("/", json={})
    assert len(vendor.traffic.requests) == 1


@on_both_clients
async def test_a_post_with_an_added_key_is_sent_again_with_the_same_one(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", drop(), reply(200))
    async with client_of(a_policy(retry=Retry(repeat="keyed")), http, vendor) as client:
        await client.post("/", json={})
        await client.post("/", json={})
        await client.get("/")
    keys = [request.headers.get("idempotency-key") for request in vendor.traffic.requests]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] is None


@on_both_clients
async def test_a_request_that_is_sent_for_two_calls_has_two_keys(http: ModuleType, vendor: Vendor) -> None:
    policy = a_policy(retry=Retry(attempts=2, repeat="keyed"))
    vendor.on("/", reply(200))
    async with client_of(policy, http, vendor) as client:
        request = client.build_request("POST", "/")
        chosen = client.build_request("POST", "/", headers={"Idempotency-Key": "mine"})
        for sent in (request, request, chosen, chosen):
            await client.send(sent)
    first, second, *own = [received.headers["idempotency-key"] for received in vendor.traffic.requests]
    assert first != second
    assert own == ["mine", "mine"]


@on_both_clients
async def test_a_body_that_can_be_read_only_once_is_not_sent_again(http: ModuleType, vendor: Vendor) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"once"

    vendor.on("/", reply(503))
    async with client_of(a_policy(retry=Retry(repeat="always")), http, vendor) as client:
        assert (await client.put("/", content=body())).status_code == 503
        assert len(vendor.traffic.requests) == 1
        assert (await client.put("/", content=b"again")).status_code == 503
    assert len(vendor.traffic.requests) == 4


@on_both_clients
async def test_a_connection_that_was_refused_is_repeated_for_any_method(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", reply(200))
    async with client_of(a_policy(retry=Retry(base=0.5, attempts=9)), http, vendor) as client:
        async with vendor.down():
            call = asyncio.create_task(client.post("/", json={}))
            await asyncio.sleep(0.6)
        assert (await call).status_code == 200


@on_both_clients
async def test_a_silent_vendor_ends_in_both_families_of_timeouts(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stall())
    policy = a_policy(call_timeout=2, retry=Retry(attempts=1))
    async with client_of(policy, http, vendor) as client:
        began = asyncio.get_running_loop().time()
        with pytest.raises(CallTimeout) as raised:
            await client.get("/")
        assert asyncio.get_running_loop().time() - began == pytest.approx(2, abs=0.01)
        assert isinstance(raised.value, http.TimeoutException)
        assert str(raised.value.request.url) == f"{vendor.url}/"
        await asyncio.sleep(0.1)
        assert vendor.traffic.early_closes == 1
    assert policy.state().in_use == 0


@on_both_clients
async def test_the_deadline_of_the_caller_ends_a_request(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stall())
    async with client_of(a_policy(), http, vendor) as client:
        with pytest.raises(DeadlineExceeded):
            async with deadline(1):
                await client.get("/")
        with pytest.raises(http.TimeoutException):
            async with client_of(a_policy(call_timeout=1, deadline=1, queue_timeout=1), http, vendor) as short:
                await short.get("/")


@on_both_clients
async def test_a_body_that_drips_ends_with_the_call_timeout(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", DRIPS)
    seen: list[Event] = []
    policy = a_policy(call_timeout=3, events=seen.append)
    async with client_of(policy, http, vendor) as client:
        began = asyncio.get_running_loop().time()
        with pytest.raises(CallTimeout, match="did not end within the 3 s") as raised:
            await client.get("/")
        assert asyncio.get_running_loop().time() - began == pytest.approx(3, abs=0.01)
        assert isinstance(raised.value, http.ReadTimeout)
        assert isinstance(raised.value, StreamTimeout)
    assert policy.state().in_use == 0
    assert ends(seen) == [("AttemptEnded", "timeout"), ("CallEnded", "timeout")]


@on_both_clients
async def test_a_body_that_drips_ends_with_the_deadline(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", DRIPS)
    seen: list[Event] = []
    policy = a_policy(deadline=3, events=seen.append)
    async with client_of(policy, http, vendor) as client:
        for bound in (float("inf"), 2):
            with pytest.raises(DeadlineExceeded) as raised:
                async with deadline(bound):
                    await client.get("/")
            assert not isinstance(raised.value, CallTimeout)
    assert policy.state().in_use == 0
    assert ends(seen)[:2] == [("AttemptEnded", "timeout"), ("CallEnded", "timeout")]


@on_both_clients
async def test_a_body_that_breaks_off_ends_its_call_as_an_error(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", [Head(200, {"content-length": "10"}), Data(b"abc"), Cut()], reply(200, {"whole": True}))
    seen: list[Event] = []
    policy = a_policy(events=seen.append)
    async with client_of(policy, http, vendor) as client:
        with pytest.raises(http.RemoteProtocolError):
            await client.get("/")
        assert ends(seen) == [("AttemptEnded", "error"), ("CallEnded", "error")]
        assert len(vendor.traffic.requests) == 1
        await client.get("/")
    assert ends(seen)[2:] == [("AttemptEnded", "ok"), ("CallEnded", "ok")]


def ends(seen: list[Event]) -> list[tuple[str, str]]:
    return [(type(event).__name__, event.outcome) for event in seen if isinstance(event, AttemptEnded | CallEnded)]


@on_both_clients
async def test_a_stream_may_last_longer_than_a_call_but_not_fall_silent(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stream([sse("x")] * 20, gap=1, stall_after=12))
    policy = a_policy(call_timeout=5, stream_limits=StreamLimits(first=5, idle=2, total=60))
    seen: list[float] = []
    async with client_of(policy, http, vendor) as client:
        with pytest.raises(StreamTimeout) as raised:
            async with client.stream("GET", "/") as response:
                async for _ in response.aiter_bytes():
                    seen.append(asyncio.get_running_loop().time())  # noqa: PERF401 (kept when the stream breaks)
        assert asyncio.get_running_loop().time() - seen[-1] == pytest.approx(2, abs=0.1)
    assert len(seen) == 12
    assert raised.value.phase == "idle"
    assert policy.state().in_use == 0


@on_both_clients
async def test_a_stream_of_a_client_is_told_about_like_any_other(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stream([sse("x")] * 3, gap=1))
    events: list[Event] = []
    async with client_of(a_policy(events=events.append), http, vendor) as client:
        await client.get("/")
    told = [event for event in events if isinstance(event, StreamOpened | StreamFirstChunk | StreamEnded)]
    assert [type(event) for event in told] == [StreamOpened, StreamFirstChunk, StreamEnded]
    first, ended = told[1:]
    assert isinstance(first, StreamFirstChunk)
    assert isinstance(ended, StreamEnded)
    assert first.waited == pytest.approx(1, abs=0.1)
    assert (ended.outcome, ended.chunks, ended.active) == ("ok", 3, 0)


@on_both_clients
async def test_death_in_mid_stream_opens_the_circuit(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stream([sse("x")] * 9, drop_after=3))
    policy = a_policy(breaker=CircuitBreaker(minimum_calls=3), retry=Retry(repeat="always"))
    async with client_of(policy, http, vendor) as client:
        for _ in range(3):
            with pytest.raises(http.RemoteProtocolError):
                await client.get("/")
    assert len(vendor.traffic.requests) == 3
    assert policy.state().circuit == "open"


@on_both_clients
async def test_a_reader_who_leaves_says_nothing_about_the_vendor(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stream([sse("x")] * 9, gap=1))
    policy = a_policy(breaker=CircuitBreaker(minimum_calls=2))
    async with client_of(policy, http, vendor) as client:
        for _ in range(4):
            async with client.stream("GET", "/") as response:
                async for _ in response.aiter_bytes():
                    break
    assert policy.state().circuit == "closed"
    assert policy.state().in_use == 0


@on_both_clients
async def test_a_slot_comes_back_when_the_reader_is_cancelled(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", stream([sse("x")] * 9, gap=1))
    policy = a_policy()
    async with client_of(policy, http, vendor) as client:
        reading = asyncio.create_task(client.get("/"))
        await asyncio.sleep(2.5)
        reading.cancel()
        await asyncio.wait([reading])
        assert policy.state().in_use == 0
        await asyncio.sleep(0.1)
        assert vendor.traffic.in_flight == 0


ASKS_FOR_A_STREAM: list[dict[str, Any]] = [
    {"url": "/", "json": {"model": "m", "stream": True}},
    {"url": "/", "headers": {"Accept": "text/event-stream"}},
    {"url": "/v1/models/m:streamGenerateContent?alt=sse", "json": {}},
]
ASKS_FOR_NONE: list[dict[str, Any]] = [
    {"url": "/", "json": {"stream": False}},
    {"url": "/", "json": {"tools": [{"stream": True}]}},
    {"url": "/", "json": {"prompt": 'say "stream": true'}},
    {"url": "/", "content": b'"stream": true, but no JSON'},
    {"url": "/", "content": b'["stream"]'},
    {"url": "/", "json": ["stream", {"stream": True}]},
    {"url": "/"},
]


@on_both_clients
async def test_streams_that_a_client_asks_for_have_slots_of_their_own(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("*", stream([sse("x")] * 3, gap=1))
    policy = a_policy(max_concurrency=2, max_streams=1, queue_timeout=1)
    async with client_of(policy, http, vendor) as client:
        for request in ASKS_FOR_A_STREAM:
            async with client.stream("POST", **request):
                assert policy.state().in_use == 0
                with pytest.raises(QueueTimeout):
                    await asyncio.create_task(client.post("/", json={"stream": True}))
        for request in ASKS_FOR_NONE:
            async with client.stream("POST", **request):
                assert policy.state().in_use == 1


@on_both_clients
async def test_a_flood_of_streams_leaves_the_slots_of_calls_alone(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/stream", stream([sse("x")] * 50, gap=1))
    vendor.on("/call", reply(200, latency=1))
    policy = a_policy(max_concurrency=2, max_streams=2, queue_timeout=3)
    async with client_of(policy, http, vendor) as client:
        streams = [asyncio.create_task(client.post("/stream", json={"stream": True})) for _ in range(6)]
        await asyncio.sleep(1)
        assert policy.state().queued == 4
        calls = await asyncio.gather(*(client.get("/call") for _ in range(4)))
        assert [call.status_code for call in calls] == [200] * 4
        assert vendor.traffic.sockets <= 4
        for one in streams:
            one.cancel()
        await asyncio.wait(streams)
    assert (policy.state().in_use, policy.state().queued) == (0, 0)


@on_both_clients
async def test_a_body_that_is_a_stream_itself_is_sent_as_a_call(http: ModuleType, vendor: Vendor) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"stream": true}'

    vendor.on("/", reply(200))
    policy = a_policy(max_streams=1)
    async with client_of(policy, http, vendor) as client:
        assert (await client.post("/", content=body())).status_code == 200


@on_both_clients
async def test_the_pool_has_connections_for_calls_and_streams(http: ModuleType, vendor: Vendor) -> None:
    policy = a_policy(max_concurrency=3, max_streams=2)
    policy.transport(http.__name__, limits=http.Limits(max_connections=5))  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="set max_connections to 5 or more"):
        policy.transport(http.__name__, limits=http.Limits(max_connections=4))  # type: ignore[call-overload]


@on_both_clients
async def test_a_pool_smaller_than_the_slots_is_refused(http: ModuleType, vendor: Vendor) -> None:
    with pytest.raises(ValueError, match="set max_connections to 50 or more"):
        a_policy(max_concurrency=50).transport(http.__name__, limits=http.Limits(max_connections=49))  # type: ignore[call-overload]


@on_both_clients
async def test_the_policy_inside_itself_is_refused_before_it_waits_for_its_own_slot(
    http: ModuleType, vendor: Vendor
) -> None:
    policy = a_policy(max_concurrency=1)
    async with client_of(policy, http, vendor) as client:
        with pytest.raises(RuntimeError, match="not one inside the other"):
            await policy.call(client.get, "/")
        async with policy.slot():
            with pytest.raises(RuntimeError, match="not one inside the other"):
                await client.get("/")
    assert policy.state().in_use == 0


@on_both_clients
async def test_any_transport_can_be_the_inner_one(http: ModuleType, vendor: Vendor) -> None:
    events: list[Event] = []
    policy = a_policy(events=events.append)
    inner = http.MockTransport(lambda request: http.Response(200, json={"path": request.url.path}))
    async with http.AsyncClient(transport=policy.transport(http.__name__, inner=inner)) as client:  # type: ignore[call-overload]
        assert (await client.get("http://vendor/mock")).json() == {"path": "/mock"}
    assert {CallEnded, Released} <= {type(event) for event in events}
    assert policy.state().in_use == 0


async def cancelled_at_random(client: Any, chance: random.Random) -> None:
    """Start a request and cancel it after a random number of turns, some twice."""
    task = asyncio.create_task(client.get("/"))
    for turns in (60, 6)[: 2 if chance.random() < 0.25 else 1]:
        for _ in range(chance.randrange(turns)):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])


async def usable_slots(client: Any, vendor: Vendor, slots: int) -> int:
    """How many requests get through at once."""
    vendor.on("/", reply(200, latency=1))
    answers = await asyncio.gather(*(client.get("/") for _ in range(slots)), return_exceptions=True)
    return sum(1 for answer in answers if not isinstance(answer, BaseException))


@on_both_clients
async def test_every_slot_is_usable_after_a_cancellation_storm(http: ModuleType, vendor: Vendor) -> None:
    vendor.on("/", reply(200, "ok"))
    policy = a_policy(max_concurrency=10, max_queue=1000)
    chance = random.Random(1)
    async with client_of(policy, http, vendor) as client:
        for _ in range(15):
            await asyncio.gather(*(cancelled_at_random(client, chance) for _ in range(50)))
        assert (policy.state().in_use, policy.state().queued) == (0, 0)
        assert await usable_slots(client, vendor, 10) == 10
        assert vendor.traffic.open_sockets <= 10


@on_both_clients
async def test_every_slot_is_usable_after_an_outage(http: ModuleType, vendor: Vendor) -> None:
    policy = a_policy(
        max_concurrency=10, max_queue=1000, call_timeout=0.1, queue_timeout=1, breaker=CircuitBreaker(open_for=1)
    )
    async with client_of(policy, http, vendor) as client:

        async def caller() -> None:
            for _ in range(10):
                with pytest.raises(Exception):  # noqa: B017 (timeout, refusal or open circuit: all fail)
                    await client.get("/")
                await asyncio.sleep(0.1)

        with vendor.fault(stall()):
            await asyncio.gather(*(caller() for _ in range(30)))
        outage_requests = len(vendor.traffic.requests)
        assert outage_requests <= 1.2 * 30 * 10
        await asyncio.sleep(1)
        vendor.on("/", reply(200))
        for _ in range(3):
            await client.get("/")
        assert policy.state().circuit == "closed"
        assert (policy.state().in_use, policy.state().queued) == (0, 0)
