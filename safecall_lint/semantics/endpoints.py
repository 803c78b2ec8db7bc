"""What a request waits for: the vendor calls of a route, or of a dependency, that no deadline ends."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.semantics.roles import in_loop

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls, VendorCall
    from safecall_lint.semantics.deadlines import Deadlines
    from safecall_lint.semantics.entries import Entries
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.retries import Retries
    from safecall_lint.semantics.scan import CallSite
    from safecall_lint.semantics.streams import Streams
    from safecall_lint.semantics.threads import Threads
    from safecall_lint.semantics.values import Site

_LIMIT = 150
Cost = tuple[float, bool]
PATIENCE = 30.0
"""Seconds after which callers and the gateways in front of a service have given up, most of them."""


class Wait(Struct, frozen=True):
    """A call in a coroutine that waits for a vendor. `steps` are the calls on the way from it to `vendor`, the first
    vendor call that it leads to. `seconds` is what the clients' own timeouts allow all that it leads to: infinite where
    nothing ends it, None where the code does not tell. `many` marks work that is done an unknown number of times."""

    site: CallSite
    vendor: VendorCall
    steps: tuple[Site, ...]
    seconds: float | None
    many: bool


class Endpoints(Struct, eq=False):
    """Answers for coroutines."""

    calls: Calls
    reach: Reach
    deadlines: Deadlines
    entries: Entries
    retries: Retries
    streams: Streams
    threads: Threads
    _known: dict[Function, list[Wait]] = field(default_factory=dict)

    def unbounded(self, function: Function) -> list[Wait]:
        """The waits of a route or dependency that have no deadline in common, where they may outlast `PATIENCE`."""
        if not self.entries.may_serve(function):
            return []
        if function not in self._known:
            found = self._unbounded(function)
            if not self.calls.evaluator.idle:
                return found
            self._known[function] = found
        return self._known[function]

    def _unbounded(self, function: Function) -> list[Wait]:
        waits = list(self._waits(function))
        if not waits or (not any(map(_is_long, waits)) and _total(waits) <= PATIENCE):
            return []
        return waits if self.entries.role(function) and not self.entries.bounded(function) else []

    def _waits(self, function: Function) -> Iterator[Wait]:
        for site in function.scan.calls:
            if self.calls.spawned(site) and not self.threads.vendors(site, function):
                continue
            if not self.entries.cut(site, function) and (wait := self._wait(site, function)):
                yield wait

    def _wait(self, site: CallSite, function: Function) -> Wait | None:
        """What a call waits for; of several functions that it may run, the one that may take longest."""
        looped = in_loop(site.frame)
        vendor = self.calls.vendor(site.node, function)
        if vendor:
            seconds = self.deadlines.own(vendor)
            return Wait(site, vendor, (), seconds, looped) if self._is_awaited(vendor) else None
        found = [self._through(site, callee, looped) for callee in self._callees(site, function)]
        found += [
            Wait(site, made, steps, self.deadlines.own(made), looped)
            for made, steps in self.threads.vendors(site, function)
            if not self.streams.opens(made.node, made.scope)
        ]
        waits = [wait for wait in found if wait]
        return max(waits, key=lambda wait: (_is_long(wait), wait.seconds or 0.0)) if waits else None

    def _through(self, site: CallSite, callee: Function, looped: bool) -> Wait | None:
        rows = list(self._below(callee, looped))
        if not rows:
            return None
        vendor, steps, _ = rows[0]
        seconds, unknown = self._cost(callee, {})
        told = None if unknown and seconds != math.inf else seconds
        return Wait(site, vendor, steps, told, any(many for _, _, many in rows))

    def _cost(self, function: Function, known: dict[Function, Cost]) -> Cost:
        """The seconds that the clients' own timeouts allow a coroutine, and whether some of them are unknown. `known`
        holds what one question has met, so that its answer depends on no other question."""
        if len(known) > _LIMIT:
            return 0.0, True
        if function not in known:
            known[function] = 0.0, False
            if not self.entries.guarded(function):
                sites = [site for site in function.scan.calls if not self._is_apart(site, function)]
                costs = [self._cost_of(site, function, known) for site in sites]
                known[function] = sum(seconds for seconds, _ in costs), any(unknown for _, unknown in costs)
        return known[function]

    def _cost_of(self, site: CallSite, function: Function, known: dict[Function, Cost]) -> Cost:
        vendor = self.calls.vendor(site.node, function)
        if vendor:
            own = self.deadlines.own(vendor) if self._is_awaited(vendor) else 0.0
            return own or 0.0, own is None
        ways = [self._cost(callee, known) for callee in self._callees(site, function)]
        return max(ways, key=lambda way: (way[1], way[0]), default=(0.0, False))

    def _is_apart(self, site: CallSite, function: Function) -> bool:
        """Whether nobody waits for a call, or something else ends the wait."""
        return self.calls.spawned(site) or self.entries.cut(site, function)

    # -- calls on the loop -------------------------------------------------------------------------------------------

    def _is_awaited(self, vendor: VendorCall) -> bool:
        """Whether a call gives the loop away until the answer is there. The gaps of a stream are bounded otherwise."""
        return vendor.style != "sync" and not self.streams.opens(vendor.node, vendor.scope)

    def _callees(self, site: CallSite, function: Function) -> list[Function]:
        """The coroutines of the project that a call runs in its own time."""
        callees = self.calls.evaluator.callees(site.node, function)
        return [
            callee for callee in callees if callee.is_async and _runs(site, callee) and self.reach.runs(site, callee)
        ]

    def _below(self, callee: Function, many: bool) -> Iterator[tuple[VendorCall, tuple[Site, ...], bool]]:
        """The vendor calls in and below a coroutine that no deadline below the route ends."""
        if self.entries.guarded(callee):
            return
        for chain in self.reach.chains(callee, self._enters):
            inner = chain.function
            repeated = many or bool(self.retries.decorators(inner))
            for site in inner.scan.calls:
                if self._is_apart(site, inner):
                    continue
                vendor = self.calls.vendor(site.node, inner)
                if vendor and self._is_awaited(vendor):
                    yield vendor, chain.steps, repeated or in_loop(site.frame)

    def _enters(self, site: CallSite, scope: Function) -> bool:
        if self.entries.cut(site, scope):
            return False
        return all(_runs(site, callee) for callee in self.calls.evaluator.callees(site.node, scope))


def _runs(site: CallSite, callee: Function) -> bool:
    """Whether the body of a generator runs where it is called: it is gone through on the spot."""
    if not callee.is_generator or "asynccontextmanager" in callee.decorator_names:
        return True
    frame = site.frame
    return frame is not None and isinstance(frame.node, ast.AsyncFor | ast.For) and frame.section == "items"


def _is_long(wait: Wait) -> bool:
    return wait.many or wait.seconds is None


def _total(waits: list[Wait]) -> float:
    return sum(wait.seconds or 0.0 for wait in waits)
