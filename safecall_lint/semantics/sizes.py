"""How many items a collection can have: a few that the code bounds, as many as its data, or nobody can tell."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from safecall_lint.semantics.evaluation import origin
from safecall_lint.semantics.evaluation.arguments import argument_of
from safecall_lint.semantics.lengths import (
    ONE_MORE,
    SAME_SIZE,
    appends_slices,
    is_measured,
    is_nothing,
    is_single,
    is_whole,
    measured,
    mentions,
    starts_empty,
    states_length,
)
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import ClassValue, Container, Symbol

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.origins import Origins
    from safecall_lint.semantics.roles import Roles
    from safecall_lint.semantics.scan import Binding, CallSite, Frame

_MANY_MORE: Final = frozenset({"extend", "update", "extendleft"})
_DEPTH: Final = 12


class Size(IntEnum):
    """FEW: the code bounds it. OPEN: as many as a request, a table, a folder or a caller brings. UNCLEAR: neither."""

    FEW = 0
    UNCLEAR = 1
    OPEN = 2


class Sizes(Struct, eq=False):
    """Answers how many items there can be. A slice, a count that somebody chose or a literal makes them few."""

    calls: Calls
    roles: Roles
    origins: Origins
    _asked: dict[tuple[object, str], Size] = field(default_factory=dict)

    def of(self, expr: ast.expr | None, scope: Scope) -> Size:
        """The size of the collection that `expr`, standing in `scope`, is."""
        match expr:
            case ast.Await(value=value) | ast.Starred(value=value) | ast.NamedExpr(value=value):
                return self.of(value, scope)
            case ast.Constant():
                return Size.FEW
            case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return self._most([part for part in parts if isinstance(part, ast.Starred)], scope)
            case ast.Dict(keys=keys, values=values):
                return self._most([value for key, value in zip(keys, values, strict=True) if key is None], scope)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._most([generator.iter for generator in expr.generators], scope)
            case ast.IfExp(body=body, orelse=orelse):
                return self._most([body, orelse], scope)
            case ast.BoolOp(values=parts):
                return self._most(parts, scope)
            case ast.BinOp(left=left, op=ast.Add() | ast.BitOr(), right=right):
                return self._most([left, right], scope)
            case ast.BinOp(left=left, op=ast.Sub() | ast.BitAnd()):
                return self.of(left, scope)
            case ast.Subscript(value=value, slice=ast.Slice(upper=upper, lower=lower)):
                return self.of(value, scope) if is_whole(lower, upper) else Size.FEW
            case ast.Name(id=name):
                return self._asked.get((scope, name)) or self._named(name, scope)
            case ast.Call():
                return self._once(expr, "", lambda: self._called(expr, scope))
            case ast.Attribute() | ast.Subscript():
                return self._part(expr, scope)
            case _:
                return Size.UNCLEAR

    def _most(self, parts: Iterable[ast.expr], scope: Scope) -> Size:
        return max((self.of(part, scope) for part in parts), default=Size.FEW)

    def _once(self, key: object, name: str, work: Callable[[], Size], again: Size = Size.FEW) -> Size:
        """Do `work`; what is asked for again on its way counts as `again`: of the size that its other sources have."""
        if (key, name) in self._asked:
            return self._asked[key, name]
        if len(self._asked) > _DEPTH:
            return Size.UNCLEAR
        self._asked[key, name] = again
        try:
            return work()
        finally:
            del self._asked[key, name]

    # -- names -------------------------------------------------------------------------------------------------------

    def _named(self, name: str, scope: Scope) -> Size:
        rows = origin.rows(self.calls.evaluator, name, scope)
        owner = rows[0][1] if rows else scope
        if (isinstance(owner, Function) and is_measured(name, owner)) or self._is_cut(name, scope, rows):
            return Size.FEW
        return self._once(scope, name, lambda: self._sources(name, rows))

    def _is_cut(self, name: str, scope: Scope, rows: list[tuple[Binding, Scope]]) -> bool:
        """Whether a name is bound to a few of its own items: `items = items[:10]`."""
        for row, at in rows:
            if row.form == "assign" and row.value is not None and mentions(row.value, name):
                again = partial(self.of, row.value, at)
                if self._once(scope, name, again, Size.OPEN) is Size.FEW:
                    return True
        return False

    def _sources(self, name: str, rows: list[tuple[Binding, Scope]]) -> Size:
        made = [self._bound(row, at) for row, at in rows if row.form != "item" and not starts_empty(row)]
        grown = [size for at in dict.fromkeys(at for _, at in rows) for size in self._growth(name, at)]
        if not made and not grown:
            return Size.UNCLEAR
        mixed = Size.FEW in made and max(made) is not Size.FEW
        return max([Size.UNCLEAR] if mixed else made, default=Size.FEW) if not grown else max([*made, *grown])

    def _bound(self, row: Binding, owner: Scope) -> Size:
        match row.form:
            case "assign" | "annotation" if row.value is not None:
                return self.of(row.value, owner)
            case "parameter" if isinstance(owner, Function):
                return self._passed(row, owner)
            case "for":
                return self._element(row.value, owner)
            case "import" | "class":
                values = self.calls.evaluator.bound(row, owner)
                return Size.FEW if any(self._spelled_out(value) for value in values) else Size.UNCLEAR
            case _:
                return Size.UNCLEAR

    def _spelled_out(self, value: object) -> bool:
        """Whether a value is a collection whose items the code lists: a literal or an enumeration."""
        if isinstance(value, ClassValue):
            bases = (self.calls.evaluator.values(base, value.cls.module) for base in value.cls.node.bases)
            return any(isinstance(base, Symbol) and base.name.startswith("enum.") for row in bases for base in row)
        return isinstance(value, Container) and bool(value.size)

    def _growth(self, name: str, scope: Scope) -> Iterator[Size]:
        """What is put into a collection after it was made: one item per turn of the loops around, or many."""
        for site in scope.scan.calls:
            func = site.node.func
            if isinstance(func, ast.Attribute) and getattr(func.value, "id", "") == name and site.node.args:
                if func.attr in ONE_MORE:
                    distinct = func.attr == "add" and isinstance(site.node.args[0], ast.Attribute | ast.Subscript)
                    yield min(self._turns(site.frame, scope), Size.UNCLEAR if distinct else Size.OPEN)
                elif func.attr in _MANY_MORE:
                    yield max(self.of(site.node.args[0], scope), self._turns(site.frame, scope))
        for row in scope.scan.bindings.get(name, ()):
            if row.form == "item":
                yield self._turns(row.frame, scope)
            elif isinstance(row.statement, ast.AugAssign):
                yield max(self.of(row.statement.value, scope), self._turns(row.frame, scope))

    def _turns(self, frame: Frame | None, scope: Scope) -> Size:
        """How often the loops around a place go round."""
        size = Size.FEW
        for inner in frame.chain() if frame else ():
            if isinstance(inner.node, ast.For) and inner.section == "body":
                size = max(size, self.of(inner.node.iter, scope))
            elif isinstance(inner.node, ast.AsyncFor) and inner.section == "body":
                size = max(size, Size.UNCLEAR)
            elif isinstance(inner.node, ast.While) and inner.section == "body":
                size = max(size, Size.UNCLEAR if isinstance(inner.node.test, ast.Compare) else Size.OPEN)
        return size

    # -- parameters --------------------------------------------------------------------------------------------------

    def _passed(self, row: Binding, function: Function) -> Size:
        """What the callers of a function pass; what strangers do where it is a route, or public and nobody calls it."""
        if states_length(row.annotation) or states_length(row.value):
            return Size.FEW
        if self.roles.route(function):
            return Size.OPEN
        sizes = [self._given(row, site, scope, function) for site, scope in self.roles.everywhere.of(function)]
        if not sizes:
            public = not function.name.startswith("_") and not isinstance(function.parent, Function)
            return Size.OPEN if public else Size.UNCLEAR
        if Size.OPEN in sizes:
            return Size.OPEN
        return Size.FEW if set(sizes) == {Size.FEW} else Size.UNCLEAR

    def _given(self, row: Binding, site: CallSite, scope: Scope, function: Function) -> Size:
        given = argument_of(site.node, row.name, function)
        if given is not None:
            return self.of(given, scope)
        spread = [arg for arg in site.node.args if isinstance(arg, ast.Starred)]
        if function.node.args.vararg and function.node.args.vararg.arg == row.name:
            return self._most(spread, scope)
        unknown = spread or any(keyword.arg is None for keyword in site.node.keywords)
        return Size.UNCLEAR if unknown else Size.FEW

    # -- calls -------------------------------------------------------------------------------------------------------

    def _called(self, call: ast.Call, scope: Scope) -> Size:
        func = call.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        kind = self.calls.kind(call, scope)
        if name in ("range", "min", "zip", "islice") or kind == "portion":
            return self._counted(call, name, scope)
        if self.origins.listing(call, scope):
            return Size.OPEN
        if kind == "fan-out":
            return self._most(call.args, scope)
        if (name in SAME_SIZE or kind == "batches") and call.args:
            return self.of(call.args[-1 if name in ("map", "filter", "cast") else 0], scope)
        if name in SAME_SIZE and isinstance(func, ast.Attribute):
            return self.of(func.value, scope)
        callees = self.calls.evaluator.callees(call, scope)
        if callees:
            return max(self._returned(callee) for callee in callees)
        return self._data(call, scope)

    def _counted(self, call: ast.Call, name: str, scope: Scope) -> Size:
        """`range(n)` and the like: as many as somebody chose, or as a collection that is measured for it."""
        if name == "zip":
            return min((self.of(arg, scope) for arg in call.args), default=Size.FEW)
        asked = [item for arg in call.args for item in measured(arg)]
        return self._most(asked, scope) if name == "range" else Size.FEW

    def _returned(self, function: Function) -> Size:
        """The size of what a function returns; of a generator, how often it yields."""
        return self._once(function, "", lambda: self._exits(function))

    def _exits(self, function: Function) -> Size:
        if function.is_generator:
            return max(self._turns(frame, function) for _, frame in function.scan.yields)
        exits = [item.value for item in function.scan.returns if item.value is not None and not is_nothing(item.value)]
        sizes = {self.of(item, function) for item in exits}
        if not sizes:
            return Size.UNCLEAR
        return Size.UNCLEAR if Size.FEW in sizes and len(sizes) > 1 else max(sizes)

    # -- parts of something ------------------------------------------------------------------------------------------

    def _part(self, expr: ast.Attribute | ast.Subscript, scope: Scope) -> Size:
        if any(self._spelled_out(value) for value in self.calls.evaluator.values(expr, scope)):
            return Size.FEW
        if isinstance(expr, ast.Attribute) and self._declared_small(expr, scope):
            return Size.FEW
        return self._data(expr, scope)

    def _declared_small(self, expr: ast.Attribute, scope: Scope) -> bool:
        """Whether the class of an object says how many items its field takes at most."""
        evaluator = self.calls.evaluator
        for value in evaluator.values(expr.value, scope):
            for level in evaluator.lineage(cls) if (cls := getattr(value, "cls", None)) else ():
                for row in level.scan.bindings.get(expr.attr, ()):
                    if states_length(row.annotation) or states_length(row.value):
                        return True
        return False

    def _data(self, expr: ast.expr, scope: Scope) -> Size:
        return Size.OPEN if self.origins.foreign(expr, scope) else Size.UNCLEAR

    # -- portions ----------------------------------------------------------------------------------------------------

    def _element(self, expr: ast.expr | None, scope: Scope) -> Size:
        """The size of one item of a collection of collections: few where it was cut into portions."""
        match expr:
            case ast.ListComp(elt=item) | ast.GeneratorExp(elt=item):
                return Size.FEW if self.of(item, scope) is Size.FEW and not is_single(item) else Size.UNCLEAR
            case ast.Name(id=name):
                rows = [(row, at) for row, at in scope.lookup(name) if row.value is not None]
                made = [self._element(row.value, at) for row, at in rows if row.form in ("assign", "annotation")]
                made += [Size.FEW for _, at in rows[:1] if appends_slices(name, at)]
                return Size.FEW if Size.FEW in made else Size.UNCLEAR
            case ast.Call(args=[first, *_]) if getattr(expr.func, "id", "") in SAME_SIZE:
                return self._element(first, scope)
            case ast.Call():
                if self.calls.kind(expr, scope) == "batches":
                    return Size.FEW
                callees = self.calls.evaluator.callees(expr, scope)
                return Size.FEW if any(map(self._gives_portions, callees)) else Size.UNCLEAR
            case _:
                return Size.UNCLEAR

    def _gives_portions(self, function: Function) -> bool:
        yielded = [item.value for item, _ in function.scan.yields if isinstance(item, ast.Yield)]
        if yielded:
            return any(item is not None and self.of(item, function) is Size.FEW for item in yielded)
        return any(self._element(item.value, function) is Size.FEW for item in function.scan.returns)
