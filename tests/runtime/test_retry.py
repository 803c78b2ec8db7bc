"""Retries: which failures, how often, after how long, and when never."""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
from collections.abc import Callable
from types import ModuleType

import anthropic
import httpx
import httpx2
import openai
import pytest

from safecall_lint.runtime import (
    TRANSIENT,
    CallPolicy,
    CallRejected,
    CallTimeout,
    DeadlineExceeded,
    Event,
    QueueTimeout,
    Retry,
    RetryBudget,
    deadline,
)
from safecall_lint.runtime._events import RetryDropped, RetryScheduled
from safecall_lint.runtime._failure import of_error
from safecall_lint.runtime.testing import VirtualClock, virtual_time

TWINS = pytest.mark.parametrize("library", [httpx, httpx2])


class Sent:
    """A call that fails with `errors` in turn and then succeeds, and notes when it was made."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.times: list[float] = []

    async def __call__(self) -> str:
        self.times.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def a_policy(retry: Retry | None = None, **settings: object) -> tuple[CallPolicy, list[Event]]:
    events: list[Event] = []
    retry = retry or Retry(repeat="always")
    policy = CallPolicy("v", retry=retry, breaker=None, clock=VirtualClock(), events=events.append, **settings)  # type: ignore[arg-type]
    return policy, events


def http_error(
    library: ModuleType, kind: str, method: str = "GET", headers: dict[str, str] | None = None
) -> httpx.HTTPError:
    request = library.Request(method, "http://vendor", headers=headers)
    error: httpx.HTTPError = getattr(library, kind)("lost", request=request)
    return error


def status_error(
    library: ModuleType,
    status: int,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    request_headers: dict[str, str] | None = None,
) -> httpx.HTTPStatusError:
    request = library.Request(method, "http://vendor", headers=request_headers)
    response = library.Response(status, headers=headers, request=request)
    error: httpx.HTTPStatusError = library.HTTPStatusError("", request=request, response=response)
    return error


@TWINS
@pytest.mark.parametrize("kind", ["ConnectError", "ConnectTimeout", "ReadTimeout", "ReadError", "RemoteProtocolError"])
def test_a_lost_connection_is_repeated(library: ModuleType, kind: str) -> None:
    @virtual_time
    async def scenario() -> None:
        policy, _ = a_policy(Retry())
        sent = Sent(http_error(library, kind), http_error(library, kind))
        assert await policy.call(sent) == "done"
        assert len(sent.times) == 3

    scenario()


@TWINS
@pytest.mark.parametrize(
    ("status", "attempts"),
    [(400, 1), (401, 1), (404, 1), (408, 2), (409, 2), (422, 1), (429, 2), (500, 2), (501, 1), (503, 2), (529, 2)],
)
def test_a_status_is_repeated_where_another_answer_may_come(library: ModuleType, status: int, attempts: int) -> None:
    @virtual_time
    async def scenario() -> None:
        policy, _ = a_policy(Retry(attempts=2))
        sent = Sent(*[status_error(library, status)] * 2)
        with pytest.raises(library.HTTPStatusError):
            await policy.call(sent)
        assert len(sent.times) == attempts

    scenario()


@TWINS
def test_a_pool_timeout_is_our_own_overload_and_not_repeated(library: ModuleType) -> None:
    @virtual_time
    async def scenario() -> None:
        policy, _ = a_policy()
        sent = Sent(http_error(library, "PoolTimeout"))
        with pytest.raises(library.PoolTimeout):
            await policy.call(sent)
        assert len(sent.times) == 1

    scenario()


@virtual_time
async def test_the_last_error_is_raised_as_it_was() -> None:
    policy, events = a_policy()
    errors = [ConnectionError(str(number)) for number in range(3)]
    with pytest.raises(ConnectionError) as raised:
        await policy.call(Sent(*errors))
    assert raised.value is errors[-1]
    assert [event.reason for event in events if isinstance(event, RetryDropped)] == ["attempts"]


@virtual_time
async def test_a_mistake_in_the_call_is_not_repeated() -> None:
    policy, _ = a_policy()
    sent = Sent(KeyError("choices"))
    with pytest.raises(KeyError):
        await policy.call(sent)
    assert len(sent.times) == 1


@virtual_time
async def test_a_refusal_is_never_repeated_whatever_on_says() -> None:
    policy, _ = a_policy(Retry(on=Exception, repeat="always"))
    for refusal in (QueueTimeout("full"), DeadlineExceeded("late")):
        sent = Sent(refusal)
        with pytest.raises(type(refusal)):
            await policy.call(sent)
        assert len(sent.times) == 1


@virtual_time
async def test_a_refusal_that_an_sdk_has_wrapped_is_never_repeated() -> None:
    policy, _ = a_policy()
    request = httpx2.Request("POST", "http://vendor")

    async def ask() -> None:
        sent.append(1)
        try:
            raise QueueTimeout("full")
        except QueueTimeout as refusal:
            raise openai.APIConnectionError(request=request) from refusal  # type: ignore[arg-type]

    sent: list[int] = []
    with pytest.raises(openai.APIConnectionError):
        await policy.call(ask)
    assert len(sent) == 1


@pytest.mark.parametrize("sdk", [openai, anthropic])
def test_the_errors_of_an_sdk_are_understood(sdk: ModuleType) -> None:
    request = httpx2.Request("POST", "http://vendor", headers={"Idempotency-Key": "1"})
    overloaded = sdk.InternalServerError("", response=httpx2.Response(529, request=request), body=None)
    bad = sdk.BadRequestError("", response=httpx2.Response(400, request=request), body=None)
    assert TRANSIENT(sdk.APITimeoutError(request=request))
    assert TRANSIENT(sdk.APIConnectionError(request=request))
    assert TRANSIENT(overloaded)
    assert not TRANSIENT(bad)


@virtual_time
async def test_cancellation_is_never_repeated() -> None:
    policy, _ = a_policy(Retry(on=Exception, repeat="always"))
    sent = Sent(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await policy.call(sent)
    assert len(sent.times) == 1


@virtual_time
async def test_each_attempt_has_its_own_call_timeout() -> None:
    policy, _ = a_policy(call_timeout=2)
    attempts = 0

    async def hang() -> None:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(100)

    with pytest.raises(CallTimeout, match="no answer within the call timeout of 2 s"):
        await policy.call(hang)
    assert attempts == 3


@virtual_time
async def test_no_slot_is_held_during_the_pause() -> None:
    policy, _ = a_policy(Retry(base=10, cap=10, repeat="always"), max_concurrency=1)
    failing = asyncio.ensure_future(policy.call(Sent(ConnectionError(), ConnectionError())))
    await asyncio.sleep(0.001)
    assert policy.state().in_use == 0
    await policy.call(asyncio.sleep, 0)
    assert await failing == "done"


def test_the_pause_is_drawn_from_zero_to_the_doubling_bound() -> None:
    retry = Retry(base=0.5, cap=3)
    failure = of_error(ConnectionError())
    chance = random.Random(1)
    for attempt, bound in ((1, 0.5), (2, 1.0), (3, 2.0), (4, 3.0), (9, 3.0)):
        pauses = [retry.delay(failure, attempt, chance.random(), 0) for _ in range(2000)]
        assert 0 <= min(pauses) < 0.05 * bound
        assert 0.95 * bound < max(pauses) <= bound
        assert statistics.mean(pauses) == pytest.approx(bound / 2, rel=0.05)


@virtual_time
async def test_a_retry_after_is_waited_out_and_not_met_by_all_at_once() -> None:
    times = []
    for seed in range(5):
        policy = CallPolicy("v", retry=Retry(base=0.5), breaker=None, clock=VirtualClock(seed=seed))
        sent = Sent(status_error(httpx, 429, headers={"Retry-After": "7"}))
        await policy.call(sent)
        times.append(sent.times[1] - sent.times[0])
    assert all(7 <= waited <= 7.5 for waited in times)
    assert len(set(times)) == 5


@virtual_time
async def test_a_retry_after_beyond_the_deadline_fails_now() -> None:
    policy, events = a_policy(deadline=30, call_timeout=30)
    error = status_error(httpx, 429, headers={"Retry-After": "31"})
    with pytest.raises(httpx.HTTPStatusError):
        await policy.call(Sent(error))
    assert asyncio.get_running_loop().time() == 0
    assert [event.reason for event in events if isinstance(event, RetryDropped)] == ["deadline"]


@virtual_time
async def test_the_last_attempt_has_only_what_is_left_of_the_deadline() -> None:
    policy, _ = a_policy(Retry(base=0, repeat="always"), call_timeout=4, deadline=10, queue_timeout=1)
    with pytest.raises(DeadlineExceeded):
        await policy.call(asyncio.sleep, 100)
    assert asyncio.get_running_loop().time() == pytest.approx(10)


@virtual_time
async def test_an_outer_deadline_bounds_the_whole_call() -> None:
    policy, _ = a_policy(call_timeout=30)
    with pytest.raises(DeadlineExceeded):
        async with deadline(2):
            await policy.call(asyncio.sleep, 100)
    assert asyncio.get_running_loop().time() == 2


@TWINS
@pytest.mark.parametrize(
    ("make", "attempts"),
    [
        (lambda lib: http_error(lib, "ReadTimeout", "POST"), 1),
        (lambda lib: http_error(lib, "ReadTimeout", "POST", {"Idempotency-Key": "1"}), 2),
        (lambda lib: http_error(lib, "ReadTimeout", "PATCH"), 1),
        (lambda lib: http_error(lib, "ReadTimeout", "PUT"), 2),
        (lambda lib: http_error(lib, "ConnectError", "POST"), 2),
        (lambda lib: http_error(lib, "ConnectTimeout", "POST"), 2),
        (lambda lib: status_error(lib, 500, "POST"), 1),
        (lambda lib: status_error(lib, 429, "POST"), 2),
        (lambda lib: status_error(lib, 503, "POST"), 1),
        (lambda lib: status_error(lib, 503, "POST", {"Retry-After": "1"}), 2),
        (lambda lib: status_error(lib, 500, "POST", None, {"idempotency-key": "1"}), 2),
    ],
)
def test_a_post_is_repeated_only_where_it_cannot_happen_twice(
    library: ModuleType, make: Callable[[ModuleType], Exception], attempts: int
) -> None:
    @virtual_time
    async def scenario() -> None:
        policy, _ = a_policy(Retry(attempts=2))
        sent = Sent(make(library))
        with contextlib.suppress(library.HTTPError):
            await policy.call(sent)
        assert len(sent.times) == attempts

    scenario()


@virtual_time
async def test_a_call_that_nothing_is_known_of_is_repeated_only_on_your_word() -> None:
    policy, events = a_policy(Retry(), call_timeout=1)
    with pytest.raises(CallTimeout):
        await policy.call(asyncio.sleep, 2)
    assert [event.reason for event in events if isinstance(event, RetryDropped)] == ["not_repeatable"]
    with policy.options(repeatable=True), pytest.raises(CallTimeout):
        await policy.call(asyncio.sleep, 2)
    assert sum(isinstance(event, RetryScheduled) for event in events) == 2


@virtual_time
async def test_a_returned_error_response_is_judged_like_a_raised_one() -> None:
    policy, _ = a_policy(Retry())
    request = httpx.Request("GET", "http://vendor")
    answers = [httpx.Response(503, request=request), httpx.Response(200, request=request)]

    async def get() -> httpx.Response:
        return answers.pop(0)

    assert (await policy.call(get)).status_code == 200


@virtual_time
async def test_an_outage_is_not_answered_with_a_multiple_of_the_traffic() -> None:
    policy, _ = a_policy(
        Retry(attempts=5, repeat="always", budget=RetryBudget(ratio=0.2, minimum_per_second=0)),
        max_concurrency=1000,
        max_queue=5000,
    )
    sent = 0

    async def refuse() -> None:
        nonlocal sent
        sent += 1
        raise ConnectionError

    async def user() -> None:
        with pytest.raises(ConnectionError):
            await policy.call(refuse)

    users = []
    for _ in range(600):
        users.append(asyncio.ensure_future(user()))
        await asyncio.sleep(0.05)
    await asyncio.gather(*users)
    assert sent / 600 <= 1.2


@virtual_time
async def test_a_quiet_service_may_retry_all_the_same() -> None:
    policy, _ = a_policy()
    sent = Sent(ConnectionError())
    assert await policy.call(sent) == "done"
    assert len(sent.times) == 2


class MyError(Exception):
    """Raised by a client of the user's own."""


@pytest.mark.parametrize(
    "on", [MyError, (MyError, KeyError), lambda error: isinstance(error, MyError), (TRANSIENT, MyError)]
)
def test_on_takes_types_and_predicates(on: object) -> None:
    @virtual_time
    async def scenario() -> None:
        policy, _ = a_policy(Retry(on=on, repeat="always"))  # type: ignore[arg-type]
        assert await policy.call(Sent(MyError())) == "done"
        with pytest.raises(IndexError):
            await policy.call(Sent(IndexError()))

    scenario()


@TWINS
def test_on_everything_still_leaves_a_bad_request_alone(library: ModuleType) -> None:
    @virtual_time
    async def scenario() -> None:
        policy, _ = a_policy(Retry(on=Exception, repeat="always"))
        sent = Sent(status_error(library, 400))
        with pytest.raises(library.HTTPStatusError):
            await policy.call(sent)
        assert len(sent.times) == 1

    scenario()


def test_refusals_have_one_base() -> None:
    assert issubclass(QueueTimeout, CallRejected)
    assert not issubclass(DeadlineExceeded, CallRejected)
