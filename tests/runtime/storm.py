"""A storm of calls that fail, hang, are repeated and are cancelled at random, and what must be left of it: nothing."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field

from safecall_lint.runtime import (
    CallPolicy,
    CircuitBreaker,
    Event,
    Priority,
    Rate,
    Retry,
    RetryBudget,
    deadline,
)
from safecall_lint.runtime._events import Admitted, AttemptEnded, CallEnded, Released, RetryDropped, RetryScheduled
from safecall_lint.runtime.testing import VirtualClock

TOKENS = Rate(2400, per=10, burst=400, counts="tokens")
CALLS = Rate(150, per=10, burst=20)
BUDGET = RetryBudget(ratio=0.1, minimum_per_second=0.3)
SLOTS = 8
BAD_SPELL = (6.0, 40.0)
"""For so many seconds in every so many, the vendor fails nearly always: the circuit opens."""


@dataclass
class Storm:
    """One run of `calls` random calls against one policy.

    Attributes:
        sent: time and tokens of each attempt that reached the vendor.
        began: when each call came to the policy.
        spent: when each retry was granted that was not given back.
        over_budget: how many retries were granted beyond the budget.
        most_in_use: the most slots that were ever taken at once.
    """

    seed: int
    calls: int
    events: list[Event] = field(default_factory=list)
    sent: list[tuple[float, float]] = field(default_factory=list)
    began: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    over_budget: int = 0
    most_in_use: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.policy = CallPolicy(
            "v",
            max_concurrency=SLOTS,
            max_queue=60,
            queue_timeout=3,
            call_timeout=2,
            deadline=12,
            rate=[CALLS, TOKENS],
            retry=Retry(attempts=4, base=0.4, repeat="always", budget=BUDGET),
            breaker=CircuitBreaker(minimum_calls=10, open_for=0.5, probes=2, failure_rate=0.8, window=5),
            events=self.events.append,
            clock=VirtualClock(seed=self.seed),
        )

        self._watch_budget()

    def _watch_budget(self) -> None:
        """Compare each retry that is granted with what the budget says of the time before it.

        Retries are counted over the last 9 s and calls over the last 10 s, since the budget's window moves in steps of
        a tenth.
        """
        budget = self.policy._layers.budget
        assert budget is not None
        take, give_back = budget.take, budget.give_back
        out = self.spent

        def watched_take(now: float) -> bool:
            granted = take(now)
            if granted:
                out.append(now)
                retries = sum(time > now - 0.9 * BUDGET.window for time in out)
                calls = sum(time >= now - BUDGET.window for time in self.began)
                self.over_budget += retries > max(BUDGET.ratio * calls, BUDGET.minimum_per_second * BUDGET.window)
            return granted

        def watched_give_back(then: float) -> None:
            out.remove(then)
            give_back(then)

        vars(budget).update(take=watched_take, give_back=watched_give_back)

    async def run(self) -> None:
        """Make every call, wait for the end of all, and for leases and windows to run out."""
        tasks = []
        for _ in range(self.calls):
            tasks.append(asyncio.ensure_future(self._call()))
            await asyncio.sleep(self.chance.choice([0, 0.05, 0.2, 0.5]))
            if self.chance.random() < 0.3:
                asyncio.get_running_loop().call_later(self.chance.choice([0, 0.05, 0.5, 1, 2]), tasks[-1].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(30)

    async def _call(self) -> None:
        tokens = self.chance.randint(0, 60)
        options = self.policy.options(
            priority=self.chance.choice(list(Priority)), tokens=tokens, weight=self.chance.choice([1, 1, 1, 1, 3, 8])
        )
        async with deadline(self.chance.choice([0.3, 2, 60])):
            with options:
                self.began.append(asyncio.get_running_loop().time())
                await self.policy.call(self._send, tokens)

    async def _send(self, tokens: float) -> None:
        now = asyncio.get_running_loop().time()
        self.sent.append((now, tokens))
        self.most_in_use = max(self.most_in_use, self.policy.state().in_use)
        await asyncio.sleep(self.chance.choice([0, 0, 0.01, 0.2, 0.5, 1, 5]))
        length, period = BAD_SPELL
        if self.chance.random() < (0.95 if now % period < length else 0.3):
            raise self.chance.choice([ConnectionError, ConnectionError, TimeoutError, KeyError])

    def count(self, kind: type[Event]) -> int:
        """How often something happened."""
        return sum(isinstance(event, kind) for event in self.events)

    @property
    def slots_given(self) -> int:
        """How many slots were given to calls."""
        return self.count(Admitted)

    @property
    def slots_given_back(self) -> int:
        """How many slots came back from calls."""
        return self.count(Released)

    @property
    def retries(self) -> int:
        """How many retries the budget granted."""
        return self.count(RetryScheduled)

    @property
    def retries_sent(self) -> int:
        """How many of them reached the vendor."""
        return sum(isinstance(event, AttemptEnded) and event.attempt > 1 for event in self.events)

    @property
    def retries_over_budget(self) -> int:
        """How many the budget refused."""
        return sum(isinstance(event, RetryDropped) and event.reason == "budget" for event in self.events)

    @property
    def outcomes(self) -> Counter[str]:
        """How the calls ended."""
        return Counter(event.outcome for event in self.events if isinstance(event, CallEnded))


async def everything_is_back(policy: CallPolicy) -> str | None:
    """Use every slot, the whole quota, every probe and the whole budget at once; return what is missing, or None."""
    state = policy.state()
    if (state.in_use, state.queued) != (0, 0):
        return f"slots or places in the queue: {state}"
    for _ in range(2):  # half-open asks for two good probes
        await asyncio.sleep(30)
        try:
            async with asyncio.timeout(5):
                with policy.options(weight=SLOTS, tokens=TOKENS.limit):
                    await policy.call(asyncio.sleep, 0)
        except Exception as error:  # noqa: BLE001 (whatever it is, something did not come back)
            return f"slots, tokens or the circuit: {error!r}"
    circuit, budget = policy._layers.circuit, policy._layers.budget
    if circuit is None or circuit.state != "closed" or circuit.probing:
        return "probes"
    await asyncio.sleep(2 * BUDGET.window)
    now = asyncio.get_running_loop().time()
    whole = int(BUDGET.minimum_per_second * BUDGET.window)
    if budget is None or budget.spent(now) or [budget.take(now) for _ in range(whole + 1)] != [True] * whole + [False]:
        return "retries of the budget"
    return None
