"""SCL705: a queue without a bound between a producer and its consumer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import libcst as cst
from msgspec import Struct

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import argument
from safecall_lint.semantics.lifetimes import Fate
from safecall_lint.semantics.model import Function, Module, Scope
from safecall_lint.semantics.roles import in_loop
from safecall_lint.semantics.scan import CallSite, dotted
from safecall_lint.semantics.values import Instance, Site, Value
from safecall_lint.visiting.rewriting import with_keyword
from safecall_lint.visiting.visitor import Rewrite, Visitor

_PUTS = ("put", "put_nowait")
_GETS = ("get", "get_nowait")
_LOOKS = ("qsize", "full")
_METHODS = (_PUTS, _GETS, _LOOKS)
_BOUND = "100"

Row = tuple[CallSite, Scope]


class _Ends(Struct, frozen=True):
    """What the project does with one queue."""

    puts: list[Row]
    gets: list[Row]
    looks: list[Row]

    @property
    def watched(self) -> bool:
        """Whether something depends on how full it is."""
        return any(site.frame is not None and site.frame.section == "test" for site, _ in self.looks)


class UnboundedStreamQueue(Visitor):
    needs = (frozenset({"queue"}),)

    def visit_Call(self, node: cst.Call) -> None:
        call = self.context.call(node)
        fact = self.semantics.calls.symbol(call, self.context.scope)
        if fact is None or fact.kind != "queue":
            return
        bound = argument(call, fact)
        if not fact.zero_is_none:
            if bound is not None and _is_infinite(bound):
                self._report(node, "buffers without a bound", [], None)
            return
        size = self.semantics.evaluator.number(bound, self.context.scope) if bound is not None else 0
        if size is not None and size <= 0:
            self._queue(node)

    def _queue(self, node: cst.Call) -> None:
        ends = self._ends(node)
        puts = [row for row in ends.puts if not self._prefills(row) and not _comes_back(row)]
        if ends.watched or (ends.puts and not puts) or any(map(self._lays_out, ends.puts)):
            return
        if ends.gets and all(self._answers(row) for row in ends.gets):
            return
        handed = self._handed_on()
        if not puts and ((not ends.gets and handed < 2) or (not handed and self._stays(node))):
            return
        labels = [(Site(where.module, site.node), "filled here") for site, where in puts[:1]]
        labels += [(Site(where.module, site.node), "emptied here") for site, where in ends.gets[:1]]
        self._report(node, "no `maxsize`", labels, self._bounded(node, puts, ends.gets))

    def _report(self, node: cst.Call, label: str, labels: list[tuple[Site, str]], fix: Rewrite | None) -> None:
        self.report(
            node,
            "this queue grows without end while its reader is slower",
            label=label,
            labels=labels,
            notes=["what a slow or vanished reader leaves behind stays in memory, and the producer never slows down"],
            help="bound it, so that the producer waits for the reader",
            fix=fix,
        )

    # -- both ends -----------------------------------------------------------------------------------------------

    def _ends(self, node: cst.Call) -> _Ends:
        start, name = self.context.slice.span(node).start, self._kept_as()
        here = _Ends(*(list(self._uses(names, start, name)) for names in _METHODS))
        if not name or (here.puts and here.gets):
            return here
        modules = list(self._others(name))
        away = [[row for other in modules for row in self._uses_in(other, names, start)] for names in _METHODS]
        return _Ends(here.puts + away[0], here.gets + away[1], here.looks + away[2])

    def _kept_as(self) -> str:
        """The attribute, or the name of the module, that the queue is assigned to."""
        statement = self.context.twin(self.context.statement())
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        for target in targets:
            if isinstance(target, ast.Attribute):
                return target.attr
            if isinstance(target, ast.Name) and not isinstance(self.context.scope, Function):
                return target.id
        return ""

    def _others(self, name: str) -> Iterator[Module]:
        """The other modules of the project that put to or get from something of a name."""
        methods = "|".join(name for names in _METHODS for name in names)
        pattern = rf"\b{re.escape(name)}\.(?:{methods})\("
        return self.semantics.roles.everywhere.others(pattern, name, self.context.module)

    def _uses(self, names: tuple[str, ...], made: int, attribute: str) -> Iterator[Row]:
        """The module's calls of these methods on the queue that is made at an offset, or on one of unknown make in an
        attribute of the same name."""
        sites = self.context.module.call_sites
        for site, scope in (row for name in names for row in sites.get(name, ())):
            if isinstance(site.node.func, ast.Attribute):
                owner = site.node.func.value
                same = isinstance(owner, ast.Attribute) and owner.attr == attribute
                if any(self._is_it(value, made, same) for value in self._owners(owner, scope)):
                    yield site, scope

    def _uses_in(self, module: Module, names: tuple[str, ...], made: int) -> Iterator[Row]:
        """Another module's calls of these methods on the queue."""
        for site, scope in (row for name in names for row in module.call_sites.get(name, ())):
            if isinstance(site.node.func, ast.Attribute):
                owners = self.semantics.evaluator.values(site.node.func.value, scope)
                if any(isinstance(value, Instance) and self._starts(value) == made for value in owners):
                    yield site, scope

    def _is_it(self, value: Value, made: int, same: bool) -> bool:
        if not isinstance(value, Instance):
            return False
        same = same and isinstance(self.context.scope, Function)
        unknown = same and value.call is None and self.semantics.evaluator.kind(value) == "queue"
        return unknown or self._starts(value) == made

    def _stays(self, node: cst.Call) -> bool:
        """Whether a queue never leaves the function that makes it, so that nobody else can fill it."""
        site, scope = self.context.site(node), self.context.scope
        return site is not None and self.semantics.lifetimes.fate(site.node, scope) is Fate.USED

    def _handed_on(self) -> int:
        """To how many calls a local queue is given."""
        statement = self.context.twin(self.context.statement())
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if self.context.function is None:
            return 0
        calls = (node for node in ast.walk(self.context.function.node) if isinstance(node, ast.Call))
        return sum(any(isinstance(arg, ast.Name) and arg.id in names for arg in call.args) for call in calls)

    def _owners(self, expr: ast.expr, scope: Scope) -> tuple[Value, ...]:
        """What a queue's name can be; a parameter is also what the module's calls pass for it."""
        found = self.semantics.evaluator.values(expr, scope)
        if isinstance(expr, ast.Name) and isinstance(scope, Function) and expr.id in scope.parameters:
            return (*found, *self.semantics.evaluator.arguments(scope, expr.id))
        return found

    def _starts(self, owner: Instance) -> int:
        call = owner.call
        if call is None or owner.scope is None or owner.scope.module is not self.context.module:
            return -1
        end = (call.end_lineno or call.lineno, call.end_col_offset or call.col_offset)
        return self.context.module.source.span_at(call.lineno, call.col_offset, *end).start

    def _prefills(self, row: Row) -> bool:
        """Whether a put only lays out work that is known beforehand: in the function that makes the queue, without
        waiting for anything else."""
        site, scope = row
        if scope is not self.context.scope or not isinstance(scope, Function):
            return False
        for frame in site.frame.chain() if site.frame else ():
            if isinstance(frame.node, ast.AsyncFor | ast.While):
                return False
            if isinstance(frame.node, ast.For):
                awaited = [node for node in ast.walk(frame.node) if isinstance(node, ast.Await)]
                return all(node.value is site.node for node in awaited)
        return not in_loop(site.frame)

    def _answers(self, row: Row) -> bool:
        """Whether a get takes the one answer that the function has made its queue for."""
        site, scope = row
        around = site.frame.chain() if site.frame else ()
        again = in_loop(site.frame) or any(isinstance(frame.node, ast.While) for frame in around)
        return scope is self.context.scope and isinstance(scope, Function) and not again

    def _lays_out(self, row: Row) -> bool:
        """Whether a put goes through all that the queue is to hold, as that of a pool: what else is put comes back."""
        chain = row[0].frame.chain() if row[0].frame else ()
        return self._prefills(row) and any(isinstance(frame.node, ast.For) for frame in chain)

    def _bounded(self, node: cst.Call, puts: list[Row], gets: list[Row]) -> Rewrite | None:
        """A bound, where every producer waits for its turn and no function stands at both ends."""
        waits = all(site.awaited and isinstance(site.node.func, ast.Attribute) for site, _ in puts)
        plain = all(isinstance(site.node.func, ast.Attribute) and site.node.func.attr == "put" for site, _ in puts)
        apart = not {scope for _, scope in puts} & {scope for _, scope in gets}
        if not (puts and gets and waits and plain and apart) or node.args:
            return None
        changed = with_keyword(node, "maxsize", _BOUND)
        risk = "a producer that outlives its reader then waits for ever"
        return Rewrite(
            "let the producer wait once a hundred items are queued", Safety.UNSAFE, {node: changed}, risk=risk
        )


def _comes_back(row: Row) -> bool:
    """Whether a put gives back what was taken out, because the work on it failed; the failure itself is news."""
    site, _ = row
    given = site.node.args[0] if site.node.args else None
    for frame in site.frame.chain() if site.frame else ():
        if frame.section == "handler" and isinstance(frame.node, ast.Try):
            return isinstance(given, ast.Name) and given.id != frame.node.handlers[frame.position].name
    return False


def _is_infinite(expr: ast.expr) -> bool:
    """`math.inf` or `float("inf")`."""
    if isinstance(expr, ast.Call) and dotted(expr.func) == "float" and expr.args:
        text = expr.args[0].value if isinstance(expr.args[0], ast.Constant) else ""
        return str(text).lower().lstrip("+").startswith("inf")
    return dotted(expr).rpartition(".")[2] == "inf"
