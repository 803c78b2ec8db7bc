"""Every public setting: what it takes, what it refuses, and with which words."""

from __future__ import annotations

import asyncio
import enum
import functools
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from safecall_lint import runtime
from safecall_lint.runtime import (
    AdaptiveConcurrency,
    CallPolicy,
    CircuitBreaker,
    DeadlineExceeded,
    Rate,
    Retry,
    StreamLimits,
    deadline,
    merge,
    race,
    remaining,
    resumed,
    shielded,
    size,
    sse_events,
    testing,
)
from safecall_lint.runtime._options import CallOptions
from safecall_lint.runtime.testing import virtual_time

PAGE = Path(__file__).parents[2] / "docs" / "runtime" / "settings.md"

Outcome = type[Exception] | None
Takes = Mapping[str, Outcome]

NOTHING_FITS: Takes = dict.fromkeys(
    ("text", "none", "true", "nan", "infinity", "minus", "zero", "fraction", "object", "list"), TypeError
)
PROBES: Mapping[str, Any] = {
    "text": "5",
    "none": None,
    "true": True,
    "nan": float("nan"),
    "infinity": float("inf"),
    "minus": -1,
    "zero": 0,
    "fraction": 1.5,
    "object": object(),
    "list": [],
}


def but(takes: Takes, **changes: Outcome) -> Takes:
    return {**takes, **changes}


NUMBER = but(NOTHING_FITS, nan=ValueError, infinity=ValueError, minus=None, zero=None, fraction=None)
FROM_0 = but(NUMBER, minus=ValueError)
SECONDS = but(FROM_0, zero=ValueError)
SHARE = but(SECONDS, fraction=ValueError)
SHARE_OR_NONE = but(SHARE, zero=None)
WHOLE = but(NOTHING_FITS, minus=None, zero=None)
COUNT_FROM_0 = but(WHOLE, minus=ValueError)
COUNT = but(COUNT_FROM_0, zero=ValueError)
FLAG = but(NOTHING_FITS, true=None)
WORD = but(NOTHING_FITS, text=ValueError)
TEXT = but(NOTHING_FITS, text=None)
INSTANCE = NOTHING_FITS


def optional(takes: Takes) -> Takes:
    return but(takes, none=None)


@dataclass(frozen=True)
class Subject:
    """Something public with parameters.

    Attributes:
        call: takes one parameter by its name, and gets along without the others.
        takes: what each of its parameters takes.
    """

    call: Callable[..., object]
    takes: Mapping[str, Takes] = field(default_factory=dict[str, Takes])


POLICY = CallPolicy("v", rate=Rate(60, per=60, burst=60))


async def nothing() -> None:
    return None


async def settle_slot(tokens: Any) -> None:
    async with POLICY.slot() as slot:
        slot.settle(tokens)


async def heed(headers: Any) -> None:
    async with POLICY.slot() as slot:
        slot.heed(headers)


async def clean(**given: Any) -> None:
    done = asyncio.get_running_loop().create_future()
    done.set_result(None)
    await shielded(**{"cleanup": done, "timeout": 1, **given})


async def read_events(response: Any) -> None:
    async for _ in sse_events(response):
        pass


def a_loop(**given: Any) -> None:
    testing.VirtualTimeLoop(**given).close()


def run_for(**given: Any) -> None:
    main = nothing()
    try:
        testing.run(**{"main": main, **given})
    finally:
        main.close()


def the_race(**given: Any) -> race[Any]:
    stream = POLICY.stream(read_events, None)  # type: ignore[arg-type]
    return race(given["first"]) if "first" in given else race(stream, given["others"])


def with_defaults(call: Callable[..., object], **defaults: Any) -> Callable[..., object]:
    return lambda **given: call(**{**defaults, **given})


def by_position(call: Callable[..., object]) -> Callable[..., object]:
    return lambda **given: call(*given.values())


_TIMES = {"latency": FROM_0}
_BREAKS = {"gap": FROM_0, "drop_after": optional(COUNT_FROM_0), "stall_after": optional(COUNT_FROM_0)}
_HEADERS = optional(INSTANCE)
_LOOP = {"start": NUMBER, "settle": FROM_0, "patience": SECONDS}

