"""What a first-party function does by itself or through the functions it calls, at any depth and across modules.

Plain reachability over the call graph, breadth first, so the shortest chain is the one that is shown. Nothing is
remembered half-done, so an answer does not depend on which function was asked first.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from msgspec import Struct, field

from safecall_lint.semantics.values import Site

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls, Pause, VendorCall
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.scan import CallSite

_LIMIT = 400

T = TypeVar("T")


class Chain(Struct, Generic[T], frozen=True):
    """How a function comes to do something: the calls on the way, outermost first, and what is done at the end."""

    steps: tuple[Site, ...]
    end: T
    function: Function


class Reach(Struct, eq=False):
    """Reachability questions over the call graph."""

    calls: Calls
    _edges: dict[Function, list[tuple[CallSite, Function]]] = field(default_factory=dict)
    _pauses: dict[Function, Pause | None] = field(default_factory=dict)
    _vendors: dict[Function, VendorCall | None] = field(default_factory=dict)

    def first(
        self,
        function: Function,
        probe: Callable[[CallSite, Function], T | None],
        enter: Callable[[CallSite, Function], bool] | None = None,
    ) -> Chain[T] | None:
        """The nearest call in or below `function` for which `probe` answers. `enter` may veto following a call."""
        for chain in self._walk(function, enter):
            for site in chain.function.scan.calls:
                if self.calls.spawned(site):
                    continue
                found = probe(site, chain.function)
                if found is not None:
                    return Chain(chain.steps, found, chain.function)
        return None

    def _walk(self, function: Function, enter: Callable[[CallSite, Function], bool] | None) -> Iterator[Chain[None]]:
        queue: list[Chain[None]] = [Chain((), None, function)]
        seen = {function}
        for chain in queue:
            yield chain
            if len(seen) > _LIMIT:
                continue
            for site, callee in self.edges(chain.function):
                if callee not in seen and not (enter and not enter(site, chain.function)):
                    seen.add(callee)
                    step = Site(chain.function.module, site.node)
                    queue.append(Chain((*chain.steps, step), None, callee))

    def edges(self, function: Function) -> list[tuple[CallSite, Function]]:
        """The calls of a function whose callee is first-party and runs in its time, each with that callee."""
        known = self._edges.get(function)
        if known is None:
            known = [
                (site, callee)
                for site in function.scan.calls
                if not self.calls.spawned(site)
                for callee in self.calls.evaluator.callees(site.node, function)
                if self.runs(site, callee)
            ]
            if self.calls.evaluator.idle:
                self._edges[function] = known
        return known

    def chains(
        self, function: Function, enter: Callable[[CallSite, Function], bool] | None = None
    ) -> Iterator[Chain[None]]:
        """Every function that runs in the time of `function`, itself included, nearest first, with the way there."""
        return self._walk(function, enter)

    def below(self, function: Function, enter: Callable[[CallSite, Function], bool] | None = None) -> list[Function]:
        """A function and everything that runs in its time, nearest first. `enter` may veto following a call."""
        return [chain.function for chain in self._walk(function, enter)]

    @staticmethod
    def runs(site: CallSite, callee: Function) -> bool:
        """Whether the body of `callee` runs in the caller's time: a coroutine made but never awaited does not."""
        nested = site.outer is not None or site.frame is not None
        return not callee.is_async or site.awaited or callee.is_generator or nested

    def pause(self, function: Function) -> Chain[Pause] | None:
        """The nearest sleep in or below `function`."""
        return self._nearest(function, self._pauses, self.calls.pause)

    def vendor(self, function: Function) -> Chain[VendorCall] | None:
        """The nearest vendor call in or below `function`."""
        return self._nearest(function, self._vendors, self.calls.vendor)

    def _nearest(
        self,
        function: Function,
        known: dict[Function, T | None],
        probe: Callable[[ast.Call, Scope], T | None],
    ) -> Chain[T] | None:
        for chain in self._walk(function, None):
            inner = chain.function
            found = known.get(inner)
            if inner not in known:
                sites = (site for site in inner.scan.calls if not self.calls.spawned(site))
                found = next(filter(None, (probe(site.node, inner) for site in sites)), None)
                if self.calls.evaluator.idle:
                    known[inner] = found
            if found is not None:
                return Chain(chain.steps, found, inner)
        return None
