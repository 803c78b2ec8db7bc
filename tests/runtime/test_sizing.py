"""The sizing calculator: numbers that hold in the running policy, and refusals that say what to change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from safecall_lint.runtime import CallPolicy, QueueFull, Rate, Retry
from safecall_lint.runtime._sizing import ImpossibleSizing, Sizing, size
from safecall_lint.runtime.testing import virtual_time


def test_the_example_of_the_documentation() -> None:
    sized = size(Rate(60, per=60), latency=2, pods=6)
    assert sized.rate == Rate(10, per=60)
    assert (sized.max_concurrency, sized.max_connections, sized.max_queue) == (1, 1, 1)
    assert (sized.call_timeout, sized.queue_timeout, sized.deadline) == (4, 9, 26)


def test_slots_follow_rate_times_call_timeout() -> None:
    assert size(Rate(600, per=60), latency=2).max_concurrency == 40
    assert size(Rate(600, per=60), latency=2, call_timeout=30).max_concurrency == 300
    assert size(Rate(600, per=60), latency=2, call_timeout=30, pods=10).max_concurrency == 30
    assert size(Rate(3, per=0.3), latency=0.1, call_timeout=0.3).max_concurrency == 3


def test_the_queue_holds_what_is_served_within_its_timeout() -> None:
    assert size(Rate(600, per=60), latency=2).max_queue == 49
    assert size(Rate(600, per=60), latency=2, queue_timeout=0.5).max_queue == 4


@pytest.mark.parametrize(
    ("quota", "pods", "share"), [(Rate(60, per=60), 1, 60), (Rate(60, per=60), 7, 8), (Rate(6, per=1), 6, 1)]
)
def test_shares_are_whole_calls_and_never_more_than_the_quota(quota: Rate, pods: int, share: int) -> None:
    assert size(quota, latency=1, pods=pods).rate == Rate(share, per=quota.per)
    assert share * pods <= quota.limit


def test_the_text_shows_each_setting_with_its_reason_and_the_code() -> None:
    assert size(Rate(500, per=60), latency=8, pods=7).text().splitlines() == [
        "500 calls per 60 s, 8 s a call, pods: 7",
        "",
        "setting          each pod  because",
        "rate              71/60 s  500 over 7 pods, in whole calls",
        "call_timeout         16 s  a slow but good call takes 8 s",
        "max_concurrency        19  71/60 s x 16 s call timeout",
        "max_connections        19  one for each slot",
        "queue_timeout         5 s  the rate lets a call in every 0.845 s",
        "max_queue               5  what 71/60 s serves before 5 s",
        "deadline             42 s  queue and call, with their retries",
        "",
        "At most 133 calls are at the vendor at once, from all pods together.",
        "3 of 500 calls per 60 s stay unused: only a shared store divides the quota exactly.",
        "",
        (
            'CallPolicy("vendor", max_concurrency=19, max_queue=5, rate=Rate(71, per=60), queue_timeout=5, '
            "call_timeout=16, deadline=42)"
        ),
    ]


def test_the_code_in_the_text_builds_the_policy() -> None:
    sized = size(Rate(500, per=60), latency=8, pods=7)
    policy = eval(sized.text().splitlines()[-1], {"CallPolicy": CallPolicy, "Rate": Rate})  # noqa: S307
    assert (policy.max_concurrency, policy.max_queue, policy.rate) == (19, 5, Rate(71, per=60))


@pytest.mark.parametrize(
    ("quota", "settings", "teaches"),
    [
        (Rate(4, per=60), {"pods": 6}, "with one each they send 6. Share the quota in Redis, or run at most 4 pods"),
        (Rate(1000, per=60, counts="tokens"), {}, "Give the calls per window"),
        (Rate(60, per=60), {"deadline": float("inf")}, "deadline=inf is not finite and above 0"),
        (Rate(60, per=60), {"call_timeout": 1}, "cuts off good calls, which take 2 s. Raise it above 2 s"),
        (
            Rate(60, per=60),
            {"pods": 6, "queue_timeout": 6},
            "in every 6 s. Raise the queue timeout above that",
        ),
        (
            Rate(60, per=60),
            {"deadline": 6, "queue_timeout": 5},
            "leaves a call that queued for 5 s less than the 2 s that it takes",
        ),
        (Rate(60, per=60), {"deadline": 1}, "a deadline of 1 s leaves a call"),
        (Rate(60, per=60), {"deadline": 9, "call_timeout": 10}, "Lower the call timeout, or raise the deadline"),
        (Rate(600, per=60), {"max_concurrency": 10}, "Raise max_concurrency to 20 or more"),
        (
            Rate(60, per=60),
            {"latency": 86_401},
            "latency=86401 s is longer than a day, .* give seconds, not milliseconds",
        ),
        (Rate(60, per=60), {"queue_timeout": 1e9}, r"queue_timeout=1e\+09 s is longer than a day"),
        (
            Rate(1e9, per=60),
            {},
            "more than 1,000,000 a second, and no vendor allows that: give the calls and the seconds",
        ),
        (
            Rate(10_000, per=1),
            {"call_timeout": 60},
            "600000 slots .* 65,535 ports towards a vendor: run more pods, or lower",
        ),
        (Rate(600, per=60), {"max_connections": 10}, "10 slots carry 5 calls .* Raise max_connections to 20 or more"),
        (
            Rate(600, per=60),
            {"max_concurrency": 40, "max_connections": 30},
            "fail with PoolTimeout. Raise max_connections to 40",
        ),
    ],
)
def test_sets_that_cannot_work_are_refused_with_a_way_out(quota: Rate, settings: dict[str, Any], teaches: str) -> None:
    with pytest.raises(ImpossibleSizing, match=teaches):
        size(quota, **{"latency": 2, **settings})


def test_what_is_large_and_possible_is_not_refused() -> None:
    assert size(Rate(1_000_000, per=1), latency=0.01).max_concurrency == 20_000
    assert size(Rate(1, per=86_400), latency=86_400, call_timeout=86_400).max_concurrency == 1
    assert size(Rate(10_000, per=1), latency=2, call_timeout=60, pods=10).max_concurrency == 60_000


def test_what_nobody_gave_adapts_to_what_is_given() -> None:
    hurried = size(Rate(60, per=60), latency=2, deadline=6)
    assert (hurried.call_timeout, hurried.queue_timeout, hurried.deadline) == (4, 4, 6)
    assert size(Rate(60, per=60), latency=2, deadline=3.5).call_timeout == 3.5
    narrow = size(Rate(600, per=60), latency=2, max_connections=30)
    assert (narrow.max_concurrency, narrow.max_connections) == (30, 30)


def policy_of(sized: Sizing) -> CallPolicy:
    return CallPolicy(
        "vendor",
        max_concurrency=sized.max_concurrency,
        max_queue=sized.max_queue,
        rate=sized.rate,
        queue_timeout=sized.queue_timeout,
        call_timeout=sized.call_timeout,
        deadline=sized.deadline,
        retry=Retry(attempts=1),
    )


@pytest.mark.parametrize(("calls", "latency", "pods"), [(60, 2.0, 6), (500, 8.0, 7), (600, 2.0, 1), (100, 0.2, 10)])
@virtual_time
async def test_a_full_queue_of_the_sized_policy_is_served_in_time(calls: int, latency: float, pods: int) -> None:
    policy = policy_of(sized := size(Rate(calls, per=60), latency=latency, pods=pods))

    async def call() -> None:
        await asyncio.sleep(sized.latency)

    at_once = min(sized.max_concurrency, int(sized.rate.largest_burst))
    running = [asyncio.create_task(policy.call(call)) for _ in range(at_once)]
    await asyncio.sleep(0)
    queued = [asyncio.create_task(policy.call(call)) for _ in range(sized.max_queue)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await policy.call(call)
    await asyncio.gather(*running, *queued)