SUBJECTS: Mapping[str, Subject] = {
    "CallPolicy": Subject(
        with_defaults(CallPolicy, name="v"),
        {
            "name": TEXT,
            "max_concurrency": COUNT,
            "max_streams": optional(COUNT),
            "max_queue": optional(COUNT_FROM_0),
            "queue_timeout": SECONDS,
            "rate": but(optional(INSTANCE), list=ValueError),
            "call_timeout": SECONDS,
            "deadline": SECONDS,
            "retry": INSTANCE,
            "breaker": optional(INSTANCE),
            "stream_limits": INSTANCE,
            "events": optional(INSTANCE),
            "clock": INSTANCE,
        },
    ),
    "CallPolicy.__call__": Subject(by_position(POLICY), {"function": INSTANCE}),
    "CallPolicy.call": Subject(by_position(POLICY.call), {"function": INSTANCE}),
    "CallPolicy.stream": Subject(by_position(POLICY.stream), {"opens": INSTANCE}),
    "CallPolicy.transport": Subject(POLICY.transport, {"library": WORD, "inner": optional(INSTANCE)}),
    "CallPolicy.client": Subject(POLICY.client, {"library": WORD}),
    "CallPolicy.options": Subject(
        POLICY.options, {"priority": INSTANCE, "tokens": FROM_0, "weight": COUNT, "repeatable": FLAG}
    ),
    "CallOptions.settle": Subject(POLICY.options().settle, {"tokens": FROM_0}),
    "Slot.settle": Subject(settle_slot, {"tokens": FROM_0}),
    "Slot.heed": Subject(heed, {"headers": INSTANCE}),
    "Rate": Subject(
        with_defaults(Rate, limit=60, per=60),
        {
            "limit": SECONDS,
            "per": SECONDS,
            "burst": optional(SECONDS),
            "counts": WORD,
            "heeds_vendor": FLAG,
        },
    ),
    "Retry": Subject(
        Retry,
        {
            "attempts": COUNT,
            "on": INSTANCE,
            "base": FROM_0,
            "cap": FROM_0,
            "repeat": WORD,
            "pause_all": FLAG,
            "adaptive": FLAG,
            "budget": optional(INSTANCE),
        },
    ),
    "RetryBudget": Subject(
        runtime.RetryBudget, {"ratio": SHARE_OR_NONE, "minimum_per_second": FROM_0, "window": SECONDS}
    ),
    "CircuitBreaker": Subject(
        CircuitBreaker,
        {
            "failure_rate": SHARE,
            "minimum_calls": COUNT,
            "window": SECONDS,
            "open_for": SECONDS,
            "probes": COUNT,
            "slow_call": optional(SECONDS),
            "slow_rate": SHARE,
        },
    ),
    "AdaptiveConcurrency": Subject(
        AdaptiveConcurrency, {"minimum": COUNT, "maximum": COUNT, "initial": COUNT, "tolerance": SECONDS}
    ),
    "StreamLimits": Subject(StreamLimits, dict.fromkeys(("first", "idle", "total"), SECONDS)),
    "LoopClock": Subject(runtime.LoopClock, {"chance": optional(INSTANCE)}),
    "LogEvents": Subject(runtime.LogEvents, {"logger": optional(INSTANCE)}),
    "StructlogEvents": Subject(runtime.StructlogEvents, {"logger": optional(INSTANCE)}),
    "PrometheusEvents": Subject(runtime.PrometheusEvents, {"registry": INSTANCE}),
    "OpenTelemetryEvents": Subject(runtime.OpenTelemetryEvents, {"meter": optional(INSTANCE)}),
    "SeveralEvents": Subject(by_position(runtime.SeveralEvents), {"sinks": INSTANCE}),
    "deadline": Subject(deadline, {"seconds": but(NUMBER, infinity=None)}),
    "shielded": Subject(clean, {"cleanup": INSTANCE, "timeout": SECONDS}),
    "merge": Subject(
        lambda streams=None, buffer=16: merge(*([] if streams is None else [streams]), buffer=buffer),
        {"streams": but(INSTANCE, none=None), "buffer": COUNT},
    ),
    "race": Subject(the_race, {"first": INSTANCE, "others": INSTANCE}),
    "resumed": Subject(
        with_defaults(resumed, policy=POLICY, opens=read_events),
        {"policy": INSTANCE, "opens": INSTANCE, "breaks": COUNT_FROM_0},
    ),
    "sse_events": Subject(read_events, {"response": INSTANCE}),
    "policy_error": Subject(runtime.policy_error, {"error": optional(INSTANCE)}),
    "size": Subject(
        with_defaults(size, quota=Rate(600, per=60), latency=1),
        {
            "quota": INSTANCE,
            "latency": SECONDS,
            "pods": COUNT,
            "call_timeout": optional(SECONDS),
            "queue_timeout": optional(SECONDS),
            "deadline": optional(SECONDS),
            "max_concurrency": optional(COUNT),
            "max_connections": optional(COUNT),
        },
    ),
    "copy_runtime": Subject(runtime.copy_runtime, {"target": but(NOTHING_FITS, text=ValueError)}),
    "Vendor": Subject(testing.Vendor, {"port": COUNT_FROM_0, "wall": INSTANCE}),
    "Vendor.on": Subject(
        lambda path="/", behaviours=(): testing.Vendor().on(path, behaviours or testing.stall()),
        {"path": TEXT, "behaviours": but(INSTANCE, none=None, zero=None, list=None)},
    ),
    "Vendor.fault": Subject(
        lambda behaviours=(), **given: testing.Vendor().fault(behaviours or testing.stall(), **given),
        {
            "behaviours": but(INSTANCE, none=None, zero=None, list=None),
            "share": SHARE_OR_NONE,
            "seed": WHOLE,
        },
    ),
    "Traffic.busiest": Subject(testing.Traffic().busiest, {"window": SECONDS}),
    "VirtualClock": Subject(testing.VirtualClock, {"wall": NUMBER, "seed": WHOLE}),
    "VirtualTimeLoop": Subject(a_loop, _LOOP),
    "run": Subject(run_for, {"main": INSTANCE, **_LOOP}),
    "virtual_time": Subject(testing.virtual_time, {"test": INSTANCE}),
    "Wait": Subject(testing.Wait, {"seconds": FROM_0}),
    "Head": Subject(testing.Head, {"status": COUNT, "headers": INSTANCE}),
    "Data": Subject(testing.Data, {"payload": INSTANCE}),
    "Cut": Subject(testing.Cut, {"reset": FLAG}),
    "reply": Subject(testing.reply, {"status": COUNT, "headers": _HEADERS, **_TIMES}),
    "stream": Subject(
        with_defaults(testing.stream, chunks=["a"]),
        {"chunks": but(INSTANCE, list=None), "content_type": TEXT, **_TIMES, **_BREAKS},
    ),
    "sse": Subject(
        with_defaults(testing.sse, data={}),
        {"event": optional(TEXT), "id": optional(TEXT), "retry": optional(COUNT_FROM_0)},
    ),
    "drop": Subject(testing.drop, {"reset": FLAG, **_TIMES}),
    "rate_limited": Subject(
        testing.rate_limited,
        {
            "retry_after": optional(but(FROM_0, text=None)),
            "ms": optional(FROM_0),
            "at": optional(NUMBER),
            "headers": _HEADERS,
            **_TIMES,
        },
    ),
    "answer": Subject(testing.answer, {"text": TEXT, **_TIMES, **_BREAKS}),
}

