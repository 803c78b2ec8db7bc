"""Where requests come in: routes, handlers that are registered by a call, dependencies; and what bounds all of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from safecall_lint.semantics.roles import ROUTES, Roles
from safecall_lint.semantics.values import FunctionValue

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.deadlines import Deadline, Deadlines
    from safecall_lint.semantics.model import Function, Module, Scope
    from safecall_lint.semantics.scan import CallSite, Frame

_VERBS: Final = ROUTES - {"websocket"}
_REGISTERING: Final = frozenset(
    {
        "add_api_route", "add_route", "APIRoute", "Route", "add_get", "add_post", "add_put", "add_patch", "add_delete",
        "get", "post", "put", "patch", "delete",
    }
)  # fmt: skip
_INJECTING: Final = frozenset({"Depends", "Security"})
_INJECTED: Final = re.compile(rb"\b(?:Depends|Security)\(\s*(?:dependency\s*=\s*)?(?:[\w.]+\.)?(\w+)\s*[,)]")
_ENDPOINTS: Final = ("endpoint", "handler")
_LAYER: Final = re.compile(rb"call_next|\.middleware\b|async def __call__\(self, scope")
_LIMIT: Final = re.compile(rb"timeout|wait_for|fail_after|move_on_after|deadline")
_INSTALLED: Final = rb"(?:add_m|\bM)iddleware\(\s*[\w.]*(?:Timeout|Deadline|TimeLimit)\w*"
_DEPTH: Final = 4


class Entries(Struct, eq=False):
    """Answers for functions and modules. A websocket is no request: it is meant to stay open."""

    calls: Calls
    roles: Roles
    deadlines: Deadlines
    _names: dict[str, frozenset[bytes]] = field(default_factory=dict)
    _layers: dict[str, bool] = field(default_factory=dict)

    def may_serve(self, function: Function) -> bool:
        """Whether a coroutine can have a role at all, as far as little work tells."""
        return function.is_async and (self._is_injected(function) or self._is_route(function))

    def role(self, function: Function) -> str:
        """What a request runs a coroutine as: "route", "dependency", or "" where it does not."""
        if not function.is_async or self.roles.test(function):
            return ""
        if self._is_route(function):
            return "route"
        return "dependency" if self._is_injected(function) else ""

    def _is_route(self, function: Function) -> bool:
        return any(self._verbs(function)) or self._is_method(function) or self._is_registered(function)

    def _verbs(self, function: Function) -> Iterator[ast.Call]:
        """The decorators that make a function a route, unless what they belong to is known to be something else."""
        scope = function.parent or function.module
        for decorator in function.node.decorator_list:
            if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
                kinds = self._kinds(decorator.func.value, scope)
                if decorator.func.attr in _VERBS and decorator.args and kinds <= {"app", ""}:
                    yield decorator

    def _kinds(self, owner: ast.expr, scope: Scope) -> set[str]:
        return {self.calls.evaluator.kind(value) for value in self.calls.evaluator.values(owner, scope)}

    def _is_method(self, function: Function) -> bool:
        """Whether a function is the `get` or `post` of a class that answers requests."""
        base = self.calls.evaluator.library_base(function.cls) if function.cls and function.name in _VERBS else None
        return base is not None and base.kind == "endpoint"

    def _is_registered(self, function: Function) -> bool:
        """Whether its module hands a function to an application together with a path."""
        sites = function.module.call_sites
        for name in _REGISTERING & sites.keys():
            for site, scope in sites[name]:
                if len(site.node.args) + len(site.node.keywords) < 2 or not _has_path(site.node):
                    continue
                if any(function is given for given in self._handed(_endpoint(site.node), scope)):
                    return True
        return False

    def _handed(self, expr: ast.expr | None, scope: Scope) -> Iterator[Function]:
        for value in self.calls.evaluator.values(expr, scope):
            if isinstance(value, FunctionValue):
                yield value.function

    def _is_injected(self, function: Function) -> bool:
        """Whether the project asks for a function's result by `Depends`."""
        if function.parent is not None and function.cls is None:
            return False
        return function.name.encode() in self._injected(function.module)

    def _injected(self, module: Module) -> frozenset[bytes]:
        """The last names of everything that a module's project asks for by `Depends` or `Security`."""
        top = self.roles.everywhere.below(module)
        if top not in self._names:
            texts = self.roles.everywhere.texts(_INJECTED.pattern, b"(", module)
            self._names[top] = frozenset(name for text in texts for name in _INJECTED.findall(text))
        return self._names[top]

    # -- what bounds every request -----------------------------------------------------------------------------------

    def bounded(self, function: Function) -> bool:
        """Whether something around a route bounds it: its framework, a decorator, a dependency, or a middleware."""
        evaluator = self.calls.evaluator
        scope = function.parent or function.module
        for decorator in self._verbs(function):
            assert isinstance(decorator.func, ast.Attribute)
            facts = [evaluator.fact(value) for value in evaluator.values(decorator.func.value, scope)]
            if any(fact and fact.timeout_default for fact in facts):
                return True
        return self.guarded(function) or self._injects_limit(function) or self._under_layer(function.module)

    def guarded(self, function: Function) -> bool:
        """Whether a decorator puts a deadline around a function: a policy of the runtime, or one of the project."""
        scope = function.parent or function.module
        for decorator in function.node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            if "policy" in self._kinds(decorator, scope):
                return True
            if any(self._limits_below(given, _DEPTH) for given in self._handed(target, scope)):
                return True
        return False

    def _limits_below(self, function: Function, depth: int) -> bool:
        if self.deadlines.of(function):
            return True
        return depth > 0 and any(self._limits_below(inner, depth - 1) for inner in function.functions.values())

    def around_yield(self, function: Function) -> bool:
        """Whether what enters a context manager of the project runs under a deadline."""
        limits = self.deadlines.of(function)
        return any(limit.holds(frame) for _, frame in function.scan.yields for limit in limits)

    def cut(self, site: CallSite, function: Function) -> bool:
        """Whether a call of a function runs under a deadline that the function sets, by itself or by entering a context
        manager of the project."""
        if any(limit.cuts(site) and not _is_never(limit) for limit in self.deadlines.of(function)):
            return True
        return any(self._enters_limit(frame, function) for frame in (site.frame.chain() if site.frame else ()))

    def _enters_limit(self, frame: Frame, function: Function) -> bool:
        if not isinstance(frame.node, ast.With | ast.AsyncWith) or frame.section != "body":
            return False
        calls = [item.context_expr for item in frame.node.items if isinstance(item.context_expr, ast.Call)]
        return any(
            self.around_yield(callee) for call in calls for callee in self.calls.evaluator.callees(call, function)
        )

    def _injects_limit(self, function: Function) -> bool:
        """Whether one of a route's dependencies keeps a deadline open around it."""
        args = function.node.args
        defaults = [*args.defaults, *(item for item in args.kw_defaults if item)]
        hints = [arg.annotation for arg in (*args.args, *args.kwonlyargs) if arg.annotation]
        scope = function.parent or function.module
        for part in (*defaults, *hints, *function.node.decorator_list):
            for node in ast.walk(part):
                if isinstance(node, ast.Call) and _last(node.func) in _INJECTING and node.args:
                    if any(map(self.around_yield, self._handed(node.args[0], scope))):
                        return True
        return False

    def _under_layer(self, module: Module) -> bool:
        """Whether a middleware of the project bounds whatever it calls."""
        top = self.roles.everywhere.below(module)
        if top not in self._layers:
            everywhere = self.roles.everywhere
            installed = everywhere.mentioned(_INSTALLED, b"iddleware", module)
            found = installed or any(map(self._limits_requests, everywhere.modules(_LAYER, _LIMIT, module)))
            if not self.calls.evaluator.idle:
                return found
            self._layers[top] = found
        return self._layers[top]

    def _limits_requests(self, module: Module) -> bool:
        for function in module.all_functions:
            passed = [site for site in function.scan.calls if _passes_on(site, function)]
            if passed and any(limit.cuts(site) for limit in self.deadlines.of(function) for site in passed):
                return True
        return False


def _is_never(limit: Deadline) -> bool:
    """Whether a limit on time is spelled `None`."""
    return isinstance(limit.limit, ast.Constant) and limit.limit.value is None


def _passes_on(site: CallSite, function: Function) -> bool:
    """Whether a call of a middleware is of the application below it."""
    func = site.node.func
    if isinstance(func, ast.Name):
        return func.id == "call_next" or (func.id == "app" and function.name == "__call__")
    return isinstance(func, ast.Attribute) and func.attr == "app" and function.name in ("__call__", "dispatch")


def _has_path(call: ast.Call) -> bool:
    parts = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "path")]
    return any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in parts[:2]) or any(
        isinstance(part, ast.JoinedStr | ast.BinOp) for part in parts[:1]
    )


def _endpoint(call: ast.Call) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg in _ENDPOINTS:
            return keyword.value
    return call.args[1] if len(call.args) > 1 else None


def _last(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
