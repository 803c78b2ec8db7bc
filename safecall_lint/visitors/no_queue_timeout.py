"""SCL207: a request waits for a slot, and nothing says how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Instance, Site
from safecall_lint.visiting.rewriting import expression, fresh_name, spelled
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.holding import Hold

_SECONDS = 5


class NoQueueTimeout(Visitor):
    needs = (frozenset({"with:gate", ".acquire"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(next(semantics.waiting.unbounded(scope), None) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        if function is not None:
            for hold in self.semantics.waiting.unbounded(function):
                self._tell(hold, function)

    def _tell(self, hold: Hold, function: Function) -> None:
        permits = self.semantics.holding.permits(hold.taken.value)
        made = hold.taken.value.site
        amount = f"{permits:g} slots, made here" if permits else "the slots are made here"
        labels = [(made, amount)] if made else []
        self.report(
            Site(function.module, hold.taken.node),
            "a request waits for a slot with no limit to the wait",
            label="behind slow calls this wait has no end",
            labels=labels,
            help="bound the wait alone: `asyncio.timeout` around taking the slot, `reschedule(None)` once it is taken",
            fix=self._fix(hold, function),
        )

    def _fix(self, hold: Hold, function: Function) -> Rewrite | None:
        """`asyncio.timeout` around the `async with`, lifted as soon as the slot is there."""
        block = self.context.tree(hold.block)
        fits = isinstance(hold.taken.value, Instance) and hold.taken.value.name.startswith("asyncio.")
        timeout = spelled("asyncio.timeout", function)
        if not isinstance(block, cst.With) or not fits or timeout is None or len(block.items) != 1:
            return None
        if not isinstance(block.body, cst.IndentedBlock):
            return None
        name = fresh_name("waiting", function)
        lifted = cst.parse_statement(f"{name}.reschedule(None)")
        inner = block.with_changes(leading_lines=(), body=block.body.with_changes(body=[lifted, *block.body.body]))
        item = cst.WithItem(expression(f"{timeout[0]}({_SECONDS})"), asname=cst.AsName(cst.Name(name)))
        outer = cst.With([item], cst.IndentedBlock([inner]), cst.Asynchronous(), leading_lines=block.leading_lines)
        risk = f"a call that waits longer than {_SECONDS} s gets TimeoutError"
        title = f"wait at most {_SECONDS} s for the slot"
        return Rewrite(title, Safety.UNSAFE, nodes={block: outer}, imports=timeout[1], risk=risk)
