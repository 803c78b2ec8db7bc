"""Walks one slice with several visitors at once and keeps the context right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.visiting.context import Context
from safecall_lint.visiting.loading import RuleCrash
from safecall_lint.visiting.walk import Handler, Handlers, children, handlers

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.visiting.slices import Slice
    from safecall_lint.visiting.visitor import Report, Visitor


def walk(piece: Slice, semantics: Semantics, classes: Sequence[type[Visitor]]) -> list[Report]:
    """What the visitors report about a slice.

    Raises:
        RuleCrash: a visitor failed.
    """
    context = Context(piece, semantics)
    visitors = [cls(context) for cls in classes]
    _Walk(context, handlers(visitors, "visit"), handlers(visitors, "leave")).node(piece.tree)
    return [report for visitor in visitors for report in visitor.reports]


class _Walk:
    def __init__(self, context: Context, visit: Handlers, leave: Handlers) -> None:
        self.context = context
        self.visit = visit
        self.leave = leave

    def node(self, node: cst.CSTNode) -> None:
        kind = type(node).__name__
        self.context.stack.append(node)
        if kind in self.visit:
            self.tell(self.visit[kind], node)
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self.scope(node)
        else:
            for child in children(node):
                self.node(child)
        if kind in self.leave:
            self.tell(self.leave[kind], node)
        self.context.stack.pop()

    def tell(self, methods: Sequence[Handler], node: cst.CSTNode) -> None:
        for rule, method in methods:
            try:
                method(node)
            except Exception as error:
                raise RuleCrash(rule, self.context.slice.unit.first, error) from error

    def scope(self, node: cst.FunctionDef | cst.ClassDef) -> None:
        """Decorators, defaults and bases run outside the new scope, the body inside."""
        for child in children(node):
            if child is not node.body:
                self.node(child)
        entered = self.context.enter_scope(node)
        self.node(node.body)
        if entered:
            self.context.leave_scope()
