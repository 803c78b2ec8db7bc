"""SCL505: a task that nothing refers to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.scan import dotted
from safecall_lint.semantics.values import Constant, Member, Site, Symbol
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function

_LOOP_NAMES = frozenset({"loop", "_loop", "event_loop", "_event_loop"})
_CALLBACK_TAKERS = frozenset(
    {"add_signal_handler", "call_soon", "call_later", "call_at", "call_soon_threadsafe", "add_done_callback"}
)
_KEEPER = "_background_tasks"
_MESSAGE = "nothing keeps this task, so it can vanish before it is done"
_WEAK = "the event loop refers to its tasks only weakly; the garbage collector may take one that is waiting"


class DroppedTask(Visitor):
    needs = (frozenset({"spawn", ".create_task"}),)

    def visit_Expr(self, node: cst.Expr) -> None:
        value = node.value
        if isinstance(value, cst.ListComp | cst.SetComp):
            value = value.elt
        if isinstance(value, cst.Call) and self._spawns(value):
            self._report(value, self._kept(node, value) if value is node.value else None)
        elif chained := self._chained(value):
            self._report(chained, None, strict=True)
        else:
            self._through_helper(value)

    def visit_Assign(self, node: cst.Assign) -> None:
        target = node.targets[0].target
        if len(node.targets) == 1 and isinstance(target, cst.Name) and isinstance(node.value, cst.Call):
            self._assigned(node, target.value, node.value)

    def visit_AnnAssign(self, node: cst.AnnAssign) -> None:
        if isinstance(node.target, cst.Name) and isinstance(node.value, cst.Call):
            self._assigned(node, node.target.value, node.value)

    def visit_Lambda(self, node: cst.Lambda) -> None:
        if isinstance(node.body, cst.Call) and self._handed_to_loop() and self._spawns(node.body):
            self._report(node.body, None)

    # -- what drops a task ---------------------------------------------------------------------------------------

    def _spawns(self, node: cst.Call) -> bool:
        call = self.context.call(node)
        return spawns(self, call)

    def _chained(self, node: cst.BaseExpression) -> cst.Call | None:
        """`create_task(work()).add_done_callback(...)`: the callback does not keep the task."""
        inner = node.func.value if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) else None
        if not isinstance(inner, cst.Call) or not inner.args or isinstance(inner.args[0].value, cst.Name):
            return None
        return inner if self._spawns(inner) else None

    def _through_helper(self, node: cst.BaseExpression) -> None:
        """A call of a first-party function that hands the new task out, to a caller that does not take it."""
        inner = node.expression if isinstance(node, cst.Await) else node
        if not isinstance(inner, cst.Call):
            return
        for callee in self.semantics.evaluator.callees(self.context.call(inner), self.context.scope):
            made = self._handed_out(callee) if callee.is_async == isinstance(node, cst.Await) else None
            if made:
                labels = [(Site(callee.module, made), "makes the task and returns it")]
                self._report(inner, None, labels=labels)
                return

    def _handed_out(self, function: Function) -> ast.Call | None:
        exits = [item.value for item in function.scan.returns]
        made = [item for item in exits if isinstance(item, ast.Call) and spawns(self, item, function)]
        return made[0] if made and len(made) == len(exits) and not function.decorator_names else None

    def _assigned(self, node: cst.Assign | cst.AnnAssign, name: str, call: cst.Call) -> None:
        function = self.context.function
        if function is None or self.context.scope is not function or not self._spawns(call):
            return
        if name not in function.scan.global_names | function.scan.nonlocal_names and not _reads(function.node, name):
            twin = self.context.twin(node)
            if twin is not None and not _waits_after(function, twin, bool(self.context.loops())):
                self._report(call, self._kept(node, call, name), note=f"`{name}` is never read, and is gone on return")

    def _handed_to_loop(self) -> bool:
        for outer in reversed(self.context.stack[:-1]):
            if isinstance(outer, cst.Call):
                return isinstance(outer.func, cst.Attribute) and outer.func.attr.value in _CALLBACK_TAKERS
            if not isinstance(outer, cst.Arg):
                return False
        return False

    # -- reports -------------------------------------------------------------------------------------------------

    def _report(
        self,
        node: cst.Call,
        fix: Rewrite | None,
        *,
        labels: list[tuple[Site, str]] | None = None,
        note: str = "",
        strict: bool = False,
    ) -> None:
        self.report(
            node,
            _MESSAGE,
            label="the only strong reference is dropped here",
            labels=labels or (),
            notes=[*filter(None, [note]), _WEAK],
            help="keep the task in a set until it is done, or on `self`",
            fix=fix,
            strict=strict,
        )

    def _kept(self, node: cst.Expr | cst.Assign | cst.AnnAssign, call: cst.Call, name: str = "") -> Rewrite | None:
        """The task put into a module-level set that it leaves when it is done."""
        line = self.context.stack[-2]
        if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1 or self.context.function is None:
            return None
        keeper, head = self._keeper()
        name = name if name and name != "_" else self._free_name()
        first = line
        if isinstance(node, cst.Expr) or name not in _names(node):
            first = line.with_changes(body=[cst.Assign([cst.AssignTarget(cst.Name(name))], call)])
        added = cst.parse_statement(f"{keeper}.add({name})")
        leaves = cst.parse_statement(f"{name}.add_done_callback({keeper}.discard)")
        lines: cst.FlattenSentinel[cst.CSTNode] = cst.FlattenSentinel([first, added, leaves])
        return Rewrite(f"keep the task in `{keeper}` until it is done", Safety.SAFE, {line: lines}, head=head)

    def _keeper(self) -> tuple[str, tuple[str, ...]]:
        """The set's name, and the line that makes it where the module has none yet."""
        name = _KEEPER
        while rows := self.context.scope.lookup(name):
            value = rows[0][0].value
            if rows[0][1] is self.context.module and isinstance(value, ast.Call) and dotted(value.func) == "set":
                return name, ()
            name = f"_{name}"
        return name, (f"{name}: set[object] = set()",)

    def _free_name(self) -> str:
        assert self.context.function is not None
        used = {node.id for node in ast.walk(self.context.function.node) if isinstance(node, ast.Name)}
        used.update(self.context.function.scan.bindings)
        return next(name for name in ("task", "background_task", "_background_task", "_kept_task") if name not in used)


