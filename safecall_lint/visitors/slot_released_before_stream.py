"""SCL704: a slot is given back while the stream it was taken for still runs."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.uses import Use, uses
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.slot_streams import held_by_reader, read_inside
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.streams import Lazy
    from safecall_lint.visiting.context import Held

_MESSAGE = "the slot is free again while the stream still runs"
_HELP = "take the slot inside the generator, around the loop that reads the stream"


class SlotReleasedBeforeStream(Visitor):
    needs = (frozenset({"with:gate", ".release"}), frozenset({"vendor", "first-party", "streaming-response"}))

    def visit_Return(self, node: cst.Return) -> None:
        held = self.context.held("gate")
        if not held or self.context.function is None or node.value is None:
            return
        if self.context.function.is_generator:
            return
        lazy = self.semantics.streams.lazy(self.context.expr(node.value), self.context.function)
        if lazy:
            fix = held_by_reader(node, held[0].block, self.context.function, self.context) if len(held) == 1 else None
            self._report(node.value, "returned unread: it runs after the block has ended", lazy, held[0], fix)

    def visit_With(self, node: cst.With) -> None:
        """A stream that is opened in the block and read below it."""
        held = [item for item in node.items if self.context.of_kind(item.item, "gate")]
        function, twin = self.context.function, self.context.twin(node)
        if not held or function is None or not isinstance(twin, ast.With | ast.AsyncWith):
            return
        for statement in own_nodes(twin.body):
            name = _bound(statement)
            if not name or not isinstance(statement, ast.Assign | ast.AnnAssign) or not statement.value:
                continue
            opened = self.semantics.streams.opens(statement.value, function) is not None
            if not opened and self.semantics.streams.lazy(statement.value, function) is None:
                continue
            below = [use for use in uses(function, name, (twin.end_lineno or 0) + 1) if _reads(use)]
            if below and not _read_inside(list(uses(function, name, statement.lineno)), twin):
                fix = read_inside(node, below, self.context) if opened else None
                self._handed_out(statement.value, below[0], held[0].item, fix)

    def _handed_out(self, value: ast.expr, use: Use, gate: cst.BaseExpression, fix: Rewrite | None) -> None:
        assert self.context.function is not None
        module = self.context.function.module
        self.report(
            Site(module, value),
            _MESSAGE,
            label="made with the slot in hand",
            labels=[(gate, "slot taken here, given back when the block ends"), (Site(module, use.node), "read here")],
            help="read the stream inside the block" if use.how == "iterate" else _HELP,
            fix=fix,
        )

    def _report(self, node: cst.BaseExpression, label: str, lazy: Lazy, held: Held, fix: Rewrite | None) -> None:
        labels: list[tuple[cst.CSTNode | Site, str]] = [(held.node, "slot taken here, given back on return")]
        if ast.unparse(lazy.origin.node) != ast.unparse(self.context.expr(node) or ast.Constant(None)):
            labels.append((lazy.origin, f"{lazy.why}, made here"))
        self.report(node, _MESSAGE, label=f"{lazy.why}, {label}", labels=labels, help=_HELP, fix=fix)


def _bound(statement: ast.AST) -> str:
    """The one name that a statement gives a value to."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def _reads(use: Use) -> bool:
    returned = any(isinstance(outer, ast.Return) for outer in use.around)
    return use.how == "iterate" or (use.how == "escape" and returned)


def _read_inside(found: list[Use], block: ast.With | ast.AsyncWith) -> bool:
    """Whether the block itself reads the stream."""
    return any(use.how in ("iterate", "escape") and block in use.around for use in found)
