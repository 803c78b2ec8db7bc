"""Whether one client could serve several calls: what ties it to the call it is made in, and who else uses it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.calls import keyword_or_position
from safecall_lint.semantics.evaluation.arguments import argument_of
from safecall_lint.semantics.keeping import is_own, is_script, is_settled, parts, rebinding, remembers, repeats, targets
from safecall_lint.semantics.lifetimes import Fate, Lifetimes, uses
from safecall_lint.semantics.model import Class, Function, Module, Scope
from safecall_lint.semantics.roles import Roles, in_loop
from safecall_lint.semantics.scan import CallSite, Frame, dotted
from safecall_lint.semantics.values import ClassValue, FunctionValue, Site, Value

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.retries import Retries

_HOPS = 5
_LENDINGS = 20
_PINNING = re.compile(r"pin|dns|resolv|ssrf|mock|patch|vcr|cassette|respx", re.IGNORECASE)
_NEAR = re.compile(r"^sni_hostname$|^(?:http|ws)://(?:localhost|127\.0\.0\.1)\b")
_FIXED_FORMS = frozenset({"import", "def", "class"})


_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Shared(Struct, frozen=True):
    """How a client is shared, in words; `by` is the place that shows it, where that is not the client's own line."""

    how: str
    by: Site | None


class Sharing(Struct, eq=False):
    """Questions about one client and the calls that could share it. Doubt counts as: it could not be shared."""

    calls: Calls
    lifetimes: Lifetimes
    retries: Retries
    roles: Roles

    def tied(self, site: CallSite, scope: Scope, fact: Fact | None) -> bool:
        """Whether a client belongs to the call it is made in: its proxy, transport or certificate came with that call,
        its connections are pinned or live on, it stands in for one that the caller may pass, or its answer is kept."""
        if self._pins(site.node, scope) or self._pinned_around(site.frame) or self._fallback(site, scope):
            return True
        if isinstance(scope, Function) and ((fact and self._upgraded(site, scope, fact)) or remembers(site, scope)):
            return True
        return any(
            isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_NEAR.search(node.value))
            for node in ast.walk(site.statement)
        )

    def _pins(self, call: ast.Call, scope: Scope) -> bool:
        fact = self.calls.symbol(call, scope)
        trusted = keyword_or_position(call, fact.trust_keyword) if fact and fact.trust_keyword else None
        asked = isinstance(trusted, ast.Call) and not trusted.args and not trusted.keywords
        return any(self._varies(part, scope) for part in parts(call, fact) if not (asked and part is trusted))

    def _varies(self, expr: ast.expr, scope: Scope, hops: int = 0) -> bool:
        """Whether a value comes with the call: a parameter, a loop's turn, or something built from one of these."""
        if hops > _HOPS:
            return True
        match expr:
            case ast.Name():
                return self._name_varies(expr.id, scope, hops)
            case ast.Attribute() | ast.Subscript() | ast.Await() | ast.Starred():
                return not is_own(expr, scope) and self._varies(expr.value, scope, hops)
            case ast.Call():
                if any(isinstance(made, ClassValue | FunctionValue) for made in self._callees(expr, scope)):
                    return True
                fact = self.calls.symbol(expr, scope)
                inner = isinstance(expr.func, ast.Attribute) and self._varies(expr.func, scope, hops)
                known = fact if fact and fact.pins else None
                return inner or any(self._varies(part, scope, hops + 1) for part in parts(expr, known))
            case ast.BoolOp():
                return any(self._varies(part, scope, hops) for part in expr.values)
            case ast.IfExp():
                return self._varies(expr.body, scope, hops) or self._varies(expr.orelse, scope, hops)
            case ast.Dict():
                return any(self._varies(part, scope, hops) for part in expr.values)
            case ast.JoinedStr():
                return any(
                    self._varies(part.value, scope, hops)
                    for part in expr.values
                    if isinstance(part, ast.FormattedValue)
                )
            case _:
                return False

    def _callees(self, call: ast.Call, scope: Scope) -> tuple[Value, ...]:
        return self.calls.evaluator.values(call.func, scope)

    def _name_varies(self, name: str, scope: Scope, hops: int) -> bool:
        for binding, owner in scope.lookup(name):
            if not isinstance(owner, Function) or binding.form in _FIXED_FORMS:
                continue
            if binding.form == "parameter":
                if name != owner.first_parameter and self._given_anew(name, owner, hops):
                    return True
            elif binding.form in ("assign", "annotation") and binding.value is not None:
                if self._varies(binding.value, owner, hops + 1):
                    return True
            else:
                return True
        return False

    def _given_anew(self, name: str, function: Function, hops: int) -> bool:
        """Whether a parameter may come with the call: unless each caller gives what its object was made with."""
        callers = list(self.roles.everywhere.of(function)) if hops < _HOPS else []
        given = [(argument_of(site.node, name, function), where) for site, where in callers]
        return not given or not all(expr is not None and self._is_settled(expr, where) for expr, where in given)

    def _is_settled(self, expr: ast.expr, scope: Scope) -> bool:
        if not isinstance(scope, Function) or not scope.cls:
            return False
        return is_own(expr, scope) and is_settled(expr, self.calls.evaluator.lineage(scope.cls))

    def _pinned_around(self, frame: Frame | None) -> bool:
        """Whether a block around the client changes what a connection is: DNS pinned, network mocked."""
        for around in frame.chain() if frame else ():
            if isinstance(around.node, ast.With | ast.AsyncWith) and around.section == "body":
                for item in around.node.items:
                    made = item.context_expr.func if isinstance(item.context_expr, ast.Call) else item.context_expr
                    if _PINNING.search(dotted(made)):
                        return True
        return False

    def _fallback(self, site: CallSite, scope: Scope) -> bool:
        """Whether the client is only made where the caller brought none: `client or AsyncClient()`, `if not client`."""
        if not isinstance(scope, Function):
            return False
        for parent in self.lifetimes.around(site.node, scope):
            if isinstance(parent, ast.BoolOp | ast.IfExp):
                return True
            if isinstance(parent, ast.If):
                tested = [node for node in ast.walk(parent.test) if isinstance(node, ast.Name)]
                asked = [node for node in tested if _is_parameter(node.id, scope)]
                if asked and {node.id for node in tested} & set(targets(site.statement)):
                    return True
                if any(self.calls.evaluator.of_kind(node, scope, "client") for node in asked):
                    return True
        return False

    def shared(self, site: CallSite, scope: Scope) -> Shared | None:
        """How several calls come to use the client that a call makes at the same time; None where they do not."""
        if not isinstance(scope, Function):
            return self._of_module(site, scope)
        fate = self.lifetimes.fate(site.node, scope)
        if fate is Fate.KEPT:
            return self._kept(site, scope)
        if fate is Fate.HANDED:
            return self._handed(site, scope)
        if fate is Fate.USED and self.roles.repeated(scope) and (fan := self._fanned_out(site, scope)):
            return Shared("used by many tasks at once", Site(scope.module, fan))
        return None

    def _of_module(self, site: CallSite, scope: Module | Class) -> Shared | None:
        if not isinstance(site.statement, ast.Assign | ast.AnnAssign) or is_script(site.frame):
            return None
        name = next(targets(site.statement), "")
        owner = f"`{scope.name}.{name}`" if isinstance(scope, Class) else f"`{name}`"
        return Shared(f"shared as {owner} by the whole process", None) if name else None

    def _kept(self, site: CallSite, scope: Function) -> Shared | None:
        for node in (site.statement, *rebinding(site.statement, scope)):
            for target in node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]:
                if isinstance(target, ast.Attribute):
                    return Shared(f"shared as `{ast.unparse(target)}`", None)
                if isinstance(target, ast.Name) and target.id in scope.scan.global_names:
                    return Shared(f"shared as `{target.id}` by the whole process", None)
        return None

    def _handed(self, site: CallSite, scope: Function) -> Shared | None:
        """A factory's client is shared where a caller keeps it, a lifespan's where it is yielded."""
        if scope.is_generator:
            return Shared("shared for as long as this context is open", None) if self.roles.once(scope) else None
        if self.roles.cached(scope):
            return Shared("made once and kept by the cache", None)
        for caller, where in self.roles.everywhere.of(scope):
            kept = (
                isinstance(where, Module) and isinstance(caller.statement, ast.Assign) and not is_script(caller.frame)
            )
            if kept or (isinstance(where, Function) and self.lifetimes.fate(caller.node, where) is Fate.KEPT):
                return Shared("made for a caller that keeps it", Site(where.module, caller.node))
        return None

    def _fanned_out(self, site: CallSite, function: Function) -> ast.AST | None:
        """The place where tasks that use the client are started for many items."""
        names = set(targets(site.statement))
        for call in function.scan.calls:
            kind = self.calls.kind(call.node, function)
            arguments = [*call.node.args, *(keyword.value for keyword in call.node.keywords)]
            inside = any(isinstance(node, ast.Name) and node.id in names for arg in arguments for node in ast.walk(arg))
            many = in_loop(call.frame) or any(
                isinstance(node, _COMPREHENSIONS) for arg in arguments for node in ast.walk(arg)
            )
            if kind in ("fan-out", "spawn") and inside and many:
                return call.node
        return None

    def serves_many(self, site: CallSite, function: Function) -> bool:
        """Whether the client is used again and again where it is made, or in a function that it is lent to."""
        for use, where in self._followed(site, function):
            attempts: set[ast.AST] = {
                loop.loop for loop in self.retries.loops(where) if not isinstance(loop.loop, ast.While)
            }
            for parent in self.lifetimes.around(use, where):
                if parent is site.statement:
                    break
                if repeats(parent, use) and parent not in attempts:
                    return True
                if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef) and self._called_often(parent, where):
                    return True
        return False

    def _called_often(self, inner: ast.FunctionDef | ast.AsyncFunctionDef, function: Function) -> bool:
        """Whether a function calls one that stands in it once per item."""
        calls = (node for node in ast.walk(function.node) if isinstance(node, ast.Call))
        named = (call for call in calls if isinstance(call.func, ast.Name) and call.func.id == inner.name)
        around = ((call, parent) for call in named for parent in self.lifetimes.around(call, function))
        return any(repeats(parent, call) and not isinstance(parent, ast.While) for call, parent in around)

    def closed(self, site: CallSite, function: Function, fact: Fact) -> bool:
        """Whether the function closes a client that it makes: by `with`, by a call, or in a function it is lent to."""
        if any(isinstance(parent, ast.withitem) for parent in self.lifetimes.around(site.node, function)):
            return True
        for use, where in self._followed(site, function):
            parent = next(self.lifetimes.around(use, where), None)
            if isinstance(parent, ast.withitem):
                return True
            if isinstance(parent, ast.Attribute) and parent.attr in (
                fact.close,
                "close",
                "aclose",
                "__aexit__",
                "__exit__",
            ):
                return True
            if isinstance(parent, ast.Call) and not self.calls.evaluator.callees(parent, where):
                return True
        return False

    def lives_on(self, cls: Class) -> bool:
        """Whether the objects of a class live as long as the process: none is made where code runs again and again."""
        made = cls.methods.get("__init__")
        places = list(self.roles.everywhere.of(made)) if made else []
        return bool(places) and all(self._for_good(site, scope) for site, scope in places)

    def _for_good(self, site: CallSite, scope: Scope) -> bool:
        if not isinstance(scope, Function) or self.roles.once(scope):
            return True
        return self.lifetimes.fate(site.node, scope) is not Fate.USED or not self.roles.repeated(scope)

    def _upgraded(self, site: CallSite, function: Function, fact: Fact) -> bool:
        """Whether the client opens a connection that lives on: a web socket is not a call."""
        for use, where in self._followed(site, function):
            parent = next(self.lifetimes.around(use, where), None)
            if isinstance(parent, ast.Attribute) and parent.attr in fact.upgrades:
                return True
        return False

    def _followed(self, site: CallSite, function: Function) -> Iterator[tuple[ast.Name, Function]]:
        """Where a client is used, also in the functions that it is lent to."""
        queue = [(name, function) for name in targets(site.statement)]
        for name, where in queue:
            for use in uses(name, where):
                yield use, where
                inner: ast.AST = use
                for parent in self.lifetimes.around(use, where):
                    if isinstance(parent, ast.Call) and len(queue) < _LENDINGS:
                        queue += [lent for lent in self._lent(parent, inner, where) if lent not in queue]
                    if isinstance(parent, ast.stmt):
                        break
                    inner = parent

    def _lent(self, call: ast.Call, argument: ast.AST, function: Function) -> Iterator[tuple[str, Function]]:
        """The first-party functions that a call hands an argument to, with the parameter's name there."""
        for callee in self.calls.evaluator.callees(call, function):
            for name in callee.parameters:
                passed = argument_of(call, name, callee)
                if passed is argument or (isinstance(argument, ast.keyword) and passed is argument.value):
                    yield name, callee


def _is_parameter(name: str, scope: Function) -> bool:
    return any(binding.form == "parameter" and owner is scope for binding, owner in scope.lookup(name))
