"""Fan-outs: places where a coroutine is started for each item of a collection, all at once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct, field

from safecall_lint.semantics.calls import Calls, VendorCall, has_unpacking
from safecall_lint.semantics.lengths import is_measured
from safecall_lint.semantics.roles import CACHED
from safecall_lint.semantics.sizes import Size, Sizes
from safecall_lint.semantics.values import FunctionValue, Instance, Result, Site, Symbol

if TYPE_CHECKING:
    from safecall_lint.semantics.holding import Holding
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.scan import CallSite, Frame

_SPAWNING: Final = frozenset({"create_task", "ensure_future", "shield", "wait_for", "Task"})
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)
_MAY_BOUND: Final = re.compile(r"limit|throttl|semaphore|bounded|concurren|cache", re.IGNORECASE)
_GATES: Final = frozenset({"gate", "lock", "limiter"})
_FAR: Final = 4


class Started(Struct, frozen=True):
    """What runs for each item: a call, with the functions of the project that it may be."""

    node: ast.Call
    callees: tuple[Function, ...]


class FanOut(Struct, frozen=True):
    """A call that starts everything at once: `node`. `started` is what runs for each item, `items` the collection that
    makes it many, `vendor` the call that each item leads to; `certain` where the code shows that nothing bounds either.
    """

    node: ast.Call
    started: ast.Call
    items: ast.expr
    vendor: Site
    certain: bool


_Spread: TypeAlias = tuple[list[ast.expr], Started]


class FanOuts(Struct, eq=False):
    """Finds fan-outs of vendor calls that nothing bounds."""

    calls: Calls
    reach: Reach
    holding: Holding
    sizes: Sizes
    _known: dict[Function, list[FanOut]] = field(default_factory=dict)

    def of(self, function: Function) -> list[FanOut]:
        """The unbounded fan-outs of vendor calls in a function."""
        if function not in self._known:
            found = [item for site in function.scan.calls if (item := self._found(site, function))]
            if not self.calls.evaluator.idle:
                return found
            self._known[function] = found
        return self._known[function]

    def _found(self, site: CallSite, function: Function) -> FanOut | None:
        for collections, started in self._started(site, function):
            certain = self._vendor(started, function, doubt=False)
            vendor = certain or self._vendor(started, function, doubt=True)
            if vendor is not None:
                size, items = max(
                    ((self.sizes.of(expr, function), expr) for expr in collections), key=lambda row: row[0]
                )
                if size is not Size.FEW:
                    return FanOut(site.node, started.node, items, vendor, certain is not None and size is Size.OPEN)
        return None

    # -- what is started ---------------------------------------------------------------------------------------------

    def _started(self, site: CallSite, function: Function) -> Iterator[_Spread]:
        """The collections that a call goes through, each with the call that it starts for one item."""
        kind = self.calls.kind(site.node, function)
        if kind == "fan-out":
            gathers = _is_gather(site.node)
            for argument in site.node.args if gathers else site.node.args[:1]:
                if isinstance(argument, ast.Starred):
                    yield from self._elements(argument.value, site, function)
                elif not gathers:
                    yield from self._elements(argument, site, function)
        elif site.node.args and (self._of_group(site, function) or self._left_running(site, kind, function)):
            collections = _loops(site, None)
            for coroutine in self._coroutines(site.node.args[0], function) if collections else ():
                yield collections, coroutine

    def _of_group(self, site: CallSite, function: Function) -> bool:
        """Whether a call starts a task of a task group."""
        func = site.node.func
        if not isinstance(func, ast.Attribute) or func.attr not in ("create_task", "start_soon"):
            return False
        return bool(self.calls.evaluator.of_kind(func.value, function, "task-group"))

    def _left_running(self, site: CallSite, kind: str, function: Function) -> bool:
        """Whether a task is started in a loop that waits for nothing, in a function that gathers no tasks."""
        if kind != "spawn" or any(self.calls.kind(item.node, function) == "fan-out" for item in function.scan.calls):
            return False
        around = [inner.node for inner in site.frame.chain() if isinstance(inner.node, ast.For)] if site.frame else []
        return not any(
            inner.node in around for _, frame in function.scan.awaits for inner in (frame.chain() if frame else ())
        )

    def _elements(self, expr: ast.expr, site: CallSite, function: Function) -> Iterator[_Spread]:
        """The collections behind the coroutines or tasks in `expr`, which `site` waits for."""
        if isinstance(expr, _COMPREHENSIONS):
            for coroutine in self._coroutines(expr.elt, function):
                yield [generator.iter for generator in expr.generators], coroutine
        elif isinstance(expr, ast.Call):
            yield from self._mapped(expr, site, function)
        elif isinstance(expr, ast.Name) and not is_measured(expr.id, function):
            for row in function.scan.bindings.get(expr.id, []):
                made = row.value if row.form in ("assign", "annotation") else None
                if made is not None and not isinstance(made, ast.Name):
                    yield from self._elements(made, site, function)
            yield from self._appended(expr.id, site, function)

    def _mapped(self, call: ast.Call, site: CallSite, function: Function) -> Iterator[_Spread]:
        """What `list(...)` holds, and what `map(f, items)` starts."""
        name = getattr(call.func, "id", "")
        if name in ("list", "tuple", "set") and call.args:
            yield from self._elements(call.args[0], site, function)
        elif name == "map" and len(call.args) > 1:
            values = self.calls.evaluator.values(call.args[0], function)
            callees = tuple(value.function for value in values if isinstance(value, FunctionValue))
            yield [call.args[1]], Started(call, callees)

    def _appended(self, name: str, site: CallSite, function: Function) -> Iterator[_Spread]:
        for inner in function.scan.calls:
            func = inner.node.func
            if isinstance(func, ast.Attribute) and func.attr in ("append", "add") and inner.node.args:
                collections = _loops(inner, site.frame)
                if getattr(func.value, "id", "") == name and collections:
                    for coroutine in self._coroutines(inner.node.args[0], function):
                        yield collections, coroutine

    def _coroutines(self, expr: ast.expr, function: Function) -> Iterator[Started]:
        """The calls whose coroutine an expression starts, one of them at a time."""
        if isinstance(expr, ast.IfExp):
            yield from self._coroutines(expr.body, function)
            yield from self._coroutines(expr.orelse, function)
        elif isinstance(expr, ast.Name):
            rows = [row.value for row in function.scan.bindings.get(expr.id, []) if isinstance(row.value, ast.Call)]
            for made in rows[-1:]:
                yield from self._coroutines(made, function)
        elif isinstance(expr, ast.Call):
            func = expr.func
            name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            if name in _SPAWNING and expr.args:
                yield from self._coroutines(expr.args[0], function)
            else:
                yield Started(expr, tuple(self.calls.evaluator.callees(expr, function)))

    # -- what it does ------------------------------------------------------------------------------------------------

    def _vendor(self, started: Started, function: Function, *, doubt: bool) -> Site | None:
        """The vendor call that a started coroutine makes without a gate on the way. With `doubt`, a decorator that
        may be a gate, for all that we know of it, is none."""
        direct = self.calls.vendor(started.node, function)
        if direct is not None:
            return None if self._limited(direct) else Site(function.module, started.node)

        def passes(site: CallSite, at: Function) -> bool:
            return self._open(site, at, doubt)

        def probe(site: CallSite, at: Function) -> VendorCall | None:
            vendor = self.calls.vendor(site.node, at)
            limited = vendor is not None and self._limited(vendor) and not _own(vendor, at)
            return vendor if vendor is not None and not limited and passes(site, at) else None

        for callee in started.callees:
            if callee.is_async and not self._bounds(callee, doubt):
                chain = self.reach.first(callee, probe, passes)
                if chain is not None and len(chain.steps) <= _FAR:
                    return Site(chain.function.module, chain.end.node)
        return None

    def _open(self, site: CallSite, function: Function, doubt: bool) -> bool:
        """Whether a call is made without a gate, lock or limiter in its own function, and into one without."""
        if self._bounds(function, doubt) or self._under_unknown(site, function):
            return False
        return not any(self._bounds(callee, doubt) for callee in self.calls.evaluator.callees(site.node, function))

    def _bounds(self, function: Function, doubt: bool) -> bool:
        """Whether a function waits for a gate or limiter before it goes on, or is decorated to."""
        if self._decorated(function) or (not doubt and any(map(_MAY_BOUND.search, function.decorator_names))):
            return True
        if self.holding.holds(function):
            return True
        if self.calls.evaluator.shapes.paces(function):
            return True
        return any(self._waits(site, function) for site in function.scan.calls)

    def _decorated(self, function: Function) -> bool:
        """Whether a decorator keeps results, is a limiter, or takes a gate in the function that it puts around."""
        if CACHED & set(function.decorator_names):
            return True
        for decorator in function.node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            for value in self.calls.evaluator.values(target, function.parent or function.module):
                fact = self.calls.evaluator.fact(value) if isinstance(value, Symbol) else None
                if fact is not None and fact.kind in _GATES:
                    return True
                if isinstance(value, FunctionValue) and any(map(self.holding.holds, _with_inner(value.function))):
                    return True
        return False

    def _waits(self, site: CallSite, function: Function) -> bool:
        if self.calls.admission(site.node, function):
            return True
        paces = self.calls.evaluator.shapes.paces
        return any(paces(callee) is not None for callee in self.calls.evaluator.callees(site.node, function))

    def _under_unknown(self, site: CallSite, function: Function) -> bool:
        """Whether a call stands in an `async with` on something that may be a gate, for all that we know of it."""
        evaluator = self.calls.evaluator
        for frame in site.frame.chain() if site.frame else ():
            if isinstance(frame.node, ast.AsyncWith) and frame.section == "body":
                for item in frame.node.items:
                    values = evaluator.values(item.context_expr, function)
                    if not any(isinstance(value, Result) or evaluator.kind(value) for value in values):
                        return True
        return False

    def _limited(self, vendor: VendorCall) -> bool:
        """Whether the client of a call has a limit that somebody chose."""
        client = vendor.client
        if not isinstance(client, Instance) or client.call is None:
            return False
        given = {keyword.arg for keyword in client.call.keywords}
        chosen = {vendor.fact.limits_keyword, *vendor.fact.transport_keywords} - {""}
        return bool(given & chosen) or has_unpacking(client.call)


def _own(vendor: VendorCall, function: Function) -> bool:
    """Whether a function makes the client of a call anew for itself, so that its limits bound no other call."""
    return isinstance(vendor.client, Instance) and vendor.client.scope is function


def _is_gather(call: ast.Call) -> bool:
    func = call.func
    return (func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")) == "gather"


def _with_inner(function: Function) -> Iterator[Function]:
    """A function and those defined in it."""
    yield function
    for inner in function.functions.values():
        yield from _with_inner(inner)


def _loops(site: CallSite, outer: Frame | None) -> list[ast.expr]:
    """What the loops around a call go through, up to the ones that `outer` stands in too or a task group's block;
    none where one of them is no `for`."""
    shared = {inner.node for inner in outer.chain()} if outer else set()
    found: list[ast.expr] = []
    for frame in site.frame.chain() if site.frame else ():
        if frame.node in shared or isinstance(frame.node, ast.AsyncWith):
            break
        if isinstance(frame.node, ast.For) and frame.section == "body":
            found.append(frame.node.iter)
        elif isinstance(frame.node, _COMPREHENSIONS):
            found += [generator.iter for generator in frame.node.generators]
        elif isinstance(frame.node, ast.While | ast.AsyncFor) and frame.section == "body":
            return []
    return found
