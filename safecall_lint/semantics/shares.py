"""What part of a limit a process may use: the number that a limiter is made with, and what that was divided by."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from safecall_lint.semantics.calls import argument

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.values import Instance, Object

_HOPS: Final = 3


class Share(Struct, frozen=True):
    """A limit that is divided: the `whole`, and into how many `parts`; None where the code does not tell."""

    whole: float | None
    parts: float | None

    def enough(self, processes: int | None) -> bool:
        """Whether so many processes keep to the whole, as far as it can be told."""
        return processes is None or self.parts is None or self.parts >= processes


class Shares(Struct, eq=False):
    """Answers for limiters."""

    evaluator: Evaluator

    def stated(self, limiter: Instance | Object) -> ast.expr | None:
        """The code of a limiter's number, where it is made."""
        fact = self.evaluator.fact(limiter)
        if fact is None or limiter.call is None:
            return None
        if fact.value_keyword:
            return argument(limiter.call, fact)
        return limiter.call.args[0] if limiter.call.args else None

    def limit(self, limiter: Instance | Object) -> float | None:
        """The number of a limiter."""
        return self.evaluator.number(self.stated(limiter), limiter.scope) if limiter.scope is not None else None

    def of(self, limiter: Instance | Object) -> Share | None:
        """How a limiter's number is divided, None where it is not."""
        stated = self.stated(limiter)
        if stated is None or limiter.scope is None:
            return None
        divided = next(self._divisions(stated, limiter.scope, _HOPS), None)
        if divided is None:
            return None
        (left, right), scope = divided
        return Share(self.evaluator.number(left, scope), self.evaluator.number(right, scope))

    def _divisions(self, expr: ast.expr, scope: Scope, hops: int) -> Iterator[tuple[tuple[ast.expr, ast.expr], Scope]]:
        """The divisions in an expression and in what its names stand for."""
        for node in ast.walk(expr):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.FloorDiv):
                yield (node.left, node.right), scope
            elif isinstance(node, ast.Name) and hops:
                for row, owner in scope.lookup(node.id):
                    if row.form in ("assign", "annotation") and row.value is not None:
                        yield from self._divisions(row.value, owner, hops - 1)