WE_MAKE_THEM = frozenset({"PolicyState", "Sizing", "Slot", "Stream", "Received", "Traffic"})
"""Nobody else constructs these; what they are asked is checked like the rest."""

NOT_FOR_USERS = frozenset({
    *("Retry.names", "Retry.may_repeat", "Retry.delay", "Traffic.begin", "Traffic.end"),
    *("Slot.leave", "Slot.end", "Slot.hold", "Slot.answered"),
    *("VirtualTimeLoop.run_in_executor", "VirtualTimeLoop.shutdown_default_executor", "LoopClock.sleep"),
    "CallOptions.note",
})  # fmt: skip
"""The layers call these, and asyncio."""

TAKES_ANYTHING = frozenset({"reply.body", "sse.data", "TRANSIENT.error"})


def public_parameters() -> set[str]:
    """Each parameter that a user can give, as `owner.name`."""
    found: set[str] = set()
    named = {name: getattr(module, name) for module in (runtime, testing) for name in module.__all__}
    for name, item in {**named, "CallOptions": CallOptions}.items():
        if inspect.isfunction(item):
            found |= parameters(name, item)
        elif inspect.isclass(item) and not issubclass(item, (BaseException, enum.Enum)):
            if not getattr(item, "_is_protocol", False):
                found |= parameters(name, item) if name not in {*WE_MAKE_THEM, "CallOptions"} else set()
                found |= methods(name, item)
    return found - TAKES_ANYTHING


