"""SCL206: a vendor call for each item of a collection, all at once."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.spread import through_policy
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.fanout import FanOut


class UnboundedFanOut(Visitor):
    needs = (frozenset({"fan-out", "with:task-group", "spawn"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.fanouts.of(scope) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        if function is not None:
            for found in self.semantics.fanouts.of(function):
                self._tell(found, function, through_policy(found, node, function, self.context))

    def _tell(self, found: FanOut, function: Function, fix: Rewrite | None) -> None:
        items = ast.unparse(found.items)
        shown = f"`{items}`" if len(items) < 40 else "the collection"
        labels = [(found.vendor, "each one makes this call")] if found.vendor.node is not found.node else []
        self.report(
            Site(function.module, found.node),
            "one vendor call per item starts at once, and nothing bounds them",
            label=f"as many calls in flight as {shown} has items",
            labels=labels,
            help="take a shared semaphore around each call, or go through the items in batches",
            fix=fix,
            strict=not found.certain,
        )
