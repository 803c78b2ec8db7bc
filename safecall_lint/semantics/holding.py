"""What is in hand while a statement runs: gates, locks and limiters taken by `async with`, by `acquire()`, or by an
async context manager of the project that does one of these around its `yield`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.semantics.calls import Calls, argument
from safecall_lint.semantics.reach import Reach
from safecall_lint.semantics.values import FunctionValue, Instance, Object, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function, Scope
    from safecall_lint.semantics.scan import CallSite, Frame

_DEPTH = 4
_MANAGERS = frozenset({"asynccontextmanager"})
_KINDS = ("gate", "lock", "limiter")
_KEPT = ("body", "handler", "orelse")


class Taken(Struct, frozen=True):
    """A gate, lock or limiter that an expression takes: which, and the expression that made it ours."""

    value: Instance | Object
    kind: str
    node: ast.expr


class Hold(Struct, frozen=True):
    """A stretch of a function that runs with something in hand. `block` is the `async with`, the `try` whose
    `finally` releases, or the `acquire()` statement; `lines` bound the stretch where no block does."""

    taken: Taken
    block: ast.stmt
    position: int
    function: Function
    lines: tuple[tuple[int, int], ...] = ()

    def covers(self, node: ast.expr | ast.stmt, frame: Frame | None) -> bool:
        """Whether something in the function, standing in `frame`, runs while this is held."""
        if self.lines:
            return any(first <= node.lineno <= last for first, last in self.lines)
        return any(self._inside(inner) for inner in (frame.chain() if frame else ()))

    def _inside(self, frame: Frame) -> bool:
        if frame.node is not self.block:
            return False
        return frame.section in _KEPT or (frame.section == "items" and frame.position > self.position)


class Holding(Struct, eq=False, dict=True):
    """Answers what is held where."""

    calls: Calls
    _holds: dict[Function, list[Hold]] = field(default_factory=dict)

    @cached_property
    def reach(self) -> Reach:
        return Reach(self.calls)

    def holds(self, function: Function, *kinds: str) -> list[Hold]:
        """The stretches of a function that hold something, outermost first. Only `kinds` where given."""
        found = self._holds.get(function)
        if found is None:
            found = [*self._entered(function), *self._released(function), *self._acquired(function)]
            if self.calls.evaluator.idle:
                self._holds[function] = found
        return [hold for hold in found if not kinds or hold.taken.kind in kinds]

    def slots(self, function: Function) -> list[Hold]:
        """What a function holds that others want for calls of their own: gates, and locks that guard vendor calls."""
        found = self.holds(function, "gate", "lock")
        return [hold for hold in found if hold.taken.kind == "gate" or self._guards(hold, function)]

    def _guards(self, hold: Hold, function: Function) -> bool:
        sites = (site for site in function.scan.calls if hold.covers(site.node, site.frame))
        return any(self._talks(site, function) for site in sites)

    def _talks(self, site: CallSite, function: Function) -> bool:
        callees = self.calls.evaluator.callees(site.node, function)
        return bool(self.calls.vendor(site.node, function)) or any(map(self.reach.vendor, callees))

    def under(self, function: Function) -> Iterator[tuple[CallSite, Hold]]:
        """The calls that a function makes with a slot in hand, each with the slot it took last."""
        slots = self.slots(function)
        for site in function.scan.calls if slots else ():
            covering = [hold for hold in slots if hold.covers(site.node, site.frame)]
            if covering and not self.calls.spawned(site):
                yield site, max(covering, key=lambda hold: (hold.block.lineno, hold.position))

    @staticmethod
    def innermost(slots: list[Hold], statement: ast.stmt, function: Function) -> Hold | None:
        """The slot taken last around a loop or `with` of a function."""
        blocks = (*function.scan.loops, *function.scan.withs)
        frames = [block.frame for block in blocks if block.node is statement]
        covering = [hold for hold in slots if any(hold.covers(statement, frame) for frame in frames)]
        return max(covering, key=lambda hold: (hold.block.lineno, hold.position), default=None)

    def innermost_at(self, slots: list[Hold], inner: Hold) -> Hold | None:
        """The slot taken last around the place that takes `inner`, another item of the same `with` included."""
        beside = [hold for hold in slots if hold.block is inner.block and hold.position < inner.position]
        return beside[-1] if beside else self.innermost(slots, inner.block, inner.function)

    def _entered(self, function: Function) -> Iterator[Hold]:
        for block in function.scan.withs:
            if isinstance(block.node, ast.With | ast.AsyncWith):
                for position, item in enumerate(block.node.items):
                    for taken in self.entered(item.context_expr, function):
                        yield Hold(taken, block.node, position, function)

    def entered(self, expr: ast.expr, scope: Scope, depth: int = _DEPTH) -> list[Taken]:
        """What `async with expr` holds while its body runs."""
        evaluator = self.calls.evaluator
        for value in evaluator.of_kind(expr, scope, *_KINDS):
            return [Taken(value, evaluator.kind(value), expr)]
        if not isinstance(expr, ast.Call) or not depth:
            return []
        managers = (value for value in evaluator.values(expr.func, scope) if isinstance(value, FunctionValue))
        found = [taken for value in managers for taken in self._around_yield(value.function, depth - 1)]
        return [Taken(taken.value, taken.kind, expr) for taken in found[:1]]

    def _around_yield(self, function: Function, depth: int) -> Iterator[Taken]:
        """What an async context manager holds where it yields, also one that a function gives."""
        if not function.is_async and not function.is_generator:
            for given in function.scan.returns:
                if given.value is not None:
                    yield from self.entered(given.value, function, depth)
        if not _MANAGERS & set(function.decorator_names) or not function.scan.yields:
            return
        _, frame = function.scan.yields[-1]
        for inner in frame.chain() if frame else ():
            if isinstance(inner.node, ast.With | ast.AsyncWith) and inner.section == "body":
                for item in inner.node.items:
                    yield from self.entered(item.context_expr, function, depth)
            elif isinstance(inner.node, ast.Try) and inner.section == "body":
                yield from self._given_back(inner.node.finalbody, function)

    def _released(self, function: Function) -> Iterator[Hold]:
        for block in function.scan.tries:
            if isinstance(block.node, ast.Try):
                for taken in self._given_back(block.node.finalbody, function):
                    yield Hold(taken, block.node, -1, function)

    def _given_back(self, body: list[ast.stmt], scope: Scope) -> Iterator[Taken]:
        for statement in body:
            for target in _called_on(statement, ("release",)):
                values = self.calls.evaluator.of_kind(target, scope, "gate", "lock")
                for value in values[:1]:
                    yield Taken(value, self.calls.evaluator.kind(value), target)

    def _acquired(self, function: Function) -> Iterator[Hold]:
        """`await gate.acquire()` as a statement whose `release()` stands elsewhere than in a `finally` right below."""
        for body in bodies(function.node.body):
            for index, statement in enumerate(body):
                for target in _called_on(statement, ("acquire",)):
                    values = self.calls.evaluator.of_kind(target, function, "gate", "lock")
                    lines = tuple(_until_release(body[index + 1 :], ast.dump(target))) if values else ()
                    if (
                        lines
                        and not _next_releases(body[index + 1 :], ast.dump(target))
                        and self._gives(function, target)
                    ):
                        taken = Taken(values[0], self.calls.evaluator.kind(values[0]), target)
                        yield Hold(taken, statement, -1, function, lines)

    @staticmethod
    def _gives(function: Function, target: ast.expr) -> bool:
        wanted = ast.dump(target)
        return any(
            isinstance(site.node.func, ast.Attribute)
            and site.node.func.attr == "release"
            and ast.dump(site.node.func.value) == wanted
            for site in function.scan.calls
        )

    def permits(self, value: Value) -> float | None:
        """How many may hold a gate at once, where the code tells."""
        if isinstance(value, Object):
            return None
        fact = self.calls.evaluator.fact(value)
        if fact is None or not isinstance(value, Instance) or value.call is None or value.scope is None:
            return None
        given = argument(value.call, fact)
        return self.calls.evaluator.number(given, value.scope) if given is not None else fact.value_default


def bodies(body: list[ast.stmt]) -> Iterator[list[ast.stmt]]:
    """A block and every block inside it, nested scopes left out."""
    yield body
    for statement in body:
        for inner in inner_blocks(statement):
            yield from bodies(inner)


def inner_blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks that a compound statement of the same scope has."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for name in ("body", "orelse", "finalbody"):
        inner: list[ast.stmt] = getattr(statement, name, [])
        if inner:
            yield inner
    handlers: list[ast.ExceptHandler | ast.match_case] = [
        *getattr(statement, "handlers", []),
        *getattr(statement, "cases", []),
    ]
    for part in handlers:
        yield part.body


def _called_on(statement: ast.stmt, names: Iterable[str]) -> Iterator[ast.expr]:
    """What a statement that is only a call of a method with one of `names` calls it on."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    call = value.value if isinstance(value, ast.Await) else value
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in names:
        yield call.func.value


def _next_releases(body: list[ast.stmt], target: str) -> bool:
    """Whether the very next statement is a `try` whose `finally` releases: then that `try` is the stretch."""
    following = body[0] if body else None
    return isinstance(following, ast.Try) and any(
        ast.dump(found) == target for statement in following.finalbody for found in _called_on(statement, ("release",))
    )


def _until_release(body: list[ast.stmt], target: str) -> Iterator[tuple[int, int]]:
    """The lines of `body` that run before the `release()` of `target` on each path."""
    for statement in body:
        if any(ast.dump(found) == target for found in _called_on(statement, ("release",))):
            return
        inner = list(inner_blocks(statement))
        if not any(_releases(block, target) for block in inner):
            yield statement.lineno, statement.end_lineno or statement.lineno
            continue
        for block in inner:
            yield from _until_release(block, target)
        return


def _releases(body: list[ast.stmt], target: str) -> bool:
    return any(
        ast.dump(found) == target
        for block in bodies(body)
        for statement in block
        for found in _called_on(statement, ("release",))
    )