def methods(owner: str, item: type) -> set[str]:
    found: set[str] = set()
    for name, method in vars(item).items():
        asked = not name.startswith("_") or (name == "__call__" and item is CallPolicy)
        if asked and inspect.isfunction(method) and f"{owner}.{name}" not in NOT_FOR_USERS:
            found |= {key for key in parameters(f"{owner}.{name}", method) if not key.endswith(".self")}
    return found


def parameters(owner: str, item: Callable[..., object]) -> set[str]:
    """The function's or the network library's own arguments, `args` and any keywords, are theirs to judge."""
    given = inspect.signature(item).parameters.values()
    ours = [one for one in given if one.kind is not one.VAR_KEYWORD and one.name != "args"]
    return {f"{owner}.{one.name}" for one in ours}


CASES = [
    pytest.param(subject, name, probe, outcome, id=f"{owner}-{name}-{probe}")
    for owner, subject in SUBJECTS.items()
    for name, takes in subject.takes.items()
    for probe, outcome in takes.items()
]


def attempt(subject: Subject, name: str, value: object) -> None:
    result = subject.call(**{name: value})
    if inspect.iscoroutine(result):
        testing.run(result)


def test_every_public_parameter_has_a_row() -> None:
    rows = {f"{owner}.{name}" for owner, subject in SUBJECTS.items() for name in subject.takes}
    assert rows == public_parameters()


@pytest.mark.parametrize(("subject", "name", "probe", "outcome"), CASES)
def test_a_setting_takes_what_works_and_refuses_the_rest_in_three_parts(
    subject: Subject, name: str, probe: str, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    value = PROBES[probe]
    if outcome is None:
        attempt(subject, name, value)
        return
    with pytest.raises((TypeError, ValueError)) as refused:
        attempt(subject, name, value)
    assert isinstance(refused.value, outcome)
    fits_the_house(str(refused.value))
    seen = re.escape(repr(value))
    assert re.search(rf"\b{name}(\[0\])?={seen} ", str(refused.value)), "names the setting and shows the value"


def fits_the_house(message: str) -> None:
    """The owner, the fact and its consequence, and one thing to do."""
    owner, said, to_do = message.split(": ", 1)[0], *message.split(": ", 1)[1].rsplit(": ", 1)
    assert owner
    assert re.search(r" (is|has|cannot|never|returned|names|holds) ", said)
    assert re.match(r"(give|make|say|leave|lower|use|pass|keep|put) ", to_do), to_do
    assert not re.search(r"\b(should|consider|please|must|invalid)\b", message)
    assert not message.endswith(".")


async def listens(event: object) -> None:
    """A sink that nobody would await."""


def returns_at_once() -> int:
    return 1


async def words() -> AsyncIterator[str]:
    yield "a"


async def cannot_be_read() -> int:
    return 1


class Limiter:
    async def acquire(self, amount: float = 1) -> None:
        """Let everything through."""


POLICY_MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"rate": 60}, TypeError, "v: rate=60 has no acquire(), so nothing says how many .*: give a Rate, such as Rate(60"),
    ({"rate": "60/60"}, TypeError, "rate='60/60' has no acquire()"),
    ({"rate": [60]}, TypeError, "rate[0]=60 is of type int"),
    ({"rate": Limiter}, TypeError, "is a class and not an instance"),
    ({"events": 5}, TypeError, "events=5 cannot be called, so nobody is told"),
    ({"events": listens}, TypeError, "is a coroutine function, which nobody awaits"),
    ({"events": runtime.LogEvents}, TypeError, "is a class, so nobody is told what happens: give a function"),
    ({"clock": runtime.LoopClock}, TypeError, "is a class and not an instance"),
    ({"max_queue": 1.5}, TypeError, "max_queue=1.5 is of type float, .*: give a whole number from 0"),
    ({"max_concurrency": True}, TypeError, "max_concurrency=True is of type bool"),
    ({"max_concurrency": "5"}, TypeError, "max_concurrency='5' is of type str, .*: give a whole number from 1"),
    ({"retry": 3}, TypeError, "retry=3 is of type int, .*: give Retry(attempts=3), or Retry(attempts=1) for none"),
    ({"breaker": True}, TypeError, "breaker=True is of type bool, .*: give CircuitBreaker(), or None"),
    ({"queue_timeout": None}, TypeError, "queue_timeout=None .*: give a number of seconds above 0, such as 5"),
    ({"name": ""}, ValueError, "CallPolicy: name='' is empty"),
]


