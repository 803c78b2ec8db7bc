"""Runs: calls that make an event loop, or have one made for them, and run a coroutine in it to its end."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.lifetimes import Fate, Lifetimes
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import FunctionValue, Instance, Member, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.scan import CallSite


class Run(Struct, frozen=True):
    """A coroutine run to its end. `maker` is the call that makes the event loop: the run itself, or the
    `new_event_loop()` before it. `functions` are what runs in it."""

    maker: CallSite
    functions: tuple[Function, ...]


class EventLoops(Struct, eq=False):
    """Finds runs. A loop that may live on after the function that made it starts none."""

    calls: Calls
    lifetimes: Lifetimes

    def run(self, site: CallSite, scope: Scope) -> Run | None:
        """The run that a call is, in an event loop that was made for it here."""
        fact = self.calls.symbol(site.node, scope)
        own = fact is not None and fact.kind == "run"
        maker = site if own else self._maker(site, scope)
        return Run(maker, tuple(self._functions(site, scope))) if maker is not None else None

    def _maker(self, site: CallSite, scope: Scope) -> CallSite | None:
        """The call in the same scope that made the loop of `loop.run_until_complete(...)` or `runner.run(...)`."""
        if not isinstance(site.node.func, ast.Attribute):
            return None
        values = self.calls.evaluator.values(site.node.func, scope)
        made = {self._made(value, scope) for value in values}
        return next((item for item in scope.scan.calls if made == {item.node}), None)

    def _made(self, value: Value, scope: Scope) -> ast.Call | None:
        """The call that made the loop of a method that runs a coroutine, where nothing outlives the function."""
        if not isinstance(value, Member) or not isinstance(value.owner, Instance) or value.owner.scope is not scope:
            return None
        fact, call = self.calls.evaluator.fact(value.owner), value.owner.call
        if fact is None or fact.kind != "loop" or value.path[-1] not in fact.calls or call is None:
            return None
        return call if not isinstance(scope, Function) or self.lifetimes.fate(call, scope) is Fate.USED else None

    def _functions(self, site: CallSite, scope: Scope) -> Iterator[Function]:
        """The coroutines of the project that are handed to a run: called there, at any depth, or named."""
        for inner in scope.scan.calls:
            if _within(inner, site):
                yield from self.calls.evaluator.callees(inner.node, scope)
        for given in site.node.args[:1]:
            for value in self.calls.evaluator.values(given, scope) if not isinstance(given, ast.Call) else ():
                if isinstance(value, FunctionValue):
                    yield value.function


def _within(inner: CallSite, outer: CallSite) -> bool:
    """Whether a call stands in the arguments of another."""
    around = inner.outer
    while around is not None and around is not outer:
        around = around.outer
    return around is not None
