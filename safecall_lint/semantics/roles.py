"""What a function is for: a route, a start-up hook, a script's main, a factory, a fixture, a test."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.model import Class, Function, Module, Scope

if TYPE_CHECKING:
    from safecall_lint.semantics.callers import Callers
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.scan import CallSite, Frame

ROUTES = frozenset({"get", "post", "put", "patch", "delete", "options", "head", "websocket", "api_route", "route"})
CACHED = frozenset({"lru_cache", "cache", "cached_property", "alru_cache", "cached", "singleton", "functools.cache"})
COMMANDS = frozenset({"command", "callback", "group"})
_ONCE = frozenset({"__init__", "__new__", "__aenter__", "__enter__", "__post_init__", "__init_subclass__"})
_STARTS = ("main", "lifespan", "startup", "start_up", "on_startup", "shutdown", "setup", "cli", "bootstrap")
_STARTING_PREFIXES = (
    "init_",
    "initialize",
    "initialise",
    "install_",
    "setup_",
    "_init_",
    "_setup",
    "_initialize",
    "startup_",
    "on_start",
    "create_app",
)
_CHAIN = 30


class Roles(Struct, eq=False):
    """Answers what a function is for."""

    calls: Calls
    everywhere: Callers

    def route(self, function: Function) -> bool:
        """An HTTP route handler: decorated by a method of an app or router."""
        for decorator in function.node.decorator_list:
            if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
                if decorator.func.attr in ROUTES and decorator.args:
                    return True
        return False

    def cached(self, function: Function) -> bool:
        """Its result is kept, so its body runs once per argument."""
        return bool(CACHED & set(function.decorator_names))

    def once(self, function: Function) -> bool:
        """Runs once per process or object: constructor, start-up, lifespan, `main`, command, fixture, cached."""
        names = set(function.decorator_names)
        name = function.name.strip("_").lower()
        if function.name in _ONCE or self.cached(function) or names & (COMMANDS | {"fixture", "on_event"}):
            return True
        if b"__main__" in function.module.source.utf8 and self._script(function):
            return True
        if name in _STARTS or name.endswith("_main") or function.name.startswith(_STARTING_PREFIXES):
            return True
        return "asynccontextmanager" in names and self._takes_app(function)

    @staticmethod
    def _script(function: Function) -> bool:
        """Handed to something under `if __name__ == "__main__"`: the script's command."""
        guards = (
            node for node in function.module.tree.body if isinstance(node, ast.If) and "__name__" in ast.dump(node.test)
        )
        return function.parent is None and any(
            isinstance(node, ast.Name) and node.id == function.name for guard in guards for node in ast.walk(guard)
        )

    @staticmethod
    def _takes_app(function: Function) -> bool:
        return any(name in ("app", "application", "_app", "_", "server") for name in function.parameters)

    def test(self, function: Function) -> bool:
        """A test or something that only tests use."""
        return function.name.startswith("test_") or "fixture" in function.decorator_names

    def callers(self, function: Function) -> list[tuple[CallSite, Scope]]:
        """The calls of a function in its own module."""
        wanted = function.cls.name if function.name == "__init__" and function.cls else function.name
        return [
            (site, scope)
            for site, scope in function.module.call_sites.get(wanted, ())
            if (function.cls and isinstance(site.node.func, ast.Attribute))
            or function in self.calls.evaluator.callees(site.node, scope)
        ]

    def per_request(self, function: Function) -> bool:
        """Runs again and again: not one of the once-only roles, nor called only by those outside any loop."""
        return not self._only_once(function, frozenset())

    def repeated(self, function: Function) -> bool:
        """Runs once per request: a coroutine that is not once-only, or what one, a route or a loop calls."""
        if not self.per_request(function) or not (function.is_async or self._reached(function)):
            return False
        return self.route(function) or not self._once_everywhere(function)

    def runs_once(self, function: Function) -> bool:
        """Runs once per process, by its role or because only such functions call it."""
        return not self.per_request(function) or self._once_everywhere(function)

    def _once_everywhere(self, function: Function) -> bool:
        """Whether a function of the project is only ever called from what runs once, in whatever module."""
        queue = [function]
        for item in queue:
            if self.once(item):
                continue
            callers = [] if self.route(item) or len(queue) > _CHAIN else self._callers_of(item)
            if not callers and self._step_of_script(item):
                continue
            if not callers or any(in_loop(site.frame) for site, _ in callers):
                return False
            queue += {scope: None for _, scope in callers if isinstance(scope, Function) and scope not in queue}
        return True

    def _step_of_script(self, function: Function) -> bool:
        """Whether only what runs once names a function that nothing calls: a step in the list of a script."""
        module = function.module
        if function.parent or function.cls or function.node.decorator_list or b"__main__" not in module.source.utf8:
            return False
        naming = [node for node in module.tree.body if node is not function.node and _names(node, function.name)]
        steps = [step for node, step in module.functions.items() if node in naming]
        return bool(steps) and len(steps) == len(naming) and all(self.once(step) for step in steps)

    def _callers_of(self, function: Function) -> list[tuple[CallSite, Scope]]:
        """The calls of a function, its own and those in an event loop of their own left out."""
        found = [(site, scope) for site, scope in self.everywhere.of(function) if scope is not function]
        outside = [(site, scope) for site, scope in found if not self._own_loop(site, scope)]
        return outside or [(site, scope.module) for site, scope in found]

    def _reached(self, function: Function) -> bool:
        """Whether a route, a loop or a coroutine that is not once-only calls a function, at any depth: in its
        module, and elsewhere where its own module does not call it."""
        queue = [function]
        for item in queue:
            if self.route(item):
                return True
            for site, scope in self.callers(item) or self._callers_of(item):
                if in_loop(site.frame):
                    return True
                if (
                    len(queue) <= _CHAIN
                    and isinstance(scope, Function)
                    and scope not in queue
                    and not self._only_once(scope, frozenset())
                ):
                    if scope.is_async:
                        return True
                    queue.append(scope)
        return False

    def _only_once(self, function: Function, seen: frozenset[Function]) -> bool:
        if self.once(function) or self.test(function):
            return True
        if self.route(function) or function in seen:
            return False
        callers = self.callers(function)
        return bool(callers) and all(self._caller_once(site, scope, seen | {function}) for site, scope in callers)

    def _caller_once(self, site: CallSite, scope: Scope, seen: frozenset[Function]) -> bool:
        if self._own_loop(site, scope):
            return True
        if in_loop(site.frame):
            return False
        if isinstance(scope, Module | Class):
            return True
        return self._only_once(scope, seen)

    def _own_loop(self, site: CallSite, scope: Scope) -> bool:
        """Whether a call is the argument of `asyncio.run`: each such run has an event loop of its own."""
        return site.outer is not None and self.calls.kind(site.outer.node, scope) == "run"


def _names(node: ast.AST, name: str) -> bool:
    return any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(node))


def in_loop(frame: Frame | None) -> bool:
    """Whether a place is run once per turn of a loop or comprehension in its own scope."""
    while frame is not None:
        if frame.section == "comprehension":
            return True
        if isinstance(frame.node, ast.For | ast.AsyncFor | ast.While) and frame.section == "body":
            return True
        frame = frame.parent
    return False
