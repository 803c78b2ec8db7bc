"""A place at the vendor, from the moment it is given until its call or stream has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from . import _failure
from ._breaker import Circuit, Permit
from ._clock import Clock
from ._events import Event, Released
from ._failure import Failure
from ._headers import quota_left
from ._options import USED
from ._setting import instance

if TYPE_CHECKING:
    from ._gate import Gate, Pass

_TOO_MANY = 429
_HEADERS = instance(Mapping, "it holds no headers", "a mapping of names to texts, such as response.headers")


class Slot:
    """Held by one attempt; leaving it twice does nothing.

    Attributes:
        time: loop time at which the slot was given.
    """

    __slots__ = ("_circuit", "_clock", "_emit", "_gate", "_name", "_pass", "_permit", "_taken", "time")

    def __init__(
        self,
        name: str,
        clock: Clock,
        gate: Gate,
        given: Pass,
        circuit: Circuit | None,
        permit: Permit,
        emit: Callable[[Event], None] | None,
    ) -> None:
        self.time = given.time
        self._name = name
        self._clock = clock
        self._gate = gate
        self._pass = given
        self._circuit = circuit
        self._permit = permit
        self._emit = emit
        self._taken = True

    @property
    def waited(self) -> float:
        """Seconds this call spent in the queue."""
        return self._pass.slot_wait + self._pass.rate_wait

    def settle(self, tokens: float) -> None:
        """Tell how many tokens the call really used; the quota gets the difference back, or is charged it.

        Raises:
            TypeError: `tokens` is no number.
            ValueError: `tokens` is negative or not finite.
        """
        USED("settle", "tokens", tokens)
        self._pass.charge.settle(self._clock.time(), tokens)
        self._gate.refunded()

    def heed(self, headers: Mapping[str, str]) -> None:
        """Tell what the vendor's answer says is left of its quota; our rates stay under that until its reset.

        The transports do so by themselves, and so does every call that returns a response of httpx or httpx2.

        Raises:
            TypeError: `headers` is no mapping.
        """
        if not self._pass.charge.heeds_vendor:
            return
        try:
            told = quota_left(headers, self._clock.wall())
        except AttributeError:
            _HEADERS("heed", "headers", headers)
            raise
        if told:
            self._pass.charge.heed(self._clock.time(), told)
            self._gate.refunded()

    def age(self) -> float:
        """Return the seconds since the slot was given."""
        return self._clock.time() - self.time

    def hold(self, task: asyncio.Task[object]) -> None:
        """Note that `task` holds the slot for as long as it likes; no time limit of ours ends that."""
        if self._circuit is not None:
            self._circuit.hold(self._permit, task)

    def answered(self, took: float) -> None:
        """Tell the circuit breaker of an answer that began after `took` seconds and may go on for long."""
        if self._taken and self._circuit is not None:
            self._permit = self._circuit.answered(self._permit, self._clock.time(), took)

    def leave(self, failure: Failure | None, took: float | None = None) -> None:
        """Give the slot back and tell the circuit breaker how the vendor did.

        Args:
            failure: what went wrong, or None.
            took: seconds to the vendor's first answer, where the slot was held for longer than that.
        """
        if not self._taken:
            return
        try:
            now = self._clock.time()
            duration = now - self.time if took is None else took
            if failure is None or failure.ill or failure.status is not None:
                ill = failure is not None and failure.ill
                if failure is None:
                    self._gate.pace.answered(now, duration)
                self._gate.learn(duration, dropped=ill or (failure is not None and failure.status == _TOO_MANY))
                if self._circuit is not None:
                    self._circuit.record(self._permit, now, failed=ill, duration=duration)
            elif self._circuit is not None:
                self._circuit.forget(self._permit)
        except BaseException:
            self.abandon()
            raise
        self._release(now)

    def abandon(self) -> None:
        """Give the slot back without a word about the vendor: the caller was cancelled."""
        if not self._taken:
            return
        try:
            if self._circuit is not None:
                self._circuit.forget(self._permit)
            now = self._clock.time()
        except BaseException:
            self._taken = False
            self._gate.release(self._pass.weight)
            raise
        self._release(now)

    def lose(self) -> None:
        """Give the slot back from a finalizer; where its event loop is gone there is nobody to give it to."""
        if self._taken:
            with contextlib.suppress(RuntimeError):
                self.abandon()

    def end(self, error: BaseException | None) -> None:
        """Give the slot back after work that ended with `error`, or well."""
        try:
            if error is None:
                self.leave(None)
            elif isinstance(error, Exception) and not (failure := _failure.of_error(error)).refused:
                self.leave(failure)
        finally:
            self.abandon()

    def _release(self, now: float) -> None:
        try:
            self._gate.pace.released(now - self.time)
        finally:
            self._taken = False
            self._gate.release(self._pass.weight)
        if self._emit is not None:
            self._emit(Released(self._name, now - self.time, self._gate.in_use))
