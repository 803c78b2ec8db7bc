"""SCL303: a timeout inside another one that always comes first."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.model import Function
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.visitor import Place, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.deadlines import Deadline
    from safecall_lint.semantics.model import Scope

_ENDLESS = 100_000


class InvertedTimeouts(Visitor):
    needs = (frozenset({"with:timeout-scope", "wait-for"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(_inverted(semantics, scope) for scope in scopes if isinstance(scope, Function))

    def leave_FunctionDef(self, node: cst.FunctionDef) -> None:
        twin = self.context.twin(node)
        function = next((item for at, item in self.context.scope.functions.items() if at is twin), None)
        if function is None:
            return
        for outer, place, seconds in _inverted(self.semantics, function):
            self._tell(outer, place, seconds)

    def _tell(self, outer: Deadline, place: Place, seconds: float) -> None:
        assert outer.seconds is not None
        self.report(
            outer.site,
            f"the {seconds:g} s timeout inside this one of {outer.seconds:g} s can never fire",
            label="ends everything below it first",
            labels=[(place, f"would end after {seconds:g} s")],
            help="make the outer limit longer than what it holds, or drop the inner one",
        )


def _inverted(semantics: Semantics, function: Function) -> list[tuple[Deadline, Site, float]]:
    """The deadlines of a function that hold a longer limit, with the first such limit of each."""
    found = []
    for outer in semantics.deadlines.of(function):
        known = outer.seconds is not None and 0 < outer.seconds < _ENDLESS
        if known and not semantics.admissions.moved(outer) and not _for_waiting(semantics, outer, function):
            found += [(outer, *first) for first in islice(_limits(semantics, outer, function), 1)]
    return found


def _for_waiting(semantics: Semantics, outer: Deadline, function: Function) -> bool:
    """Whether the outer limit is meant for a queue: then that it covers the call is the mistake, told elsewhere."""
    queues = semantics.admissions.queue_timeouts(function)
    return not semantics.roles.route(function) and any(item.deadline.node is outer.node for item in queues)


def _limits(semantics: Semantics, outer: Deadline, scope: Function) -> Iterator[tuple[Site, float]]:
    """The limits under a deadline, in the same function, that it does not let come true.

    What a function that is called there limits for itself is no mistake: others may call it with more time.
    """
    most = outer.seconds or 0
    for inner in semantics.deadlines.of(scope):
        under = inner.node is not outer.node and _under(inner, outer)
        if under and inner.seconds is not None and most <= inner.seconds < _ENDLESS:
            yield inner.site, inner.seconds
    for site in scope.scan.calls:
        vendor = semantics.calls.vendor(site.node, scope) if outer.cuts(site) else None
        if vendor is None or semantics.deadlines.stated(vendor) is None:
            continue
        own = semantics.deadlines.own(vendor)
        if own is not None and most < own < math.inf:
            yield Site(scope.module, site.node), own


def _under(inner: Deadline, outer: Deadline) -> bool:
    if outer.holds(inner.frame):
        return True
    return isinstance(outer.node, ast.Call) and any(inner.node is node for node in ast.walk(outer.node))
