"""HTTP responses: where they come from, and whether anybody looked at their status."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct, field

from safecall_lint.semantics.calls import Calls, has_unpacking, keyword_or_position
from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.model import Function, Module, Scope
from safecall_lint.semantics.values import Constant, Instance, Member, Object, Result, Value

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.evaluate import Evaluator

_RAISES = "raise_for_status"
_HOPS = 4
_LOGS = frozenset(
    {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "trace", "success", "write"}
)


class Response(Struct, frozen=True):
    """What a request gave. `client` is None for module functions such as `requests.get`."""

    fact: Fact
    client: Instance | Object | None
    call: ast.Call
    scope: Scope


class Responses(Struct, eq=False):
    """Questions about responses. Doubt counts as checked."""

    calls: Calls
    _looking: dict[Function, bool] = field(default_factory=dict)

    @property
    def evaluator(self) -> Evaluator:
        return self.calls.evaluator

    def of(self, value: Value) -> Response | None:
        """The response that a value is."""
        if isinstance(value, Result) and isinstance(value.of, Member):
            fact = self.evaluator.fact(value.of.owner)
            if fact and fact.parses and len(value.of.path) == 1 and value.of.path[0] in fact.calls:
                return Response(fact, value.of.owner, value.call, value.scope)
        if isinstance(value, Instance) and value.call is not None and value.scope is not None:
            fact = self.evaluator.fact(value)
            if fact and fact.kind == "call" and fact.parses:
                return Response(fact, None, value.call, value.scope)
        return None

    def checked_by_client(self, response: Response) -> bool:
        """Whether the client raises for bad statuses by itself, or may: hooks, its own transport, a subclass."""
        if self._hooked(response.call, response.fact, response.scope):
            return True
        client = response.client
        if client is None:
            return False
        if isinstance(client, Object):
            return True
        if client.call is None or client.scope is None:
            return False
        keywords = [name for name in response.fact.transport_keywords if name != "connector"]
        if any(keyword_or_position(client.call, name) is not None for name in keywords):
            return True
        if has_unpacking(client.call):
            texts = (client.scope.module.source.utf8, response.scope.module.source.utf8)
            return any(word.encode() in text for word in (*keywords, *response.fact.hook_keywords) for text in texts)
        return self._hooked(client.call, response.fact, client.scope)

    def _hooked(self, call: ast.Call, fact: Fact, scope: Scope) -> bool:
        for name in fact.hook_keywords:
            given = keyword_or_position(call, name)
            if given is not None and not set(self.evaluator.values(given, scope)) & {Constant(False), Constant(None)}:
                return True
        return False

    def checked_here(self, name: str, fact: Fact, function: Function) -> bool:
        """Whether a function looks at the status of the response that it calls `name`, or hands it to who may."""
        body = function.node.body
        logged = set(_logged(body))
        for node in own_nodes(body):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name:
                asked = node.attr in fact.status_names and node not in logged
                if asked or node.attr == _RAISES:
                    return True
            if isinstance(node, ast.Call) and node not in logged and self._may_check(node, name, function):
                return True
            if isinstance(node, ast.If | ast.While | ast.Assert | ast.IfExp) and _tests(node.test, name):
                return True
        return False

    def _may_check(self, call: ast.Call, name: str, function: Function) -> bool:
        """Whether a call is handed the response and looks at it; a function of the project is read, others may."""
        handed = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not any(isinstance(arg, ast.Name) and arg.id == name for arg in handed):
            return False
        callees = self.evaluator.callees(call, function)
        return not callees or any(self.looks(callee) for callee in callees)

    def looks(self, function: Function) -> bool:
        """Whether a function reads anybody's status or raises for it, itself or a function below it."""
        if function not in self._looking:
            self._looking[function] = any(_reads_status(node) for node in ast.walk(function.node))
        return self._looking[function]

    def checked_on_the_way(self, response: Response, scope: Scope) -> bool:
        """Whether the function that made the request, when it is another one, looks at the status."""
        made = response.scope
        if made is scope or not isinstance(made, Function):
            return False
        handed = [site.node for site in made.scan.calls if site.node.args]
        return self.looks(made) or any(
            self.looks(item) for call in handed for item in self.evaluator.callees(call, made)
        )

    def checked_between(self, expr: ast.expr | None, scope: Scope, depth: int = _HOPS) -> bool:
        """Whether a function of the project that hands a response on looks at its status: the one that an expression
        calls, or one that gave it to that one."""
        call = expr.value if isinstance(expr, ast.Await) else expr
        if not isinstance(call, ast.Call) or depth == 0:
            return False
        for callee in self.evaluator.callees(call, scope):
            given = (item.value for item in callee.scan.returns)
            if self.looks(callee) or any(
                self.checked_between(source, callee, depth - 1)
                for value in given
                for source in (self._sources(value, callee) if isinstance(value, ast.Name) else (value,))
            ):
                return True
        return False

    @staticmethod
    def _sources(name: ast.Name, function: Function) -> Iterator[ast.expr | None]:
        yield from (row.value for row in function.scan.bindings.get(name.id, ()))

    @staticmethod
    def hooked_later(client: Instance | Object | None, module: Module) -> bool:
        """Whether the file gives some client hooks or adapters after it was made."""
        text = module.source.utf8
        return client is not None and any(word in text for word in (b".hooks", b".mount(", b".event_hooks"))


def _logged(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes that only go to a log."""
    for node in own_nodes(body):
        if isinstance(node, ast.Call):
            func = node.func
            name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            if name in _LOGS:
                yield from ast.walk(node)


def _tests(test: ast.expr, name: str) -> bool:
    """Whether a test is on the bare name: `if response:` is `response.ok` with requests."""
    inner = test.operand if isinstance(test, ast.UnaryOp) else test
    return isinstance(inner, ast.Name) and inner.id == name


def _reads_status(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in (_RAISES, "status_code", "status", "ok", "is_success", "is_error")
    return isinstance(node, ast.keyword) and node.arg == _RAISES
