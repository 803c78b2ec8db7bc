"""Work that a coroutine hands to a thread and waits for: what is run there, and which vendors it calls."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.values import FunctionValue, LambdaValue, Member, Site, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls, VendorCall
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.scan import CallSite


class Threads(Struct, eq=False):
    """Answers for calls."""

    calls: Calls
    reach: Reach

    def vendors(self, site: CallSite, scope: Scope) -> list[tuple[VendorCall, tuple[Site, ...]]]:
        """The vendor calls that awaited work in a thread makes, each with the calls on the way to it."""
        work = self._work(site, scope) if site.awaited else None
        for value in self.calls.evaluator.values(work, scope) if work is not None else ():
            assert work is not None
            if found := self._made(value, work, scope):
                return found
        return []

    def _work(self, site: CallSite, scope: Scope) -> ast.expr | None:
        """What a call hands to a thread."""
        for value in self.calls.evaluator.values(site.node.func, scope):
            fact = self.calls.evaluator.fact(value)
            position = fact.callable_position if fact and fact.kind == "executor" else -1
            if isinstance(value, Member) and value.path == ("run_in_executor",):
                position = 1
            if 0 <= position < len(site.node.args):
                return site.node.args[position]
        return None

    def _made(self, value: Value, work: ast.expr, scope: Scope) -> list[tuple[VendorCall, tuple[Site, ...]]]:
        match value:
            case FunctionValue(inner):
                chain = self.reach.vendor(inner)
                return [(chain.end, chain.steps)] if chain else []
            case LambdaValue(node, outer):
                calls = [item for item in ast.walk(node.body) if isinstance(item, ast.Call)]
                vendors = filter(None, (self.calls.vendor(item, outer) for item in calls))
                return [(vendor, ()) for vendor in vendors]
            case _:
                vendor = self.calls.vendor(ast.copy_location(ast.Call(work, [], []), work), scope)
                return [(vendor, ())] if vendor else []