def spawns(visitor: Visitor, call: ast.Call, scope: Function | None = None) -> bool:
    """Whether a call starts a task on the event loop and returns it."""
    evaluator = visitor.semantics.evaluator
    values = evaluator.values(call.func, scope or visitor.context.scope)
    for value in values:
        if isinstance(value, Symbol) and (fact := evaluator.fact(value)):
            return fact.kind == "spawn" and fact.style != "thread"
        if isinstance(value, Member) and (fact := evaluator.fact(value.owner)):
            return fact.kind == "loop" and value.path == ("create_task",)
    known = any(not isinstance(value, Constant) for value in values)
    if known or not isinstance(call.func, ast.Attribute) or call.func.attr != "create_task":
        return False
    return dotted(call.func.value).rpartition(".")[2] in _LOOP_NAMES


def _names(node: cst.Assign | cst.AnnAssign) -> Iterator[str]:
    target = node.target if isinstance(node, cst.AnnAssign) else node.targets[0].target
    if isinstance(target, cst.Name):
        yield target.value


def _reads(node: ast.AST, name: str) -> bool:
    return any(isinstance(x, ast.Name) and x.id == name and not isinstance(x.ctx, ast.Store) for x in ast.walk(node))


def _waits_after(function: Function, statement: ast.AST, in_loop: bool) -> bool:
    """Whether the function still waits for something once the task is made: until then its local name keeps it."""
    line = getattr(statement, "lineno", 0)
    waits = [node for node, _ in function.scan.awaits] + [node for node, _ in function.scan.yields]
    waits += [block.node for block in function.scan.withs if isinstance(block.node, ast.AsyncWith)]
    waits += [block.node for block in function.scan.loops if isinstance(block.node, ast.AsyncFor)]
    return any(getattr(node, "lineno", 0) > line for node in waits) and not in_loop
