"""SCL308: a timeout, task group or cancel scope stays open while an async generator hands values out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.values import Instance, Site
from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.scan import Frame

_KINDS = {
    "timeout-scope": "timeout",
    "deadline": "deadline",
    "task-group": "task group",
    "cancel-scope": "cancel scope",
}
_MANAGERS = frozenset({"asynccontextmanager", "contextmanager", "fixture", "hookimpl"})


class TimeoutAcrossYield(Visitor):
    needs = (frozenset(f"with:{kind}" for kind in _KINDS), frozenset({"yield"}))

    def visit_With(self, node: cst.With) -> None:
        twin, function = self.context.twin(node), self.context.function
        if function is None or not isinstance(twin, ast.With | ast.AsyncWith) or not self._hands_out(function):
            return
        for index, item in enumerate(node.items):
            kind = self._kind(item.item)
            given = next(self._yields(twin, index, function), None) if kind else None
            if given is not None:
                self._tell(item.item, kind, given, function)

    def _kind(self, node: cst.BaseExpression) -> str:
        """The word for what an item opens."""
        for value in self.context.values(node):
            fact = self.semantics.evaluator.fact(value) if isinstance(value, Instance) else None
            if fact and fact.kind in _KINDS:
                return _KINDS[fact.kind]
        return ""

    def _hands_out(self, function: Function) -> bool:
        """Whether values go to a consumer that runs in between; context managers and dependencies have none."""
        if not function.is_async or not function.is_generator or _MANAGERS & set(function.decorator_names):
            return False
        text = function.module.source.utf8
        return f"Depends({function.name}".encode() not in text and f"manager({function.name}".encode() not in text

    @staticmethod
    def _yields(block: ast.With | ast.AsyncWith, index: int, function: Function) -> Iterator[ast.AST]:
        for node, frame in function.scan.yields:
            if _inside(frame, block, index):
                yield node

    def _tell(self, node: cst.BaseExpression, kind: str, given: ast.AST, function: Function) -> None:
        self.report(
            node,
            f"this {kind} is open across a `yield`: it cancels the consumer",
            label="is still open when the value is handed out",
            labels=[(Site(function.module, given), "the consumer's code runs here, in the same task")],
            help="close it before each `yield`: put the timeout around the wait for the next value",
            notes=("it ends the consumer's own `await` with a bare `CancelledError`, far from this line",),
        )


def _inside(frame: Frame | None, block: ast.AST, index: int) -> bool:
    for around in frame.chain() if frame else ():
        if around.node is block and (around.section == "body" or around.position > index):
            return True
    return False
