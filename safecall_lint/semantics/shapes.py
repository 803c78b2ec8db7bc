"""First-party gates and limiters, known by what they do: nobody declares them.

A gate is a class that takes a library gate, or waits and counts up, when it is entered, and undoes that when it is
left. A limiter's wait is a method that sleeps for a time worked out from a clock and writes a time down on its object.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.knowledge import Fact
from safecall_lint.semantics.scan import dotted
from safecall_lint.semantics.values import Instance, Member, Symbol

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Class, Function

_DEPTH = 8
_APPENDING = frozenset({"append", "appendleft", "extend"})
_FIRST_PARTY = "first-party"


class Shapes(Struct, eq=False):
    """Reads first-party classes."""

    evaluator: Evaluator
    _facts: dict[Class, Fact | None] = field(default_factory=dict)
    _pacing: dict[Function, ast.Call | None] = field(default_factory=dict)

    def fact(self, cls: Class) -> Fact | None:
        """What a class is by its shape: a gate, a limiter, or nothing that we know."""
        if cls in self._facts:
            return self._facts[cls]
        self._facts[cls] = None
        found = self._read(cls)
        if self.evaluator.idle:
            self._facts[cls] = found
        else:
            del self._facts[cls]
        return found

    def _read(self, cls: Class) -> Fact | None:
        enter = self.evaluator.method(cls, "__aenter__") or self.evaluator.method(cls, "acquire")
        leave = self.evaluator.method(cls, "__aexit__") or self.evaluator.method(cls, "release")
        if enter is None or not enter.is_async:
            return None
        kind = leave and self._kind_of_pair(cls, enter, leave)
        if kind:
            return Fact(cls.qualname, _FIRST_PARTY, kind, waits=("acquire",), releases=("release",))
        if self.paces(enter):
            return Fact(cls.qualname, _FIRST_PARTY, "limiter", waits=("acquire", enter.name))
        return None

    def _kind_of_pair(self, cls: Class, enter: Function, leave: Function) -> str:
        """The kind of what entering takes and leaving gives back."""
        taken = self._taken(enter, ("acquire", "__aenter__"))
        given = self._taken(leave, ("release", "__aexit__"))
        common = taken & given
        if common:
            return "lock" if common == {"lock"} else "gate"
        counters = self._counts(enter, ast.Add) & self._counts(leave, ast.Sub)
        return "gate" if any(self._waits_on(enter, name) for name in counters) else ""

    def _waits_on(self, enter: Function, counter: str) -> bool:
        """Whether entering waits while a counter is at its bound."""
        for function in self.own(enter):
            for block in function.scan.loops:
                test = block.node.test if isinstance(block.node, ast.While) else None
                compared = isinstance(test, ast.Compare) and counter in _names(test)
                if compared and any(isinstance(part, ast.Await) for part in ast.walk(block.node)):
                    return True
        return False

    def _taken(self, function: Function, names: tuple[str, ...]) -> set[str]:
        """The kinds of library gates on which a method, or another method of its class, calls one of `names`."""
        found: set[str] = set()
        for inner in self.own(function):
            for site in inner.scan.calls:
                func = site.node.func
                if isinstance(func, ast.Attribute) and func.attr in names:
                    kinds = (self._library_kind(value) for value in self.evaluator.values(func.value, inner))
                    found.update(kind for kind in kinds if kind in ("gate", "lock"))
        return found

    def _library_kind(self, value: object) -> str:
        return self.evaluator.kind(value) if isinstance(value, Instance) else ""

    def _counts(self, function: Function, sign: type[ast.operator]) -> set[str]:
        """The attributes of its object that a method counts up or down."""
        found: set[str] = set()
        for inner in self.own(function):
            for name, rows in inner.scan.attributes.items():
                statements = (row.statement for row in rows)
                if any(isinstance(item, ast.AugAssign) and isinstance(item.op, sign) for item in statements):
                    found.add(name)
        return found

    def own(self, function: Function) -> list[Function]:
        """A function and the ones of its own class that it calls, directly or not."""
        found = [function]
        for inner in found:
            for site in inner.scan.calls:
                callees = self.evaluator.callees(site.node, inner) if len(found) < _DEPTH else ()
                found.extend(
                    callee for callee in callees if callee.cls and callee not in found and self._kin(callee, function)
                )
        return found

    def _kin(self, callee: Function, function: Function) -> bool:
        return bool(function.cls and callee.cls and callee.cls in self.evaluator.lineage(function.cls))

    # -- pacing --------------------------------------------------------------------------------------------------

    def paces(self, function: Function) -> ast.Call | None:
        """The sleep by which a function waits for its turn, or None where it is no limiter's wait."""
        if function in self._pacing:
            return self._pacing[function]
        found = self._paces(function) if function.is_async else None
        if self.evaluator.idle:
            self._pacing[function] = found
        return found

    def _paces(self, function: Function) -> ast.Call | None:
        own = self.own(function)
        kept = {name for inner in own for name in self._keeps_time(inner)}
        if not any(kept & _read(inner) for inner in own):
            return None
        for inner in own:
            for site in inner.scan.calls:
                if self._sleeps(site.node, inner) and self._timed(site.node, inner):
                    return site.node
        return None

    def _sleeps(self, call: ast.Call, scope: Function) -> bool:
        return any(self._symbol_kind(value) == "sleep" for value in self.evaluator.values(call.func, scope))

    def _symbol_kind(self, value: object) -> str:
        fact = self.evaluator.fact(value) if isinstance(value, Symbol) else None
        return fact.kind if fact else ""

    def _timed(self, call: ast.Call, function: Function) -> bool:
        """Whether the arguments of a sleep come from a clock."""
        tainted = self._tainted(function)
        return any(self._has_time(arg, function, tainted) for arg in call.args)

    def _keeps_time(self, function: Function) -> Iterator[str]:
        """The names of its object or its module in which a function writes a time down for the next call."""
        tainted = self._tainted(function)
        yield from (function.scan.global_names | function.scan.nonlocal_names) & tainted
        for name, expr in _stored(function):
            if self._has_time(expr, function, tainted):
                yield name

    def _tainted(self, function: Function) -> set[str]:
        """The local names whose values come from a clock."""
        tainted: set[str] = set()
        grown = True
        while grown:
            grown = False
            for name, rows in function.scan.bindings.items():
                if name not in tainted and any(self._has_time(row.value, function, tainted) for row in rows):
                    tainted.add(name)
                    grown = True
        return tainted

    def _has_time(self, expr: ast.expr | None, function: Function, tainted: set[str]) -> bool:
        for node in ast.walk(expr) if expr is not None else ():
            if isinstance(node, ast.Name) and node.id in tainted:
                return True
            if isinstance(node, ast.Call) and self._reads_clock(node, function):
                return True
        return False

    def _reads_clock(self, call: ast.Call, function: Function) -> bool:
        for value in self.evaluator.values(call.func, function):
            if self._symbol_kind(value) == "clock":
                return True
            if isinstance(value, Member) and self.evaluator.kind(value.owner) == "loop" and value.path == ("time",):
                return True
        return any(
            self._returns_time(callee)
            for callee in self.evaluator.callees(call, function)
            if self._kin(callee, function)
        )

    def _returns_time(self, function: Function) -> bool:
        if not function.scan.returns or function.is_async:
            return False
        clocks = (value for site in function.scan.calls for value in self.evaluator.values(site.node.func, function))
        return any(self._symbol_kind(value) == "clock" for value in clocks)


def _stored(function: Function) -> Iterator[tuple[str, ast.expr]]:
    """What a function writes to attributes, or appends to collections in attributes."""
    for name, rows in function.scan.attributes.items():
        yield from ((name, row.value) for row in rows if "." in name and row.value is not None)
    for site in function.scan.calls:
        func = site.node.func
        if isinstance(func, ast.Attribute) and func.attr in _APPENDING and "." in dotted(func.value):
            yield from ((dotted(func.value), argument) for argument in site.node.args)


def _read(function: Function) -> set[str]:
    """The names and attribute chains that a function reads, apart from the collections that it only appends to."""
    appended = {site.node.func.value for site in function.scan.calls if _appends(site.node)}  # type: ignore[attr-defined]
    nodes = (node for node in ast.walk(function.node) if isinstance(node, ast.Attribute | ast.Name))
    return {dotted(node) for node in nodes if isinstance(node.ctx, ast.Load) and node not in appended}


def _appends(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in _APPENDING


def _names(expr: ast.expr) -> set[str]:
    """The attribute chains that an expression reads."""
    return {dotted(node) for node in ast.walk(expr) if isinstance(node, ast.Attribute)}
