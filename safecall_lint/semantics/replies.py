"""What code answers an HTTP request with when it raises or returns an error: the status, the headers, the text."""

from __future__ import annotations

import ast
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from safecall_lint.semantics.calls import argument, has_unpacking, keyword_or_position
from safecall_lint.semantics.evaluation.arguments import argument_of, default_of
from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.values import ClassValue, Constant, FunctionValue, Symbol, Value

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Class, Function, Scope

_STATUS_KEYWORDS: Final = ("status_code", "status", "code")
_SPELLED: Final = re.compile(r"HTTP_(\d{3})_")
_DEPTH: Final = 3


class Reply(Struct, frozen=True):
    """An answer that some code gives. `node` is the call, or the tuple, that makes it, and `statement` the `raise` or
    `return` around it. `status` is None where the code does not tell. `retry_after` tells whether the answer says, or
    may say, when to come back; `body` holds the expressions that the caller gets to read."""

    node: ast.expr
    statement: ast.Raise | ast.Return
    status: int | None
    retry_after: bool
    body: tuple[ast.expr, ...]

    @property
    def raised(self) -> bool:
        return isinstance(self.statement, ast.Raise)


class Replies(Struct, eq=False):
    """Finds answers."""

    evaluator: Evaluator

    def of(self, body: list[ast.stmt], scope: Scope, depth: int = _DEPTH) -> list[Reply]:
        """The HTTP answers that a block gives by itself, in source order."""
        exits = [node for node in own_nodes(body) if isinstance(node, ast.Raise | ast.Return)]
        found = (self._reply(node, scope, depth) for node in sorted(exits, key=lambda node: node.lineno))
        return [reply for reply in found if reply]

    def _reply(self, statement: ast.Raise | ast.Return, scope: Scope, depth: int) -> Reply | None:
        expr = statement.exc if isinstance(statement, ast.Raise) else statement.value
        if isinstance(expr, ast.Await):
            expr = expr.value
        if isinstance(expr, ast.Tuple) and isinstance(statement, ast.Return):
            return self._pair(expr, statement, scope)
        if not isinstance(expr, ast.Call):
            return None
        for value in self.evaluator.values(expr.func, scope):
            if found := self._made(value, expr, statement, scope, depth):
                return found
        return None

    def _made(
        self, value: Value, call: ast.Call, statement: ast.Raise | ast.Return, scope: Scope, depth: int
    ) -> Reply | None:
        match value:
            case Symbol():
                fact = self.evaluator.fact(value)
                return self._by_fact(fact, call, statement, scope) if fact and _answers(fact) else None
            case ClassValue(cls):
                base = self.evaluator.library_base(cls)
                status = self._status_of_class(cls, call, scope) if base and _answers(base) else None
                return self._by_arguments(call, statement, status) if status else None
            case FunctionValue(function) if depth and not isinstance(statement, ast.Raise):
                status = self._status_of_function(function, call, scope, depth - 1)
                return self._by_arguments(call, statement, status) if status else None
            case _:
                return None

    def _by_fact(self, fact: Fact, call: ast.Call, statement: ast.Raise | ast.Return, scope: Scope) -> Reply:
        given = argument(call, fact)
        status = self.status(given, scope) if given is not None else _as_status(fact.value_default)
        if given is None and has_unpacking(call):
            status = None
        return self._by_arguments(call, statement, status, given)

    def _by_arguments(
        self, call: ast.Call, statement: ast.Raise | ast.Return, status: int | None, given: ast.expr | None = None
    ) -> Reply:
        headers = keyword_or_position(call, "headers")
        told = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg not in _STATUS_KEYWORDS)]
        body = tuple(expr for expr in told if expr is not given and expr is not headers)
        return Reply(call, statement, status, _comes_back(headers) or has_unpacking(call), body)

    def _pair(self, pair: ast.Tuple, statement: ast.Return, scope: Scope) -> Reply | None:
        """`return {"error": ...}, 500`, as some frameworks have it."""
        if len(pair.elts) not in (2, 3) or isinstance(pair.elts[0], ast.Constant):
            return None
        status = self.status(pair.elts[1], scope)
        spoken = isinstance(pair.elts[0], ast.Dict | ast.Call)
        if status is None or not spoken:
            return None
        headers = pair.elts[2] if len(pair.elts) == 3 else None
        return Reply(pair, statement, status, _comes_back(headers), (pair.elts[0],))

    # -- the status --------------------------------------------------------------------------------------------------

    def status(self, expr: ast.expr | None, scope: Scope) -> int | None:
        """The status that an expression always is: a number, or a name such as `HTTPStatus.BAD_GATEWAY`."""
        values = self.evaluator.values(expr, scope)
        if len(values) != 1:
            return None
        (value,) = values
        if isinstance(value, Constant):
            return _as_status(value.value)
        if isinstance(value, Symbol):
            parts = value.name.removesuffix(".value").split(".")
            spelled = _SPELLED.match(parts[-1])
            member = HTTPStatus.__members__.get(parts[-1]) if "HTTPStatus" in parts else None
            return int(spelled[1]) if spelled else member.value if member else None
        return None

    def _status_of_class(self, cls: Class, call: ast.Call, scope: Scope) -> int | None:
        """The status of an error class of the project: given here, handed to its base, or written in its body."""
        for keyword in call.keywords:
            if keyword.arg in _STATUS_KEYWORDS:
                return self.status(keyword.value, scope)
        for level in self.evaluator.lineage(cls):
            made = level.methods.get("__init__")
            for site in made.scan.calls if made else ():
                func = site.node.func
                if made and isinstance(func, ast.Attribute) and func.attr == "__init__":
                    given = keyword_or_position(site.node, "status_code", 0)
                    return self._passed(given, made, call, scope)
            for binding, owner in level.attributes.get("status_code", ()):
                return self.status(binding.value, owner)
        return self.status(call.args[0], scope) if call.args else None

    def _status_of_function(self, function: Function, call: ast.Call, scope: Scope, depth: int) -> int | None:
        """The one status that a function of the project answers with, some of it perhaps given by the caller."""
        if function.is_generator:
            return None
        found: set[int | None] = set()
        for reply in self.of(function.node.body, function, depth):
            given = self._given(reply, function)
            found.add(self._passed(given, function, call, scope) if given is not None else reply.status)
        return found.pop() if len(found) == 1 else None

    def _given(self, reply: Reply, function: Function) -> ast.expr | None:
        """The argument of an answer that carries its status, where it is one of the function's parameters."""
        call = reply.node
        parts = [*call.args, *(item.value for item in call.keywords)] if isinstance(call, ast.Call) else []
        named = (part for part in parts if isinstance(part, ast.Name) and part.id in function.parameters)
        return next((part for part in named if "status" in part.id or "code" in part.id), None)

    def _passed(self, given: ast.expr | None, inner: Function, call: ast.Call, scope: Scope) -> int | None:
        if isinstance(given, ast.Name) and given.id in _names(inner):
            passed = argument_of(call, given.id, inner)
            default = default_of(inner).get(given.id)
            return self.status(passed, scope) if passed is not None else self.status(default, inner)
        return self.status(given, inner)


def _answers(fact: Fact) -> bool:
    return fact.kind in ("http-error", "http-answer")


def _as_status(value: object) -> int | None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    return int(number) if 100 <= number < 600 else None


def _comes_back(headers: ast.expr | None) -> bool:
    """Whether headers have `Retry-After`; those that are made elsewhere may have it."""
    if headers is None or (isinstance(headers, ast.Constant) and headers.value is None):
        return False
    if not isinstance(headers, ast.Dict):
        return True
    keys = [key.value if isinstance(key, ast.Constant) else None for key in headers.keys]
    return any(key is None or (isinstance(key, str) and key.lower() == "retry-after") for key in keys)


def _names(function: Function) -> list[str]:
    return [*function.parameters, *(arg.arg for arg in function.node.args.kwonlyargs)]