@pytest.mark.parametrize(("settings", "kind", "says"), POLICY_MISTAKES)
def test_a_mistake_at_the_policy_is_answered_with_the_way_out(
    settings: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=as_pattern(says)):
        CallPolicy(**{"name": "v", **settings})


MISTAKES: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: Rate(0.5, per=1), ValueError, "limit=0.5 is below 1, .*: say the same as Rate(1, per=2)"),
    (lambda: Rate(10, per=1, burst=11), ValueError, "burst=11 is above the limit of 10, .*: lower burst"),
    (lambda: Rate(10, per=1, counts="foo"), ValueError, "counts='foo' is none of 'calls', 'tokens'"),  # type: ignore[arg-type]
    (lambda: Retry(repeat="sometimes"), ValueError, "none of 'safe', 'keyed', 'always'"),  # type: ignore[arg-type]
    (lambda: Retry(on=(int,)), TypeError, "on=<class 'int'> is no Exception"),  # type: ignore[arg-type]
    (lambda: Retry(on=(OSError, asyncio.CancelledError)), TypeError, "is no Exception"),  # type: ignore[arg-type]
    (lambda: Retry(on=KeyboardInterrupt), TypeError, "is no Exception"),  # type: ignore[arg-type]
    (lambda: Retry(on=()), ValueError, "names nothing, .*: give attempts=1"),
    (lambda: Retry(on=listens), TypeError, "is a coroutine function, which nobody awaits"),  # type: ignore[arg-type]
    (lambda: Retry(budget=0.2), TypeError, "budget=0.2 is of type float, .*: give RetryBudget(ratio=0.2)"),  # type: ignore[arg-type]
    (lambda: Retry(attempts=0), ValueError, "attempts=0 is not at least 1"),
    (lambda: CircuitBreaker(slow_call="1"), TypeError, "slow_call='1' is of type str"),  # type: ignore[arg-type]
    (lambda: CircuitBreaker(failure_rate=50), ValueError, "above 0 and at most 1, .* 0.5 for 50 %"),
    (lambda: AdaptiveConcurrency(tolerance=0.5), ValueError, "tolerance=0.5 is not finite and at least 1"),
    (lambda: POLICY.options(priority="high"), TypeError, "priority='high' is of type str, .*: give Priority.HIGH"),  # type: ignore[arg-type]
    (lambda: POLICY.options(tokens=float("nan")), ValueError, "tokens=nan is not finite and at least 0"),
    (lambda: POLICY.options(weight=51), ValueError, "weight=51 is above max_concurrency=50, .*: .* from 1 to 50"),
    (lambda: deadline(float("nan")), ValueError, "deadline: seconds=nan is not a number, so it never comes"),
    (lambda: POLICY(returns_at_once), TypeError, "is no coroutine function, .*: make it an `async def`"),  # type: ignore[type-var]
    (lambda: testing.virtual_time(returns_at_once), TypeError, "make it an `async def`"),  # type: ignore[arg-type]
    (lambda: POLICY.client(limits=5), TypeError, "limits=5 is of type int, .*: give httpx.Limits"),
    (lambda: POLICY(Limiter), TypeError, "is no coroutine function"),  # type: ignore[type-var]
    (lambda: POLICY.call(words()), TypeError, "cannot be called: give the function itself and its arguments"),  # type: ignore[arg-type]
    (lambda: POLICY.stream(words()), TypeError, "cannot be called: give the function itself and its arguments"),  # type: ignore[arg-type]
    (lambda: testing.stream("abc"), TypeError, "is one text, sent letter by letter: give a list of pieces"),
    (lambda: testing.stream(["a"], drop_after=1, stall_after=1), ValueError, "stall_after=1 never comes"),
    (lambda: testing.stream([1]), TypeError, "chunks[0]=1 is of type int"),  # type: ignore[list-item]
    (lambda: testing.sse({}, event="a\nb"), ValueError, "has a line break"),
    (lambda: testing.reply(99), ValueError, "status=99 is not at least 200 and at most 599"),
    (lambda: testing.reply(headers={"retry-after": 2}), TypeError, "is of type int, so no header holds it"),  # type: ignore[dict-item]
    (lambda: testing.Vendor(port=65536), ValueError, "port=65536 is not at least 0 and at most 65535"),
    (lambda: testing.Vendor().on("/", testing.Wait(1)), TypeError, "is no behaviour"),  # type: ignore[arg-type]
    (lambda: testing.Vendor().on("/", [1]), TypeError, "behaviours[0][0]=1 is of type int"),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("make", "kind", "says"), MISTAKES)
