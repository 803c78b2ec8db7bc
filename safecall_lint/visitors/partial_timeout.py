"""SCL105: a timeout object that raises when it is built."""

from __future__ import annotations

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.visiting.rewriting import expression, with_first
from safecall_lint.visiting.visitor import Rewrite, Visitor


class PartialTimeout(Visitor):
    needs = (frozenset({"timeout-config"}),)

    def visit_Call(self, node: cst.Call) -> None:
        call = self.context.call(node)
        fact = self.semantics.calls.symbol(call, self.context.scope)
        if fact is None or fact.kind != "timeout-config":
            return
        missing = self.semantics.timeouts.missing(call, fact)
        if not missing:
            return
        default = fact.timeout_default or 5.0
        given = [f"`{name}`" for name in fact.phases if name not in missing]
        self.report(
            node,
            f"`{fact.name.rpartition('.')[2]}` raises `ValueError` when this line runs",
            label=f"sets {_listed(given)}, leaves {_listed([f'`{name}`' for name in missing])} open, has no default",
            help=f"state the default first: `{default}, {given[0].strip('`')}=...`",
            notes=[f"`{fact.stack}` takes a default, or all of {_listed([f'`{name}`' for name in fact.phases])}"],
            fix=Rewrite(
                f"add the default of {default:g} s that `{fact.stack}` has",
                Safety.SAFE,
                nodes={node: with_first(node, expression(repr(default)))},
            ),
        )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
