"""Waits for a shared gate, in code that serves requests, that no time limit bounds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from safecall_lint.semantics.evaluation import origin
from safecall_lint.semantics.holding import Hold, Holding, Taken
from safecall_lint.semantics.model import Class, Function, Module

if TYPE_CHECKING:
    from safecall_lint.semantics.deadlines import Deadlines
    from safecall_lint.semantics.requirements import Requirements
    from safecall_lint.semantics.roles import Roles
    from safecall_lint.semantics.scan import CallSite, Frame

_FRAMEWORKS: Final = (
    "fastapi",
    "starlette",
    "litestar",
    "quart",
    "sanic",
    "django",
    "aiohttp-jinja2",
    "flask",
    "grpcio",
)
_COMMANDS: Final = re.compile(rb"asyncio\.run\(|\bargparse\b|\bimport click\b|\btyper\b|\bcelery\b|__main__")
_SERVING: Final = frozenset({"dispatch", "__call__"})


class Waiting(Struct, eq=False):
    """Answers for functions. Doubt counts as: somebody bounds the wait."""

    holding: Holding
    deadlines: Deadlines
    roles: Roles
    requirements: Requirements

    def unbounded(self, function: Function) -> Iterator[Hold]:
        """The gates that a function waits for without a limit, on behalf of a request."""
        gates = [hold for hold in self._gates(function) if self._shared(hold, function)]
        if not gates or not function.is_async or not self._serves(function) or self._bounded_above(function):
            return
        for hold in gates:
            if (self._entry(function) or self._talks(hold, function)) and not self._bounded(hold, function):
                yield hold

    def _gates(self, function: Function) -> Iterator[Hold]:
        """The gates that a function takes, also those that somebody else is to give back."""
        waits = list(self._acquired(function))
        known = {ast.dump(hold.taken.node) for hold in waits}
        yield from waits
        for hold in self.holding.holds(function, "gate"):
            if ast.dump(hold.taken.node) not in known:
                yield hold

    def _acquired(self, function: Function) -> Iterator[Hold]:
        for site in function.scan.calls:
            admission = self.holding.calls.admission(site.node, function) if site.awaited or site.outer else None
            func = site.node.func
            if admission is not None and admission.kind == "gate" and isinstance(func, ast.Attribute):
                lines = ((site.node.lineno, function.node.end_lineno or site.node.lineno),)
                yield Hold(Taken(admission.of, "gate", func.value), site.statement, -1, function, lines)

    # -- who waits ---------------------------------------------------------------------------------------------------

    def _shared(self, hold: Hold, function: Function) -> bool:
        """Whether a gate belongs to the object or the module, not to a fan-out of its own function."""
        root: ast.expr = hold.taken.node
        while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
            root = root.func if isinstance(root, ast.Call) else root.value
        if not isinstance(root, ast.Name):
            return False
        if root.id == function.first_parameter:
            return True
        rows = origin.rows(self.holding.calls.evaluator, root.id, function)
        return any(isinstance(owner, Module) for _, owner in rows)

    def _serves(self, function: Function) -> bool:
        """Whether requests reach a function: it is a route or middleware, or belongs to a project that has some."""
        if self._entry(function):
            return True
        if self.roles.once(function) or self.roles.test(function) or _COMMANDS.search(function.module.source.utf8):
            return False
        return self.requirements.asks(_FRAMEWORKS, function.module)

    def _entry(self, function: Function) -> bool:
        """Whether a function is where requests come in."""
        return self.roles.route(function) or (function.name in _SERVING and function.cls is not None)

    # -- what bounds it ----------------------------------------------------------------------------------------------

    def _bounded(self, hold: Hold, function: Function) -> bool:
        frame = _frame_of(hold, function)
        deadlines = self.deadlines.of(function)
        if any(deadline.holds(frame) for deadline in deadlines):
            return True
        if any(deadline.node is hold.block and deadline.item < hold.position for deadline in deadlines):
            return True
        return any(self._waits_at(site, hold) for site in self._limited(function))

    def _limited(self, function: Function) -> list[CallSite]:
        """The calls of a function that a time limit covers."""
        deadlines = self.deadlines.of(function)
        return [site for site in function.scan.calls if any(deadline.cuts(site) for deadline in deadlines)]

    @staticmethod
    def _waits_at(site: CallSite, hold: Hold) -> bool:
        """Whether a limited call is the wait for this very gate: `wait_for(gate.acquire(), 5)`."""
        func = site.node.func
        own = isinstance(func, ast.Attribute) and func.attr == "acquire"
        return own and isinstance(func, ast.Attribute) and ast.dump(func.value) == ast.dump(hold.taken.node)

    def _bounded_above(self, function: Function) -> bool:
        for site, scope in self.roles.callers(function):
            if not isinstance(scope, Class) and any(deadline.cuts(site) for deadline in self.deadlines.of(scope)):
                return True
        return False

    def _talks(self, hold: Hold, function: Function) -> bool:
        """Whether a vendor is called with the slot in hand, or a method that only subclasses fill in."""
        sites = [site for site in function.scan.calls if hold.covers(site.node, site.frame)]
        callees = [callee for site in sites for callee in self.holding.calls.evaluator.callees(site.node, function)]
        if any(self.holding.calls.vendor(site.node, function) for site in sites):
            return True
        return any(
            callee.is_async and (_is_abstract(callee) or self.holding.reach.vendor(callee)) for callee in callees
        )


def _is_abstract(function: Function) -> bool:
    """Whether a method's body is left to subclasses."""
    rest = [
        item for item in function.node.body if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
    ]
    return all(isinstance(item, ast.Raise | ast.Pass) for item in rest)


def _frame_of(hold: Hold, function: Function) -> Frame | None:
    for block in (*function.scan.withs, *function.scan.tries):
        if block.node is hold.block:
            return block.frame
    return None
