"""Nothing is ever lost: permits, tokens, retries and probes, under random failure, timeout and cancellation."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from safecall_lint.runtime import CallPolicy, Rate
from safecall_lint.runtime.testing import run

from .storm import CALLS, TOKENS, Storm


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


async def everything_is_back(policy: CallPolicy) -> None:
    """Use every slot and the whole quota at once: that only works if nothing is missing."""
    async with asyncio.timeout(5):
        with policy.options(weight=8, tokens=TOKENS.limit):
            await policy.call(asyncio.sleep, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_a_storm_leaves_nothing_behind(seed: int) -> None:
    storm = Storm(seed, calls=400)

    async def scenario() -> None:
        await storm.run()
        state = storm.policy.state()
        assert (state.in_use, state.queued) == (0, 0)
        for _ in range(2):  # half-open asks for two good probes
            await asyncio.sleep(30)
            await everything_is_back(storm.policy)
        assert storm.policy.state().circuit == "closed"
        assert storm.policy._layers.circuit is not None
        assert storm.policy._layers.circuit.probing == 0

    run(scenario())
    assert storm.slots_given == storm.slots_given_back == len(storm.sent) + 2
    assert storm.most_in_use <= 8
    assert most_in_a_window(storm.sent, TOKENS.per) <= TOKENS.limit
    assert most_in_a_window([(time, 1) for time, _ in storm.sent], CALLS.per) <= CALLS.limit
    assert storm.retries <= 0.2 * storm.calls + 2 * (storm.sent[-1][0] + 10)


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
