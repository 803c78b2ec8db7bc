"""SCL408: a body is read as an answer although the status was never looked at."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.model import Function
from safecall_lint.semantics.values import Constant, Instance, Site, Value
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.responses import Response
    from safecall_lint.visiting.context import Context
    from safecall_lint.visiting.walk import Replacement

_BODIES = frozenset({"text", "read", "content"})


class UncheckedStatus(Visitor):
    needs = (frozenset({"vendor", ".json"}),)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._told: set[tuple[int, int]] = set()

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(_read(semantics, scope) for scope in scopes if isinstance(scope, Function))

    @classmethod
    def strict_at_most(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        functions = (scope for scope in scopes if isinstance(scope, Function))
        return all(_from_outside(response) for one in functions for response in _read(semantics, one))

    def visit_Call(self, node: cst.Call) -> None:
        if isinstance(node.func, cst.Attribute):
            self._body(node, node.func)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        if node.attr.value in _BODIES and not isinstance(self._parent(), cst.Call | cst.Attribute):
            self._body(node, node)

    def _parent(self) -> cst.CSTNode:
        return self.context.stack[-2]

    def _body(self, node: cst.BaseExpression, read: cst.Attribute) -> None:
        function = self.context.function
        if function is None or self.semantics.roles.test(function):
            return
        name = read.attr.value
        if name != "json" and not (name in _BODIES and self._returned(node)):
            return
        if any(isinstance(item, cst.ExceptHandler) for item in self.context.stack):
            return
        found = [(value, self.semantics.responses.of(value)) for value in self._values(read.value)]
        known = [(value, response) for value, response in found if response is not None]
        understood = all(response is not None or _nothing(value) for value, response in found)
        if known and understood and all(self._unchecked(read.value, item, function) for _, item in known):
            self._tell(node, read, self._nearest([response for _, response in known]), function)

    def _values(self, expr: cst.BaseExpression) -> tuple[Value, ...]:
        """What is read; a request that is read where it is made is known by its own node, so that it has a place."""
        made = expr.expression if isinstance(expr, cst.Await) else expr
        site = self.context.site(made) if isinstance(made, cst.Call) else None
        if site is not None:
            return self.semantics.evaluator.values(site.node, self.context.scope)
        return self.context.values(expr)

    def _nearest(self, found: list[Response]) -> Response:
        """Of the requests that a name has stood for, the last one above this place."""
        line: int = getattr(self.context.twin(self.context.statement()), "lineno", 0)
        above = [one for one in found if one.scope is self.context.scope and one.call.lineno <= line]
        return max(above, key=lambda one: one.call.lineno, default=found[0])

    def _returned(self, node: cst.BaseExpression) -> bool:
        """Whether the text as it is becomes the function's result."""
        above = [item for item in reversed(self.context.stack[:-1]) if not isinstance(item, cst.Await)]
        return bool(above) and isinstance(above[0], cst.Return)

    def _unchecked(self, expr: cst.BaseExpression, response: Response, function: Function) -> bool:
        responses = self.semantics.responses
        if responses.checked_by_client(response) or responses.checked_on_the_way(response, function):
            return False
        if responses.hooked_later(response.client, function.module):
            return False
        if not isinstance(expr, cst.Name):
            return isinstance(expr, cst.Call | cst.Await)
        found = function.lookup(expr.value)
        rows = [row for row, _ in found]
        if any(responses.checked_between(row.value, owner) for row, owner in found):
            return False
        if any(row.form not in ("assign", "with", "annotation") for row in rows):
            return False
        return not responses.checked_here(expr.value, response.fact, function)

    def _tell(self, node: cst.BaseExpression, read: cst.Attribute, response: Response, function: Function) -> None:
        key = (response.call.lineno, response.call.col_offset)
        if key in self._told:
            return
        self._told.add(key)
        self.report(
            node,
            "an error page is read as the answer: nobody looks at the status",
            label="also runs for 401, 429 and 503",
            labels=[(Site(response.scope.module, response.call), "returns whatever the status")],
            help="call `raise_for_status()` before the body is read",
            fix=self._fix(read, response),
            strict=_from_outside(response),
        )

    def _fix(self, read: cst.Attribute, response: Response) -> Rewrite | None:
        statement = self._line()
        if not isinstance(read.value, cst.Name) or statement is None:
            return None
        check = cst.parse_statement(f"{read.value.value}.raise_for_status()")
        moved = statement.with_changes(leading_lines=[])
        lead = statement.leading_lines
        both: list[cst.CSTNode] = [check.with_changes(leading_lines=lead), moved]
        nodes: dict[cst.CSTNode, Replacement] = {statement: cst.FlattenSentinel(both)}
        risk = f"a 4xx or 5xx now raises `{response.fact.status_exception or 'HTTPStatusError'}`"
        return Rewrite("check the status first", Safety.UNSAFE, nodes, risk=risk)

    def _line(self) -> cst.SimpleStatementLine | None:
        return next((item for item in reversed(self.context.stack) if isinstance(item, cst.SimpleStatementLine)), None)


def _read(semantics: Semantics, function: Function) -> list[Response]:
    """The responses that a function takes the body out of."""
    read = [site.node.func for site in function.scan.calls]
    read += [item.value for item in function.scan.returns if item.value is not None]
    taken = [expr.value for expr in read if isinstance(expr, ast.Attribute) and expr.attr in {"json", *_BODIES}]
    values = (value for expr in taken for value in semantics.evaluator.values(expr, function))
    return [response for value in values if (response := semantics.responses.of(value))]


def _nothing(value: Value) -> bool:
    return value == Constant(None)


def _from_outside(response: Response) -> bool:
    """Whether the client was made where nobody can see it, so that a hook or a subclass may check every status."""
    return isinstance(response.client, Instance) and response.client.call is None
