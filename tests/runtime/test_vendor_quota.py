"""What a vendor says is left of its quota: every dialect is read, and our own rate stays under both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safecall_lint.runtime import CallPolicy, Rate, RateLimited, Retry
from safecall_lint.runtime._allowance import Allowance
from safecall_lint.runtime._headers import quota_left
from safecall_lint.runtime._quota import Charge, Quota
from safecall_lint.runtime.testing import Received, Step, Vendor, VirtualClock, rate_limited, reply, virtual_time
from safecall_lint.runtime.testing._clock import NEW_YEAR_2026

TWINS = pytest.mark.parametrize("http", [httpx, httpx2], ids=["httpx", "httpx2"])

DIALECTS: dict[str, tuple[dict[str, str], list[tuple[str | None, float, float | None, float | None, bool]]]] = {
    "openai": (
        {
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-reset-requests": "120ms",
            "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-tokens": "29000",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        [("calls", 499, 500, 0.12, True), ("tokens", 29000, 30000, 360, True)],
    ),
    "anthropic": (
        {
            "Anthropic-RateLimit-Requests-Limit": "50",
            "Anthropic-RateLimit-Requests-Remaining": "3",
            "Anthropic-RateLimit-Requests-Reset": "2026-01-01T00:00:09Z",
            "anthropic-ratelimit-input-tokens-remaining": "0",
        },
        [("calls", 3, 50, 9, True), (None, 0, None, None, True)],
    ),
    "azure": (
        {"x-ratelimit-remaining-requests": "19", "x-ratelimit-remaining-tokens": "19913"},
        [("calls", 19, None, None, False), ("tokens", 19913, None, None, False)],
    ),
    "mistral": (
        {
            "x-ratelimit-limit-req-minute": "720",
            "x-ratelimit-remaining-req-minute": "717",
            "x-ratelimit-remaining-tokens-minute": "4999911",
            "x-ratelimit-tokens-query-cost": "52",
        },
        [("calls", 717, 720, 60, False), ("tokens", 4999911, None, 60, False)],
    ),
    "mistral, older": (
        {"ratelimitbysize-limit": "500000", "ratelimitbysize-remaining": "499900", "ratelimitbysize-reset": "28"},
        [("tokens", 499900, 500000, 28, False)],
    ),
    "github": (
        {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "59", "x-ratelimit-reset": f"{NEW_YEAR_2026 + 7:.0f}"},
        [("calls", 59, 60, 7, False)],
    ),
    "epoch in milliseconds": (
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{1000 * (NEW_YEAR_2026 + 7):.0f}"},
        [("calls", 0, None, 7, False)],
    ),
    "their clock, not ours": (
        {
            "x-ratelimit-remaining": "1",
            "x-ratelimit-reset": f"{NEW_YEAR_2026 + 107:.0f}",
            "date": "Thu, 01 Jan 2026 00:01:40 GMT",
        },
        [("calls", 1, None, 7, False)],
    ),
    "draft": (
        {"RateLimit": '"burst";r=5;t=3, "day";r=900;t=4000'},
        [("calls", 5, None, 3, False), ("calls", 900, None, 4000, False)],
    ),
    "earlier draft": ({"RateLimit": "limit=10, remaining=4, reset=30"}, [("calls", 4, None, 30, False)]),
    "earliest draft": (
        {"RateLimit-Limit": "10", "RateLimit-Remaining": "4", "RateLimit-Reset": "30"},
        [("calls", 4, 10, 30, False)],
    ),
    "nothing countable": ({"x-ratelimit-remaining-images": "3"}, [(None, 3, None, None, False)]),
    "nonsense": ({"x-ratelimit-remaining": "many", "x-ratelimit-remaining-requests": "-1", "content-limit": "3"}, []),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_read(dialect: str) -> None:
    headers, expected = DIALECTS[dialect]
    told = quota_left(headers, NEW_YEAR_2026)
    assert [(one.counts, one.remaining, one.limit, one.reset, one.refills) for one in told] == expected


def answering(quota: Callable[[], Mapping[str, str]], library: ModuleType = httpx) -> Callable[[], Any]:
    async def ask() -> Any:
        return library.Response(200, headers=dict(quota()), request=library.Request("POST", "http://vendor"))

    return ask


def a_policy(**settings: Any) -> CallPolicy:
    given = {"rate": Rate(100, per=60, burst=100), "retry": Retry(attempts=1), "clock": VirtualClock(), **settings}
    return CallPolicy("v", **given)


async def sent_within(policy: CallPolicy, ask: Callable[[], Any], calls: int) -> int:
    """How many of so many calls at once are sent before any of them would wait longer than the queue timeout."""
    results = await asyncio.gather(*(policy.call(ask) for _ in range(calls)), return_exceptions=True)
    return sum(not isinstance(result, RateLimited) for result in results)


@virtual_time
async def test_a_vendor_that_has_less_left_than_we_think_is_believed() -> None:
    policy = a_policy()
    ask = answering(lambda: {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "30"})
    await policy.call(ask)
    silent = answering(dict)
    assert await sent_within(policy, silent, 20) == 3
    with pytest.raises(RateLimited) as refused:
        await policy.call(silent)
    assert refused.value.retry_after == pytest.approx(30)
    await asyncio.sleep(30)
    assert await sent_within(policy, silent, 20) == 20


@virtual_time
async def test_a_vendor_that_has_more_left_than_our_rate_changes_nothing() -> None:
    policy = a_policy(rate=Rate(5, per=60, burst=5))
    ask = answering(lambda: {"x-ratelimit-remaining": "5000", "x-ratelimit-reset": "1"})
    assert await sent_within(policy, ask, 20) == 5


@virtual_time
async def test_a_quota_that_refills_all_the_time_paces_us_at_its_own_speed() -> None:
    policy = a_policy(queue_timeout=10)
    quota = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "60s",
    }
    answers = iter([quota, *({} for _ in range(10))])
    times = []

    async def ask() -> httpx.Response:
        times.append(asyncio.get_running_loop().time())
        return httpx.Response(200, headers=next(answers), request=httpx.Request("GET", "http://vendor"))

    await policy.call(ask)
    await asyncio.gather(*(policy.call(ask) for _ in range(4)))
    assert times == pytest.approx([0, 1, 2, 3, 4])


@virtual_time
async def test_calls_under_way_are_taken_from_what_is_left() -> None:
    policy = a_policy()

    async def ask(seconds: float, remaining: str) -> httpx.Response:
        await asyncio.sleep(seconds)
        headers = {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": "30"}
        return httpx.Response(200, headers=headers, request=httpx.Request("GET", "http://vendor"))

    first = asyncio.ensure_future(policy.call(ask, 1, "5"))
    await asyncio.sleep(0)
    later = [asyncio.ensure_future(policy.call(ask, 9, "100")) for _ in range(3)]
    await first
    assert await sent_within(policy, answering(dict), 20) == 2
    await asyncio.gather(*later)
    assert await sent_within(policy, answering(dict), 20) == 20


@virtual_time
async def test_an_old_answer_does_not_undo_a_newer_one() -> None:
    policy = a_policy()

    async def slow() -> httpx.Response:
        await asyncio.sleep(2)
        headers = {"x-ratelimit-remaining": "90", "x-ratelimit-reset": "30"}
        return httpx.Response(200, headers=headers, request=httpx.Request("GET", "http://vendor"))

    old = asyncio.ensure_future(policy.call(slow))
    await asyncio.sleep(1)
    await policy.call(answering(lambda: {"x-ratelimit-remaining": "2", "x-ratelimit-reset": "30"}))
    await old
    assert await sent_within(policy, answering(dict), 20) == 2


@virtual_time
async def test_tokens_are_tightened_by_tokens_and_calls_by_calls() -> None:
    rates = [Rate(100, per=60, burst=100), Rate(10_000, per=60, burst=10_000, counts="tokens")]
    policy = a_policy(rate=rates)
    with policy.options(tokens=100):
        headers = {"x-ratelimit-remaining-tokens-minute": "450", "x-ratelimit-remaining-req-minute": "50"}
        await policy.call(answering(lambda: headers))
        assert await sent_within(policy, answering(dict), 20) == 4
    assert await sent_within(policy, answering(dict), 60) == 46


@virtual_time
async def test_tokens_that_were_not_used_come_back_under_the_vendors_count_too() -> None:
    policy = a_policy(rate=Rate(10_000, per=60, burst=10_000, counts="tokens"))
    with policy.options(tokens=100):
        await policy.call(answering(lambda: {"x-ratelimit-remaining-tokens-minute": "150"}))
    with policy.options(tokens=100) as options:
        await policy.call(answering(dict))
        options.settle(20)
        assert await sent_within(policy, answering(dict), 5) == 1


@virtual_time
async def test_a_rate_can_be_told_not_to_listen() -> None:
    policy = a_policy(rate=Rate(100, per=60, burst=100, heeds_vendor=False))
    await policy.call(answering(lambda: {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}))
    assert await sent_within(policy, answering(dict), 20) == 20


@virtual_time
async def test_an_error_that_carries_its_response_is_listened_to() -> None:
    policy = a_policy()

    async def ask() -> None:
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "30"}
        request = httpx.Request("GET", "http://vendor")
        httpx.Response(400, headers=headers, request=request).raise_for_status()

    with pytest.raises(httpx.HTTPStatusError):
        await policy.call(ask)
    with pytest.raises(RateLimited):
        await policy.call(ask)


@virtual_time
async def test_whoever_holds_a_slot_by_hand_can_tell_what_the_vendor_said() -> None:
    policy = a_policy()
    async with policy.slot() as slot:
        slot.heed({"x-ratelimit-remaining": "1", "x-ratelimit-reset": "30"})
    assert await sent_within(policy, answering(dict), 20) == 1


class CountedVendor:
    """A vendor with a quota of its own, of which another process uses a half."""

    def __init__(self, limit: int, per: float, clock: Callable[[], float]) -> None:
        self.limit, self.per, self.clock = limit, per, clock
        self.window, self.used, self.refused = -1, 0, 0

    def __call__(self, request: Received) -> Iterable[Step]:
        window, rest = divmod(self.clock(), self.per)
        if window != self.window:
            self.window, self.used = int(window), self.limit // 2
        self.used += 1
        headers = {
            "x-ratelimit-limit": str(self.limit),
            "x-ratelimit-remaining": str(max(0, self.limit - self.used)),
            "x-ratelimit-reset": f"{self.per - rest:.3f}",
        }
        if self.used > self.limit:
            self.refused += 1
            return rate_limited(self.per - rest, headers=headers)
        return reply(200, "ok", headers)


async def refusals_of(http: ModuleType, *, heeds_vendor: bool) -> tuple[int, int]:
    """How many of 60 requests were answered, and how often the vendor had to refuse one."""
    async with Vendor(wall=VirtualClock().wall) as vendor:
        counted = CountedVendor(20, 10, asyncio.get_running_loop().time)
        vendor.on("/", counted)
        rate = Rate(20, per=10, burst=5, heeds_vendor=heeds_vendor)
        policy = CallPolicy(
            "v", rate=rate, max_concurrency=2, max_queue=100, queue_timeout=90, deadline=100, clock=VirtualClock()
        )
        async with policy.client(http.__name__, base_url=vendor.url) as client:  # type: ignore[call-overload]
            responses = await asyncio.gather(*(client.get("/") for _ in range(60)))
        return sum(response.status_code == 200 for response in responses), counted.refused


@TWINS
@virtual_time
async def test_a_quota_shared_with_others_is_kept_over_the_wire(http: ModuleType) -> None:
    answered, refused = await refusals_of(http, heeds_vendor=True)
    assert (answered, refused) == (60, 0)
    answered, refused = await refusals_of(http, heeds_vendor=False)
    assert refused > 5


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.integers(0, 12), st.floats(0, 9), st.booleans(), st.integers(0, 99)),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_the_vendor_says_the_configured_rate_is_never_exceeded(
    steps: list[tuple[float, int, float, bool, int]],
) -> None:
    quota = Quota([Rate(10, per=5, burst=3)])
    now = 0.0
    sent: list[float] = []
    charges: list[Charge] = []
    for pause, remaining, reset, refills, which in steps:
        now += pause
        if charges:
            told = Allowance("x-ratelimit-remaining", "calls", remaining, 12, reset, refills)
            charges[which % len(charges)].heed(now, [told])
        promised = quota.wait(now, 0)
        charge = quota.take(now, 0)
        assert (charge is None) == (promised > 1e-9)
        if charge is not None:
            charges.append(charge)
            sent.append(now)
    assert all(sum(start <= time < start + 5 - 1e-6 for time in sent) <= 10 for start in sent)
    assert quota.wait(now + 20, 0) <= 0
