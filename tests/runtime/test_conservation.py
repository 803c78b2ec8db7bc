"""Nothing is ever lost: permits, tokens, retries and probes, under random failure, timeout and cancellation."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from safecall_lint.runtime import CallPolicy, Rate, RetryBudget
from safecall_lint.runtime._budget import Budget
from safecall_lint.runtime.testing import run

from .storm import CALLS, SLOTS, TOKENS, Storm, everything_is_back


def most_in_a_window(sent: list[tuple[float, float]], per: float) -> float:
    """The largest sum of amounts in any window of `per` seconds."""
    most = total = 0.0
    start = 0
    for time, amount in sent:
        total += amount
        while sent[start][0] + per <= time + 1e-6:
            total -= sent[start][1]
            start += 1
        most = max(most, total)
    return most


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_a_storm_leaves_nothing_behind(seed: int) -> None:
    storm = Storm(seed, calls=400)

    async def scenario() -> str | None:
        await storm.run()
        assert len(storm.spent) == storm.retries_sent
        return await everything_is_back(storm.policy)

    assert run(scenario()) is None
    assert storm.slots_given == storm.slots_given_back == len(storm.sent) + 2
    assert storm.most_in_use <= SLOTS
    assert most_in_a_window(storm.sent, TOKENS.per) <= TOKENS.limit
    assert most_in_a_window([(time, 1) for time, _ in storm.sent], CALLS.per) <= CALLS.limit
    assert storm.over_budget == 0


def test_a_storm_asks_for_more_retries_than_there_are_and_opens_the_circuit() -> None:
    """A run in which nothing was scarce would show nothing."""
    storm = Storm(seed=1, calls=2000)
    run(storm.run())
    assert storm.retries_sent > 100
    assert storm.retries_over_budget > 100
    assert storm.retries > storm.retries_sent
    assert min(storm.outcomes[outcome] for outcome in ("ok", "error", "timeout", "rejected", "cancelled")) > 20


_STEPS = st.lists(st.tuples(st.floats(0, 4), st.sampled_from(["call", "retry", "give back"]), st.integers(0, 99)))


@settings(max_examples=200, deadline=None)
@given(_STEPS)
def test_a_budget_counts_every_retry_that_was_not_given_back_and_no_other(
    steps: list[tuple[float, str, int]],
) -> None:
    """Against a plain list of what was taken, in buckets of a tenth of the window."""
    budget = Budget(RetryBudget(ratio=0.5, minimum_per_second=0.2, window=10))
    now = 0.0
    calls: list[float] = []
    taken: list[float] = []

    def recent(times: list[float]) -> int:
        return sum(int(time) > int(now) - 10 for time in times)

    for pause, what, which in steps:
        now += pause
        if what == "call":
            budget.count_call(now)
            calls.append(now)
        elif what == "give back" and taken:
            budget.give_back(taken.pop(which % len(taken)))
        elif what == "retry":
            allowed = max(0.5 * recent(calls), 0.2 * 10)
            granted = budget.take(now)
            assert granted == (recent(taken) + 1 <= allowed)
            taken += [now] * granted
        assert budget.spent(now) == recent(taken)
    now += 20
    assert [budget.take(now) for _ in range(3)] == [True, True, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40))
def test_slots_are_conserved_when_cancellation_meets_admission(calls: list[tuple[int, int, int]]) -> None:
    """Whole ticks make releases, timeouts and cancellations fall into the same turn of the loop."""
    policy = CallPolicy("v", max_concurrency=4, max_queue=100, queue_timeout=3, rate=Rate(20, per=4, burst=4))

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        tasks = []
        for weight, hold, cancel_after in calls:
            with policy.options(weight=weight):
                tasks.append(asyncio.ensure_future(policy.call(asyncio.sleep, hold)))
            if cancel_after:
                loop.call_later(cancel_after, tasks[-1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        state = policy.state()
        assert (state.in_use, state.queued) == (0, 0)
        await asyncio.sleep(10)
        async with asyncio.timeout(1):
            with policy.options(weight=4):
                await asyncio.gather(*(policy.call(asyncio.sleep, 0) for _ in range(4)))

    run(scenario())
