"""SCL603: a limiter in Redis whose check and count are two commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Severity
from safecall_lint.semantics.commands import ADDS, COUNTS, EXPIRES, WRITES
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.atomic import in_transaction
from safecall_lint.visiting.scripts import in_script
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.counters import Apart

_MESSAGES: Final = {
    "stuck": "a crash between the two leaves a counter that never ends",
    "late": "a crash between the two leaves a counter without its end",
    "race": "two callers read the same count, and both pass",
}
_LABELS: Final = {
    "stuck": ("counts, and is on its own", "ends it later"),
    "late": ("counts, and is on its own", "ends it later"),
    "race": ("reads the count", "counts later"),
}
_NOTE: Final = "each command is a round trip of its own: other callers, a timeout or a crash come in between"
_SENT: Final = (
    "both are sent at once, but not as a transaction: where they arrive in two pieces, others come in between"
)
_HEALED: Final = "the next count under that key ends it, where there is one; the last one before a block has no next"
_SCRIPT: Final = "send both in one Lua script (`register_script`), where nothing comes in between"
_PIPELINE: Final = "send both in one `pipeline(transaction=True)`, or count in a Lua script"
_TRANSACTION: Final = "make the pipeline a transaction: `pipeline(transaction=True)`"


class NonAtomicRedisLimiter(Visitor):
    needs = (frozenset(f".{name}" for name in EXPIRES | WRITES | ADDS | COUNTS),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.counters.of(scope) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        if function is not None:
            for apart in self.semantics.counters.of(function):
                fix = in_script if apart.harm == "race" else in_transaction
                self._tell(apart, fix(apart, node, function, self.context))

    def _tell(self, apart: Apart, fix: Rewrite | None) -> None:
        module = self.context.module
        first, second = _LABELS[apart.harm]
        sent = apart.first.goes_with(apart.second)
        counts = apart.first.name in COUNTS
        self.report(
            Site(module, apart.first.site.node),
            _MESSAGES[apart.harm],
            label=first,
            labels=[(Site(module, apart.second.site.node), second)],
            notes=[_SENT if sent else _NOTE, *([_HEALED] if apart.harm == "late" else ())],
            help=_TRANSACTION if sent else _PIPELINE if counts else _SCRIPT,
            fix=fix,
            severity=Severity.INFO if sent or apart.harm == "late" else None,
            strict=not apart.limits,
        )
