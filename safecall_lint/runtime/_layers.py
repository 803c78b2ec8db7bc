"""The layers of one policy, made from its settings and joined in the right order."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._adaptive import AdaptiveConcurrency, Gradient
from ._admission import Admission, Limiter, QueueSettings
from ._breaker import Circuit
from ._budget import Budget
from ._checks import most
from ._errors import StreamTimeout
from ._events import CircuitChanged, CircuitState, ConcurrencyChanged
from ._execution import CallSettings, Execution
from ._function_call import no_answer
from ._gate import Gate
from ._inside import Inside
from ._per_loop import PerLoop
from ._quota import Quota
from ._rate import Rate
from ._sink import guarded
from ._state import PolicyState
from ._stream import StreamSettings
from ._stream_report import StreamCounter
from ._throttle import Throttle
from ._turns import Turns

if TYPE_CHECKING:
    from ._policy import CallPolicy


class Layers:
    """What one policy is made of.

    Attributes:
        gates: slots and queue of calls, for each event loop.
        circuit: the circuit breaker, or None.
        budget: the retry budget, or None.
        inside: the tasks that are inside the policy.
        admission: the way to a slot.
        calls: runs calls.
        streamed_requests: runs requests of a client that ask for a stream, on slots of their own where there are any.
        streams: opens streams.
    """

    def __init__(self, policy: CallPolicy) -> None:
        self._policy = policy
        self._emit = None if policy.events is None else guarded(policy.events)
        rates, limiter = _split_rate(policy.rate)
        self._quota = Quota(rates, Throttle() if policy.retry.adaptive else None)
        self._turns = PerLoop(Turns)
        self._limiter = limiter
        self.circuit = self._make_circuit()
        self.budget = None if policy.retry.budget is None else Budget(policy.retry.budget)
        self.inside = Inside(policy.name)
        self.gates, self.admission = self._make_admission(policy.max_concurrency)
        self._stream_gates, admits_streams = self.gates, self.admission
        if policy.max_streams is not None:
            self._stream_gates, admits_streams = self._make_admission(policy.max_streams)
        deadline = float(policy.deadline)
        settings = CallSettings(policy.name, float(policy.call_timeout), deadline, policy.retry, no_answer)
        self.calls = self._execution(settings, self.admission)
        own_slots = policy.max_streams is not None
        self.streamed_requests = self._execution(settings, admits_streams) if own_slots else self.calls
        first = float(policy.stream_limits.first)
        opening = CallSettings(policy.name, first, deadline, policy.retry, _no_first_chunk)
        counter = StreamCounter(policy.name, policy.clock, self._emit)
        self.streams = StreamSettings(policy.stream_limits, counter, self._execution(opening, admits_streams))

    def state(self) -> PolicyState:
        """Return what goes on now, on the running event loop."""
        gate, streams = self.gates.get(), self._stream_gates.get()
        queued = gate.queued + gate.outside
        if streams is not gate:
            queued += streams.queued + streams.outside
        circuit: CircuitState = "closed" if self.circuit is None else self.circuit.state
        return PolicyState(gate.in_use, gate.limit, queued, self.streams.counter.active, circuit)

    def _execution(self, settings: CallSettings, admission: Admission) -> Execution:
        return Execution(settings, admission, self.budget, self._policy.clock, self._emit, self.inside)

    def _make_admission(self, slots: int | AdaptiveConcurrency) -> tuple[PerLoop[Gate], Admission]:
        policy = self._policy
        gates = PerLoop(functools.partial(self._make_gate, slots))
        bound = 4 * most(slots) if policy.max_queue is None else policy.max_queue
        queue = QueueSettings(policy.name, float(policy.queue_timeout), bound)
        return gates, Admission(queue, gates, self._quota, self._limiter, self.circuit, policy.clock, self._emit)

    def _make_gate(self, slots: int | AdaptiveConcurrency) -> Gate:
        policy, emit = self._policy, self._emit
        quota, turns, patience = self._quota, self._turns.get(), float(policy.queue_timeout)
        if isinstance(slots, int):
            return Gate(slots, quota, turns, policy.clock.time, patience)

        def resized(before: int, after: int) -> None:
            if emit is not None:
                emit(ConcurrencyChanged(policy.name, before, after))

        return Gate(int(slots.initial), quota, turns, policy.clock.time, patience, Gradient(slots), resized)

    def _make_circuit(self) -> Circuit | None:
        policy, emit = self._policy, self._emit
        if policy.breaker is None:
            return None

        def changed(before: CircuitState, after: CircuitState) -> None:
            if emit is not None:
                emit(CircuitChanged(policy.name, before, after))

        return Circuit(policy.breaker, policy.call_timeout, changed)


def _no_first_chunk(name: str, limit: float) -> StreamTimeout:
    message = f"{name}: no first chunk within {limit:g} s, so the stream was given up"
    return StreamTimeout(message, policy=name, phase="first")


def _split_rate(rate: Rate | Sequence[Rate] | Limiter | None) -> tuple[Sequence[Rate], Limiter | None]:
    if rate is None:
        return (), None
    if isinstance(rate, Rate):
        return (rate,), None
    return (rate, None) if isinstance(rate, Sequence) else ((), rate)