def test_a_mistake_is_answered_with_the_way_out(make: Callable[[], object], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=as_pattern(says)) as refused:
        make()
    fits_the_house(str(refused.value))


def as_pattern(says: str) -> str:
    return ".*".join(re.escape(part) for part in says.split(".*"))


def times_of(policy: CallPolicy) -> tuple[float, float, float]:
    return policy.queue_timeout, policy.call_timeout, policy.deadline


@pytest.mark.parametrize(
    ("stated", "times"),
    [
        ({}, (5, 30, 60)),
        ({"deadline": 20}, (5, 20, 20)),
        ({"deadline": 3}, (3, 3, 3)),
        ({"call_timeout": 90}, (5, 90, 95)),
        ({"queue_timeout": 70}, (70, 30, 100)),
        ({"queue_timeout": 8, "deadline": 9}, (8, 9, 9)),
        ({"breaker": CircuitBreaker(slow_call=10)}, (5, 30, 60)),
        ({"breaker": CircuitBreaker(slow_call=40)}, (5, 80, 85)),
        ({"breaker": CircuitBreaker(slow_call=40), "deadline": 50}, (5, 50, 50)),
        ({"breaker": None, "deadline": 2}, (2, 2, 2)),
        ({"stream_limits": StreamLimits(first=100)}, (5, 30, 105)),
    ],
)
def test_a_default_gives_way_to_what_is_stated(stated: dict[str, Any], times: tuple[float, float, float]) -> None:
    policy = CallPolicy("v", **stated)
    assert times_of(policy) == times
    assert times_of(replace(policy, name="again")) == times
    assert times_of(
        replace(policy, queue_timeout=1, call_timeout=2, deadline=4, breaker=None, stream_limits=StreamLimits())
    ) == (1, 2, 4)


def test_a_default_that_gave_way_comes_back_with_the_room() -> None:
    hurried = CallPolicy("v", deadline=3)
    assert times_of(replace(hurried, deadline=60)) == (5, 30, 60)


