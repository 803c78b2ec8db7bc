"""Where data comes from: a request, an answer over HTTP, the rows of a table, the files of a folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from safecall_lint.semantics.evaluation.arguments import argument_of
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Member

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls, VendorCall
    from safecall_lint.semantics.roles import Roles

_ROWS: Final = frozenset({"fetchall", "scalars", "all", "readlines", "to_list"})
_DEPTH: Final = 10


class Origins(Struct, eq=False):
    """Answers whether the number of items in some data is decided outside of the program."""

    calls: Calls
    roles: Roles
    _asked: set[ast.AST | Function] = field(default_factory=set)

    def foreign(self, expr: ast.expr | None, scope: Scope) -> bool:
        """Whether `expr` is data, or a part of data, that a request, a vendor, a table or a folder brings, and that
        nobody asked for by number."""
        if expr is None or expr in self._asked or len(self._asked) > _DEPTH:
            return False
        self._asked.add(expr)
        try:
            return any(self._brings(node, scope) for node in self._chain(expr))
        finally:
            self._asked.discard(expr)

    def listing(self, call: ast.Call, scope: Scope) -> bool:
        """Whether a call lists what there is: the files of a folder, the contents of a file."""
        if self.calls.kind(call, scope) == "listing":
            return True
        for value in self.calls.evaluator.values(call.func, scope):
            if isinstance(value, Member) and (fact := self.calls.evaluator.fact(value.owner)):
                return fact.kind == "folder" and value.path[-1] in fact.calls
        return False

    def _chain(self, expr: ast.expr) -> Iterator[ast.expr]:
        """An expression and what it is made of or a part of: `a.b()["c"]`, `a.b()`, `a.b`, `a`."""
        yield expr
        match expr:
            case ast.Await(value=inner) | ast.Attribute(value=inner) | ast.Subscript(value=inner):
                yield from self._chain(inner)
            case ast.Call(func=ast.Attribute(value=inner)):
                yield from self._chain(inner)
            case ast.IfExp(body=body, orelse=orelse):
                yield from (*self._chain(body), *self._chain(orelse))
            case ast.BoolOp(values=parts):
                yield from (node for part in parts for node in self._chain(part))
            case ast.ListComp(generators=[first, *_]) | ast.GeneratorExp(generators=[first, *_]):
                yield from self._chain(first.iter)
            case _:
                return

    def _brings(self, node: ast.expr, scope: Scope) -> bool:
        if isinstance(node, ast.Name):
            return self._named(node.id, scope)
        return isinstance(node, ast.Call) and self._answers(node, scope)

    def _answers(self, call: ast.Call, scope: Scope) -> bool:
        vendor = self.calls.vendor(call, scope)
        if vendor is not None:
            return bool(vendor.fact.parses) and not self._by_number(vendor)
        if self.listing(call, scope):
            return True
        callees = self.calls.evaluator.callees(call, scope)
        if callees:
            return any(self.foreign(item.value, callee) for callee in callees for item in callee.scan.returns)
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in _ROWS:
            return not _says_limit(call)
        return any(self.foreign(arg, scope) for arg in call.args)

    def _by_number(self, vendor: VendorCall) -> bool:
        """Whether a request states a number: of results, of a page."""
        given = [*vendor.node.args, *(item.value for item in vendor.node.keywords if "timeout" not in (item.arg or ""))]
        values = [value for arg in given for value in (arg.values if isinstance(arg, ast.Dict) else [arg])]
        return any(self.calls.evaluator.number(value, vendor.scope) is not None for value in values)

    def _named(self, name: str, scope: Scope) -> bool:
        for row, owner in scope.lookup(name):
            if row.form == "parameter" and isinstance(owner, Function):
                if self._requested(row.name, owner):
                    return True
            elif row.form in ("assign", "annotation", "with", "for") and self.foreign(row.value, owner):
                return True
        return False

    def _requested(self, name: str, function: Function) -> bool:
        """Whether a parameter is what a request brings, here or in a route that passes it on."""
        if self.roles.route(function):
            return True
        if function in self._asked or name == function.first_parameter or len(self._asked) > _DEPTH:
            return False
        self._asked.add(function)
        try:
            callers = self.roles.everywhere.of(function)
            return any(self.foreign(argument_of(site.node, name, function), scope) for site, scope in callers)
        finally:
            self._asked.discard(function)


def _says_limit(call: ast.Call) -> bool:
    """Whether a query says how many rows it wants: `.limit(10)`, `LIMIT 10`."""
    return "limit" in ast.unparse(call).lower()
