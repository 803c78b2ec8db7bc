"""Which exceptions a handler catches: library classes by the knowledge tables, first-party ones by their bases."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.values import ClassValue, Container, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Scope

BROAD = frozenset({"builtins.Exception", "builtins.BaseException"})
_REFUSALS = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})


class Exceptions(Struct, eq=False):
    """Questions about exception classes."""

    evaluator: Evaluator

    def caught(self, handler_type: ast.expr | None, scope: Scope) -> tuple[Value, ...] | None:
        """The classes an `except` clause names; None where one of them is unknown; a bare `except` catches all."""
        if handler_type is None:
            return (Symbol("builtins.BaseException"),)
        found: list[Value] = []
        parts = handler_type.elts if isinstance(handler_type, ast.Tuple) else [handler_type]
        for part in parts:
            values = self.evaluator.values(part, scope)
            flat = [item for value in values for item in (value.elements if isinstance(value, Container) else (value,))]
            known = [value for value in flat if isinstance(value, Symbol | ClassValue)]
            if not known:
                return None
            found.extend(known)
        return tuple(dict.fromkeys(found))

    def ancestors(self, value: Value) -> tuple[str, ...]:
        """Dotted names of a class and its bases; a first-party class gives its library bases."""
        if isinstance(value, Symbol):
            return self.evaluator.facts.ancestors(value.name)
        if not isinstance(value, ClassValue):
            return ()
        found: list[str] = []
        for level in self.evaluator.lineage(value.cls):
            for base in level.node.bases:
                for item in self.evaluator.values(base, level.parent or level.module):
                    if isinstance(item, Symbol):
                        found.extend(self.evaluator.facts.ancestors(item.name))
        return tuple(dict.fromkeys(found))

    def covers(self, caught: Value, raised: str) -> bool:
        """Whether catching `caught` catches the library exception `raised`."""
        return isinstance(caught, Symbol) and self.evaluator.facts.canonical(caught.name) in (
            self.evaluator.facts.ancestors(raised)
        )

    def refuses(self, value: Value) -> bool:
        """Whether a class stands for statuses that blame the request: no client repeats it, and code that does asks
        something else."""
        rows = (self.evaluator.facts.exceptions.get(name) for name in self.ancestors(value))
        return next((row.status for row in rows if row and row.status), 0) in _REFUSALS

    def means(self, value: Value) -> str:
        """What a class stands for: "timeout", "overload", "status", "transport", "cancellation" or ""."""
        for name in self.ancestors(value):
            row = self.evaluator.facts.exceptions.get(name)
            if row and row.means:
                return row.means
        return ""