@virtual_time
async def test_an_adapted_default_is_what_ends_the_attempt() -> None:
    with pytest.raises(DeadlineExceeded):
        await CallPolicy("v", deadline=5).call(asyncio.sleep, 60)
    assert asyncio.get_running_loop().time() == 5


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        (
            {"call_timeout": 90, "deadline": 60},
            "v: call_timeout=90 can never be reached: the deadline of 60 s ends the call first. Lower call_timeout",
        ),
        ({"queue_timeout": 61, "deadline": 60}, "queue_timeout=61 can never be reached: the deadline of 60 s"),
        ({"stream_limits": StreamLimits(first=61), "deadline": 60}, "stream_limits.first=61 can never be reached"),
        (
            {"breaker": CircuitBreaker(slow_call=40), "call_timeout": 30},
            "breaker.slow_call=40 can never be reached: the call timeout of 30 s ends the call first. Lower",
        ),
        ({"breaker": CircuitBreaker(slow_call=40), "deadline": 40}, "the deadline of 40 s ends the call first"),
    ],
)
def test_two_stated_settings_can_contradict_each_other(stated: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        CallPolicy("v", **stated)


@pytest.mark.parametrize(
    ("stated", "limits"),
    [
        ({}, (30, 30, 600)),
        ({"total": 10}, (10, 10, 10)),
        ({"first": 5}, (5, 30, 600)),
        ({"idle": 700}, (30, 700, 700)),
        ({"first": 20, "total": 25}, (20, 25, 25)),
    ],
)
def test_the_limits_of_a_stream_give_way_too(stated: dict[str, float], limits: tuple[float, float, float]) -> None:
    made = StreamLimits(**stated)
    assert (made.first, made.idle, made.total) == limits
    with pytest.raises(ValueError, match="idle=9 can never be reached: the total of 8 s ends the stream first"):
        StreamLimits(idle=9, total=8)


@pytest.mark.parametrize(
    ("stated", "bounds"),
    [
        ({}, (1, 20, 200)),
        ({"maximum": 5}, (1, 5, 5)),
        ({"minimum": 30}, (30, 30, 200)),
        ({"initial": 300}, (1, 300, 300)),
        ({"minimum": 300}, (300, 300, 300)),
    ],
)
def test_the_bounds_of_moving_slots_give_way_too(stated: dict[str, int], bounds: tuple[int, int, int]) -> None:
    made = AdaptiveConcurrency(**stated)
    assert (made.minimum, made.initial, made.maximum) == bounds
    assert CallPolicy("v", max_concurrency=made).max_concurrency == made
    for disorder in ({"initial": 5, "maximum": 4}, {"minimum": 6, "initial": 5}, {"minimum": 9, "maximum": 8}):
        with pytest.raises(ValueError, match="keep to minimum <= initial <= maximum"):
            AdaptiveConcurrency(**disorder)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


class Client:
    """As redis-py and aiohttp have it: plain methods that return an awaitable."""

    def get(self) -> Awaitable[None]:
        return nothing()

    async def __call__(self) -> None:
        return None


@pytest.mark.parametrize(
    "function", [nothing, logged(nothing), functools.partial(asyncio.sleep, 0), Client().get, Client(), AsyncMock()]
)
def test_what_returns_an_awaitable_may_be_decorated(function: Callable[..., Awaitable[object]]) -> None:
    testing.run(POLICY(function)())


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (returns_at_once, "returned a int, which nobody can await: pass a coroutine function"),
        (words, "use policy.stream()"),
    ],
)
@virtual_time
async def test_a_call_that_gives_nothing_to_await_says_what_to_pass(function: Any, says: str) -> None:
    with pytest.raises(TypeError, match=re.escape(says)):
        await POLICY.call(function)
    assert POLICY.state().in_use == 0


@virtual_time
async def test_an_error_of_the_function_itself_stays_what_it_is() -> None:
    async def fails() -> None:
        raise TypeError("its own")

    with pytest.raises(TypeError, match="its own"):
        await POLICY.call(fails)
    with pytest.raises(TypeError, match="positional argument"):
        await POLICY.call(nothing, 1)  # type: ignore[call-arg]


@virtual_time
async def test_a_stream_of_what_cannot_be_read_says_what_to_pass() -> None:
    with pytest.raises(TypeError, match=r"what was opened is a int, .*: pass an async generator"):
        async with POLICY.stream(cannot_be_read):  # type: ignore[arg-type]
            pass
    assert POLICY.state().in_use == 0


@virtual_time
async def test_a_deadline_may_come_from_what_remains() -> None:
    async with deadline(remaining()):
        await asyncio.sleep(5)
    with pytest.raises(DeadlineExceeded):
        async with deadline(-1):
            await asyncio.sleep(5)
    assert asyncio.get_running_loop().time() == 5


@virtual_time
async def test_a_thousand_attempts_have_a_wait() -> None:
    policy = CallPolicy("v", retry=Retry(attempts=1100, cap=0, repeat="always", budget=None), breaker=None)
    attempts: list[int] = []

    async def fails() -> None:
        attempts.append(1)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await policy.call(fails)
    assert len(attempts) == 1100


def test_every_setting_is_described_on_its_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    asked = {key for key in public_parameters() if key.partition(".")[0] not in {*testing.__all__, "answer"}}
    missing = {key for key in asked if not re.search(rf"`{re.escape(key.rpartition('.')[2])}`", page)}
    assert missing == set()


def test_the_messages_on_the_page_are_those_that_are_raised(capsys: pytest.CaptureFixture[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    code, shown = re.findall(r"^```python\n(.*?)^```\n\n((?:    [^\n]+\n)+)", page, re.DOTALL | re.MULTILINE)[0]
    exec(code, {})  # noqa: S102 (our own documentation)
    assert capsys.readouterr().out == re.sub(r"^    ", "", shown, flags=re.MULTILINE)
