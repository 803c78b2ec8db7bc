"""SCL401: a failure to be admitted is retried, so a full queue is filled again."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety, Severity
from safecall_lint.semantics.exceptions import BROAD
from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.raising import TIMEOUT
from safecall_lint.semantics.values import ClassValue, Symbol, Value
from safecall_lint.visiting.retrying import RetryVisitor
from safecall_lint.visiting.rewriting import before_handler, spelled, without_element
from safecall_lint.visiting.visitor import Place, Rewrite

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.policies import RetryPolicy
    from safecall_lint.semantics.refusals import Refusal


class RetriedQueueTimeout(RetryVisitor):
    in_tests = True

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(_refused(semantics, scope) for scope in scopes if isinstance(scope, Function))

    # -- loops and recursion -------------------------------------------------------------------------------------

    def visit_Try(self, node: cst.Try) -> None:
        block, function = self.context.twin(node), self.context.function
        if not isinstance(block, ast.Try) or function is None:
            return
        again = self._again(block, function)
        if not again:
            return
        handlers = {self.context.twin(handler): handler for handler in node.handlers}
        for refusal in self.semantics.refusals.of_block(block, function):
            taking = self.semantics.refusals.taking(block, refusal.exception, function)
            if taking in again and taking in handlers and not self._told_apart(taking):
                self._tell(node, handlers[taking], refusal)
                return
        self._overload(again, handlers)

    def _again(self, block: ast.Try, function: Function) -> list[ast.ExceptHandler]:
        """The handlers after which the body of a `try` runs again."""
        for loop in self.semantics.retries.repeats(function):
            if loop.attempt is block:
                return list(loop.caught)
        return [handler for handler in block.handlers if self._calls_itself(handler, function)]

    def _calls_itself(self, handler: ast.ExceptHandler, function: Function) -> bool:
        for node in own_nodes(handler.body):
            if isinstance(node, ast.Call) and function in self.semantics.evaluator.callees(node, function):
                return True
        return False

    @staticmethod
    def _told_apart(handler: ast.ExceptHandler) -> bool:
        """Whether a handler looks at what it caught before it goes on."""
        for node in own_nodes(handler.body):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                first = node.args[0] if node.args else None
                if isinstance(first, ast.Name) and first.id == handler.name:
                    return True
        return False

    def _tell(self, block: cst.Try, handler: cst.ExceptHandler, refusal: Refusal) -> None:
        self.report(
            handler.type or handler,
            "queue timeouts are retried, so an overload feeds itself",
            label=f"goes round again when {self._spell(refusal.exception)} says that the queue is full",
            labels=self._labels(refusal),
            help="raise a type of its own when the wait is over, and let that one through",
            fix=self._fix(block, handler, refusal),
        )

    def _labels(self, refusal: Refusal) -> list[tuple[Place, str]]:
        queue = refusal.queue
        seconds = queue.deadline.seconds
        length = f"in {seconds:g} s" if seconds is not None and seconds < 10_000 else "in time"
        return [
            (queue.deadline.site, f"ends the wait when it is not over {length}"),
            (queue.wait.site, "the wait"),
        ]

    @staticmethod
    def _spell(value: Value) -> str:
        name = value.cls.name if isinstance(value, ClassValue) else getattr(value, "name", "")
        return f"`{name.removeprefix('builtins.')}`"

    def _overload(self, again: Sequence[ast.ExceptHandler], handlers: dict[ast.AST | None, cst.ExceptHandler]) -> None:
        """A handler that names an exception which says nothing but "this process is full"."""
        for handler in again:
            caught = self.semantics.exceptions.caught(handler.type, self.context.scope) or ()
            named = next((value for value in caught if self.semantics.exceptions.means(value) == "overload"), None)
            node = handlers.get(handler)
            if named is not None and node is not None and node.type is not None and not self._told_apart(handler):
                self._tell_overload(node.type, named)
                return

    def _tell_overload(self, node: cst.BaseExpression, named: Value) -> None:
        self.report(
            node,
            f"{self._spell(named)} is retried: nothing was sent, the queue is full",
            label="goes round again and queues once more",
            help=f"leave {self._spell(named)} out of what is retried",
            severity=Severity.WARNING,
            strict=True,
            fix=self._dropped(node, named),
        )

    # -- decorators ----------------------------------------------------------------------------------------------

    def on_decorator(self, place: cst.BaseExpression, policy: RetryPolicy, function: Function) -> None:
        for refusal in self.semantics.refusals.of_function(function):
            if any(self.semantics.refusals.covers(value, refusal.exception) for value in policy.on or ()):
                self.report(
                    place,
                    "queue timeouts are retried, so an overload feeds itself",
                    label=f"retries {self._spell(refusal.exception)}, also when it says that the queue is full",
                    labels=self._labels(refusal),
                    help="raise a type of its own when the wait is over, and leave it out of what is retried",
                )
                return
        named = next((item for item in policy.on or () if self.semantics.exceptions.means(item) == "overload"), None)
        if named is not None:
            self._tell_overload(place, named)

    # -- fixes ---------------------------------------------------------------------------------------------------

    def _fix(self, block: cst.Try, handler: cst.ExceptHandler, refusal: Refusal) -> Rewrite | None:
        """Let the timeout through: in front of a broad handler, or by leaving it out of a tuple."""
        if refusal.exception != Symbol(TIMEOUT):
            return None
        caught = self.semantics.exceptions.caught(self.context.expr(handler.type), self.context.scope) or ()
        if handler.type is None or any(isinstance(item, Symbol) and item.name in BROAD for item in caught):
            way = spelled("asyncio.TimeoutError", self.context.scope)
            name, imports = way if way and not way[1] else ("TimeoutError", ())
            handlers = before_handler(block, handler, name)
            return Rewrite(
                f"let `{name}` through in front of the broad handler",
                Safety.UNSAFE,
                {block: block.with_changes(handlers=handlers)},
                imports=imports,
                risk="call timeouts are not retried any more either",
            )
        return self._dropped(handler.type, refusal.exception)

    def _dropped(self, node: cst.BaseExpression, named: Value) -> Rewrite | None:
        """Leave a class out of a tuple of classes."""
        if not isinstance(node, cst.Tuple):
            return None
        for element in node.elements:
            if named in self.context.values(element.value):
                changed = without_element(node, element)
                risk = "failures of this type are raised at once"
                return Rewrite(f"do not retry {self._spell(named)}", Safety.UNSAFE, {node: changed}, risk=risk)
        return None


def _refused(semantics: Semantics, function: Function) -> bool:
    """Whether anything in a function may run again after it was refused."""
    if not semantics.retries.may_repeat(function):
        return False
    if function.node.decorator_list and semantics.retries.decorators(function):
        return True
    blocks = [item.node for item in function.scan.tries if isinstance(item.node, ast.Try)]
    return any(
        next(semantics.refusals.of_block(block, function), None)
        or any(_names_overload(semantics, handler, function) for handler in block.handlers)
        for block in blocks
    )


def _names_overload(semantics: Semantics, handler: ast.ExceptHandler, function: Function) -> bool:
    caught = semantics.exceptions.caught(handler.type, function) or ()
    return any(semantics.exceptions.means(value) == "overload" for value in caught)
