"""Whether something bounds the wait for an answer: a timeout argument, a timeout object, the scopes around a call."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from safecall_lint.semantics.calls import Calls, argument, has_unpacking, is_request, keyword_or_position
from safecall_lint.semantics.evaluation import origin
from safecall_lint.semantics.evaluation.arguments import argument_of
from safecall_lint.semantics.model import Class, Function, Module, Scope
from safecall_lint.semantics.values import Constant, Instance, Member, Object, Site

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.callers import Callers
    from safecall_lint.semantics.deadlines import Deadlines
    from safecall_lint.semantics.scan import Binding, CallSite

_HOPS = 6

Why = Literal["none", "config", "parameter"]


class Unbounded(Struct, frozen=True):
    """Why nothing bounds the wait: a `None`, a timeout object without the phase that counts, or a parameter that is
    None by default. `cause` is where that stands."""

    why: Why
    cause: Site
    config: Instance | None = None


class Timeouts(Struct, eq=False):
    """Questions about timeouts. Doubt counts as bounded."""

    calls: Calls

    def unbounded(self, expr: ast.expr, scope: Scope, fact: Fact) -> Unbounded | None:
        """Why the timeout `expr`, handed to something of `fact`, bounds nothing; None where it does or may."""
        expr, scope = self._origin(expr, scope)
        here = Site(scope.module, expr)
        if isinstance(expr, ast.Tuple) and len(expr.elts) > 1:
            return self.unbounded(expr.elts[1], scope, fact)
        values = self.calls.evaluator.values(expr, scope)
        if values == (Constant(None),) and isinstance(expr, ast.Constant):
            return None if fact.none_is_default else Unbounded("none", here)
        if isinstance(expr, ast.Name) and (parameter := self._parameter(expr, scope)):
            return None if fact.none_is_default else Unbounded("parameter", Site(scope.module, parameter))
        if len(values) == 1 and isinstance(values[0], Instance) and (config := values[0]).call is not None:
            return Unbounded("config", config.site or here, config) if self.open(config) else None
        return None

    def open(self, config: Instance) -> bool:
        """Whether a timeout object leaves the wait for an answer unbounded."""
        fact = self.calls.evaluator.fact(config)
        if not fact or fact.kind != "timeout-config" or config.call is None or config.scope is None:
            return False
        call = config.call
        if has_unpacking(call) or any(isinstance(arg, ast.Starred) for arg in call.args):
            return False
        return all(self._off(self._phase(call, fact, name), config.scope, fact) for name in fact.bounds)

    def missing(self, call: ast.Call, fact: Fact) -> tuple[str, ...]:
        """The phases whose absence makes a timeout object raise when it is built: no default, and not every phase."""
        if not fact.complete or has_unpacking(call) or call.args or argument(call, fact) is not None:
            return ()
        given = {keyword.arg for keyword in call.keywords}
        return tuple(name for name in fact.phases if name not in given) if given & set(fact.phases) else ()

    def _phase(self, call: ast.Call, fact: Fact, name: str) -> ast.expr | None:
        """What a timeout object gets for a phase: its own argument, else the default for all of them."""
        if fact.value_keyword:
            own = keyword_or_position(call, name)
            return own if own is not None else argument(call, fact)
        return keyword_or_position(call, name, fact.phases.index(name))

    def _off(self, expr: ast.expr | None, scope: Scope, fact: Fact) -> bool:
        if expr is None:
            return not fact.complete
        expr, scope = self._origin(expr, scope)
        if isinstance(expr, ast.Constant) and expr.value is None:
            return True
        return fact.zero_is_none and self.calls.evaluator.number(expr, scope) == 0

    def _origin(self, expr: ast.expr, scope: Scope) -> tuple[ast.expr, Scope]:
        """Follow a name or attribute back through imports and plain assignments, as long as each is the only one."""
        for _ in range(_HOPS):
            step = self._assigned(expr, scope)
            if step is None:
                break
            expr, scope = step
        return expr, scope

    def _assigned(self, expr: ast.expr, scope: Scope) -> tuple[ast.expr, Scope] | None:
        owner = None
        if isinstance(expr, ast.Attribute) and isinstance(expr.value, ast.Name):
            owner = _class_of(expr.value.id, scope)
        rows: Iterable[tuple[Binding, Scope]] = ()
        if isinstance(expr, ast.Attribute) and owner:
            rows = owner.attributes.get(expr.attr, ())
        elif isinstance(expr, ast.Name | ast.Attribute):
            rows = origin.of(self.calls.evaluator, expr, scope)
        found = list(rows)
        if len(found) != 1:
            return None
        binding, made = found[0]
        if binding.form not in ("assign", "annotation") or binding.value is None:
            return None
        away = made.module is not scope.module and self._set_from_outside(binding.name, made.module)
        return None if away else (binding.value, made)

    def _set_from_outside(self, name: str, module: Module) -> bool:
        """Whether any code of the project seems to set a name of a module: `settings.TIMEOUT = 5`."""
        setting = rf"(?<!self)(?<!cls)\.{re.escape(name)}\s*(?::[^=\n]+)?=[^=]"
        return bool(self.calls.evaluator.project.having(name, setting, f"m{module.file}", module))

    def _parameter(self, expr: ast.Name, scope: Scope) -> ast.AST | None:
        """The parameter that a name is, where it is None by default, never replaced, and some caller leaves it out."""
        rows = scope.lookup(expr.id)
        if len(rows) != 1:
            return None
        binding, owner = rows[0]
        default = binding.value
        none = isinstance(default, ast.Constant) and default.value is None
        if binding.form != "parameter" or not none or not isinstance(owner, Function):
            return None
        if _tested(owner.node, expr.id) or self._always_given(owner, expr.id):
            return None
        return binding.statement

    def _always_given(self, function: Function, name: str) -> bool:
        wanted = function.cls.name if function.name == "__init__" and function.cls else function.name
        calls = [
            site.node
            for site, scope in function.module.call_sites.get(wanted, ())
            if (function.cls and isinstance(site.node.func, ast.Attribute))
            or function in self.calls.evaluator.callees(site.node, scope)
        ]
        given = (argument_of(call, name, function) for call in calls if not has_unpacking(call))
        return bool(calls) and all(
            expr is not None and not (isinstance(expr, ast.Constant) and expr.value is None) for expr in given
        )


class Uses(Struct, eq=False):
    """What a project does with a client."""

    calls: Calls
    deadlines: Deadlines
    everywhere: Callers

    def of(self, client: ast.Call, module: Module) -> list[tuple[CallSite, Scope]]:
        """The requests that the client made by a call sends in a module."""
        return [
            (site, scope)
            for rows in module.call_sites.values()
            for site, scope in rows
            if self._sends(site.node, scope, client)
        ]

    def _sends(self, call: ast.Call, scope: Scope, client: ast.Call) -> bool:
        if not isinstance(call.func, ast.Attribute):
            return False
        return any(
            isinstance(value, Member)
            and value.owner.call is client
            and (fact := self.calls.evaluator.fact(value.owner))
            and is_request(fact, value.path)
            for value in self.calls.evaluator.values(call.func, scope)
        )  # fmt: skip

    def bounded(self, client: ast.Call, module: Module, fact: Fact) -> bool:
        """Whether every request of a client has a limit of its own: its `timeout`, `with_options`, a scope around.
        A client of a module that too many others use counts as bounded: nobody has read all of its requests."""
        found = self.of(client, module)
        if not all(self._limited(site, scope, fact) for site, scope in found):
            return False
        for name in _names_of(client, module):
            users = self.everywhere.users(name, module)
            if users is None:
                return True
            found += [row for user in users for row in self.of(client, user)]
        return bool(found) and all(self._limited(site, scope, fact) for site, scope in found)

    def adapted(self, client: Instance) -> bool:
        """Whether an adapter of the project is mounted on a session, or a method of a session replaced: either may set
        the timeout. What another module does counts where it does it to this very session."""
        if client.call is None or client.scope is None:
            return False
        module = client.scope.module
        if any(path.endswith((".request", ".send")) for item in module.scopes for path in item.scan.attributes):
            return True
        pattern = r"\b{}\.mount\("
        away = (
            (site, scope)
            for name in _names_of(client.call, module)
            for other in self.everywhere.others(pattern.format(re.escape(name)), name, module)
            for site, scope in other.call_sites.get("mount", ())
            if self._is_member(site.node, scope, client.call)
        )
        return any(self._mounts(site.node, scope) for site, scope in (*module.call_sites.get("mount", ()), *away))

    def _mounts(self, call: ast.Call, scope: Scope) -> bool:
        values = self.calls.evaluator.values(call.args[1], scope) if len(call.args) > 1 else ()
        return any(isinstance(value, Object) for value in values)

    def _is_member(self, call: ast.Call, scope: Scope, client: ast.Call) -> bool:
        values = self.calls.evaluator.values(call.func, scope)
        return any(isinstance(value, Member) and value.owner.call is client for value in values)

    def _limited(self, site: CallSite, scope: Scope, fact: Fact) -> bool:
        keyword = fact.call_timeout
        if isinstance(site.node.func, ast.Attribute) and site.node.func.attr in fact.upgrades:
            return True
        if keyword and (keyword_or_position(site.node, keyword) is not None or _names(scope, keyword)):
            return True
        if keyword and _carried(site.node, keyword, scope):
            return True
        func: ast.expr = site.node.func
        while isinstance(func, ast.Attribute | ast.Call):
            if isinstance(func, ast.Call) and keyword_or_position(func, keyword) is not None:
                return True
            func = func.func if isinstance(func, ast.Call) else func.value
        return any(limit.cuts(site) for limit in self.deadlines.of(scope))


def _names(scope: Scope, word: str) -> bool:
    """Whether a function writes `word` as a key: then its `**options` may carry it."""
    node = scope.node if isinstance(scope, Function) else None
    return node is not None and any(isinstance(item, ast.Constant) and item.value == word for item in ast.walk(node))


def _carried(call: ast.Call, word: str, scope: Scope) -> bool:
    """Whether an argument of a request is made with the keyword `word`: `config=Config(http_options=...)`."""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    names = [expr.id for expr in given if isinstance(expr, ast.Name)]
    made = [row.value for name in names for row, _ in scope.lookup(name) if row.value is not None]
    return any(
        isinstance(item, ast.keyword) and item.arg == word for expr in (*given, *made) for item in ast.walk(expr)
    )


def _names_of(client: ast.Call, module: Module) -> list[str]:
    """The names of a module that the client made by a call is bound to."""
    return [name for name, rows in module.globals.items() if any(row.value is client for row, _ in rows)]


def _class_of(name: str, scope: Scope) -> Class | None:
    """The class whose instance or class a name is: the first parameter of a method, or of one around it."""
    current: Scope | None = scope
    while isinstance(current, Function):
        if current.cls and current.first_parameter == name:
            return current.cls
        current = current.parent
    return None


def _tested(node: ast.AST, name: str) -> bool:
    """Whether a function looks at a name before it uses it: then it may handle the None itself."""
    return any(
        isinstance(inner, ast.Name) and inner.id == name
        for test in ast.walk(node)
        if isinstance(test, ast.If | ast.IfExp | ast.BoolOp | ast.While)
        for part in ([test.test] if isinstance(test, ast.If | ast.IfExp | ast.While) else test.values)
        for inner in ast.walk(part)
    )
