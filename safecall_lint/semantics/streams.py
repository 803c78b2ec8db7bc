"""Answers that come piece by piece: calls that open them, and values whose work is done only as they are read."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.calls import Calls, VendorCall, argument
from safecall_lint.semantics.keywords import asks_for_stream
from safecall_lint.semantics.uses import Use, uses
from safecall_lint.semantics.values import Instance, Site

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.reach import Reach

_MANAGERS = frozenset({"contextmanager", "asynccontextmanager"})
_DEPTH = 4


class Lazy(Struct, frozen=True):
    """A value that works only while somebody reads it. `why` says what it is; `origin` where it comes from."""

    why: str
    origin: Site


class Streams(Struct, eq=False):
    """Questions about streams."""

    calls: Calls
    reach: Reach

    def opens(self, call: ast.expr | None, scope: Scope) -> VendorCall | None:
        """The vendor call that opens a stream: `stream=True`, or a method whose name says so."""
        call = call.value if isinstance(call, ast.Await) else call
        if not isinstance(call, ast.Call):
            return None
        vendor = self.calls.vendor(call, scope)
        if vendor is None:
            return None
        asked = asks_for_stream(self.calls.evaluator, call, scope)
        named = bool(vendor.path) and ("stream" in vendor.path[-1] or vendor.path[-1] in vendor.fact.streams)
        return vendor if asked or named else None

    def handed(self, call: ast.Call, scope: Scope) -> VendorCall | None:
        """The vendor call whose stream a first-party function opens for its caller."""
        callees = self.calls.evaluator.callees(call, scope)
        found = [self._opened(callee) for callee in callees]
        return found[0] if found and all(found) else None

    def _opened(self, function: Function) -> VendorCall | None:
        """The stream that a function returns, where it returns nothing else."""
        exits = [exit_.value for exit_ in function.scan.returns]
        found = [self._of_exit(expr, function) for expr in exits]
        return found[0] if found and all(found) and not function.is_generator else None

    def _of_exit(self, expr: ast.expr | None, function: Function) -> VendorCall | None:
        rows = function.scan.bindings.get(expr.id, ()) if isinstance(expr, ast.Name) else ()
        return self.opens(rows[0].value if len(rows) == 1 else expr, function)

    def generator(self, call: ast.expr | None, scope: Scope) -> Function | None:
        """The first-party generator that a call makes without running it."""
        if not isinstance(call, ast.Call):
            return None
        callees = self.calls.evaluator.callees(call, scope)
        found = [callee for callee in callees if callee.is_generator and not _MANAGERS & set(callee.decorator_names)]
        return found[0] if found and len(found) == len(callees) else None

    def lazy(self, expr: ast.expr | None, function: Function, depth: int = 0) -> Lazy | None:
        """What is still to be done when `expr` is handed on: a vendor's stream, a generator that calls a vendor, or a
        response that will read one of them."""
        expr = expr.value if isinstance(expr, ast.Await) else expr
        if expr is None:
            return None
        if isinstance(expr, ast.GeneratorExp):
            return self.lazy(expr.generators[0].iter, function, depth)
        if isinstance(expr, ast.Name):
            return self._named(expr, function, depth)
        return self._called(expr, function, depth) if isinstance(expr, ast.Call) and depth < _DEPTH else None

    def _called(self, expr: ast.Call, function: Function, depth: int) -> Lazy | None:
        site = Site(function.module, expr)
        for value in self.calls.evaluator.values(expr, function):
            fact = self.calls.evaluator.fact(value) if isinstance(value, Instance) else None
            if fact and fact.kind == "streaming-response":
                return self.lazy(argument(expr, fact), function, depth)
        if self.opens(expr, function):
            return Lazy("the vendor's stream", site)
        if generator := self.generator(expr, function):
            return Lazy("a generator that calls the vendor", site) if self.works(generator) else None
        if isinstance(expr.func, ast.Attribute) and expr.func.attr.startswith(("aiter", "iter")):
            return self.lazy(expr.func.value, function, depth)
        return self._given(expr, function, depth)

    def _given(self, expr: ast.Call, function: Function, depth: int) -> Lazy | None:
        """What a first-party function hands out."""
        for callee in self.calls.evaluator.callees(expr, function):
            for exit_ in callee.scan.returns if not callee.is_generator else ():
                if found := self.lazy(exit_.value, callee, depth + 1):
                    return found
        return None

    def _named(self, expr: ast.Name, function: Function, depth: int) -> Lazy | None:
        rows = function.scan.bindings.get(expr.id, ())
        if any(use.how == "iterate" and _runs(use) for use in uses(function, expr.id)):
            return None
        found = [self.lazy(row.value, function, depth) for row in rows if row.form in ("assign", "annotation")]
        return found[0] if found and all(found) and len(found) == len(rows) else None

    def works(self, generator: Function) -> bool:
        """Whether a generator waits for a vendor while it is read."""
        return self.reach.vendor(generator) is not None


def _runs(use: Use) -> bool:
    """Whether a use reads the stream here and now."""
    return any(isinstance(outer, ast.For | ast.AsyncFor | ast.ListComp | ast.SetComp) for outer in use.around)
