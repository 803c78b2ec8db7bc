"""SCL306: clean-up after a cancellation is awaited without a shield, so a second one cuts it."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.values import FunctionValue, Instance, Member, Site, Symbol, Value
from safecall_lint.visiting.rewriting import expression, with_keyword
from safecall_lint.visiting.toward_runtime import from_runtime, price
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.scan import CallSite, Frame

_WAITS = ("shield", "wait-for", "fan-out", "sleep")
_CANCELLED = "asyncio.CancelledError"
_CLOSING = re.compile(r"close|exit|clean|stop|shut|disconnect|terminat|leave")
_PATIENCE = 5.0


class UnshieldedCleanup(Visitor):
    needs = (frozenset({"handler"}), frozenset({"except:cancellation", "except:all", "spawn"}))

    def visit_Await(self, node: cst.Await) -> None:
        function = self.context.function
        if function is None or self.semantics.roles.test(function):
            return
        if isinstance(node.expression, cst.Call):
            site = self.context.site(node.expression)
            handler = self._handler(site.frame, function) if site else None
            if site is not None and handler is not None and not self._protected(site, function):
                self._tell(node, handler, function)
        elif isinstance(node.expression, cst.Name):
            self._whole(node, node.expression.value, function)

    def _handler(self, frame: Frame | None, function: Function) -> ast.expr | None:
        """The class by which the handler around a place takes a cancellation."""
        for around in frame.chain() if frame else ():
            if isinstance(around.node, ast.Try) and around.section == "handler":
                handler = around.node.handlers[around.position]
                caught = self.semantics.exceptions.caught(handler.type, function) or ()
                named = any(isinstance(value, Symbol) and value.name == _CANCELLED for value in caught)
                return handler.type if named else None
        return None

    def _protected(self, site: CallSite, function: Function) -> bool:
        """Whether an awaited call is shielded, limited, or waits for what was cancelled."""
        if self.semantics.calls.kind(site.node, function) in _WAITS:
            return True
        evaluator = self.semantics.evaluator
        if any(map(self._cancels, evaluator.callees(site.node, function))):
            return True
        if any(map(_says_cancel, evaluator.values(site.node.func, function))):
            return True
        if any(limit.cuts(site) for limit in self.semantics.deadlines.of(function)):
            return True
        return self._shielded(site.frame, function)

    def _cancels(self, function: Function) -> bool:
        """Whether all that a function waits for is what it cancels itself: a second cancellation loses nothing."""
        calls = function.scan.calls
        if not any(isinstance(site.node.func, ast.Attribute) and site.node.func.attr == "cancel" for site in calls):
            return False
        return all(self.semantics.calls.kind(site.node, function) in _WAITS for site in calls if site.awaited)

    def _shielded(self, frame: Frame | None, function: Function) -> bool:
        for around in frame.chain() if frame else ():
            if not isinstance(around.node, ast.With | ast.AsyncWith):
                continue
            for item in around.node.items:
                for value in self.semantics.evaluator.values(item.context_expr, function):
                    fact = self.semantics.evaluator.fact(value) if isinstance(value, Instance) else None
                    if fact and fact.kind in ("cancel-scope", "timeout-scope"):
                        return True
        return False

    def _tell(self, node: cst.Await, handler: ast.expr, function: Function) -> None:
        self.report(
            node,
            "a second cancellation cuts this clean-up half way",
            label="is awaited with nothing to protect it",
            labels=[(Site(function.module, handler), "runs because of a cancellation")],
            help="shield and bound it: `with anyio.move_on_after(5, shield=True)`, or `wait_for(shield(task), 5)`",
            fix=self._fix(node, function),
        )

    # -- the fix -------------------------------------------------------------------------------------------------

    def _fix(self, node: cst.Await, function: Function) -> Rewrite | None:
        """`await shielded(cleanup(), timeout=5)`, which runs the clean-up in a task of its own."""
        assert isinstance(node.expression, cst.Call)
        site = self.context.site(node.expression)
        way = from_runtime("shielded", function, self.semantics)
        if site is None or way is None or not self._movable(site, function):
            return None
        call = with_keyword(cst.Call(expression(way[0]), [cst.Arg(node.expression)]), "timeout", f"{_PATIENCE:g}")
        risk = f"clean-up longer than {_PATIENCE:g} s ends in a `TimeoutError` in place of what was raised"
        risk += price(self.semantics, function.module)
        title = f"shield it, for {_PATIENCE:g} s at most"
        return Rewrite(title, Safety.UNSAFE, {node.expression: call}, imports=way[1], risk=risk)

    def _movable(self, site: CallSite, function: Function) -> bool:
        """Whether an awaited call can run in another task: nothing in or below it may leave a scope that the task
        around it has entered, as the closing of an exit stack does."""
        callees = self.semantics.evaluator.callees(site.node, function)
        below = [inner for callee in callees for inner in self.semantics.reach.below(callee)]
        inside = [(call, inner) for inner in below for call in inner.scan.calls]
        return not any(self._may_leave(call, inner) for call, inner in [(site, function), *inside] if call.awaited)

    def _may_leave(self, site: CallSite, function: Function) -> bool:
        """Whether a call may close something, on an object of which nothing is known."""
        evaluator = self.semantics.evaluator
        for value in evaluator.values(site.node.func, function):
            owner = evaluator.fact(value.owner) if isinstance(value, Member) else None
            if isinstance(value, Symbol | FunctionValue) or (owner and owner.kind == "client"):
                return False
        return isinstance(site.node.func, ast.Attribute) and bool(_CLOSING.search(site.node.func.attr))

    def _whole(self, node: cst.Await, name: str, function: Function) -> None:
        """`finally: await task`, where nobody has cancelled the task: a reader that goes waits for all of it."""
        if not function.is_generator or not self._final(node):
            return
        rows = [row.value for row, _ in function.lookup(name) if isinstance(row.value, ast.Call)]
        started = any(self.semantics.calls.kind(row, function) == "spawn" for row in rows if isinstance(row, ast.Call))
        told = any(self._ends(site.node, function) for site in function.scan.calls) or _raises_flag(function)
        if started and not told:
            self.report(
                node,
                "a reader that has gone waits here until the whole task is done",
                label="nobody cancels it, and nothing bounds the wait",
                help=f"cancel it first: `{name}.cancel()`",
            )

    def _ends(self, call: ast.Call, function: Function) -> bool:
        """Whether a call tells a task to come to its end: by `cancel()`, an event, or a last item in its queue."""
        if not isinstance(call.func, ast.Attribute):
            return False
        if call.func.attr in ("put", "put_nowait"):
            return any(isinstance(arg, ast.Constant) and arg.value is None for arg in call.args)
        of = self.semantics.evaluator.of_kind(call.func.value, function, "event") if call.func.attr == "set" else []
        return call.func.attr == "cancel" or bool(of)

    def _final(self, node: cst.Await) -> bool:
        return any(isinstance(item, cst.Finally) for item in self.context.stack)


def _says_cancel(value: Value) -> bool:
    """Whether a function of some library says that it cancels what it waits for: `cancel_and_wait(task)`."""
    return isinstance(value, Symbol) and "cancel" in value.name.rpartition(".")[2]


def _raises_flag(function: Function) -> bool:
    """Whether a function sets an object's flag, such as the `should_exit` of a server."""
    return any(
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Attribute)
        and isinstance(node.value, ast.Constant)
        and node.value.value is True
        for node in own_nodes(function.node.body)
    )
