"""SCL102: a connection limit that limits nothing."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import has_unpacking, keyword_or_position
from safecall_lint.semantics.values import Constant
from safecall_lint.visiting.rewriting import keyword, with_keyword, without_argument
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Scope

_CONFIGS = ("limits-config", "connector")


class UnboundedLimits(Visitor):
    needs = (frozenset({"limits-config", "connector", "client"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        sites = ((site.node, scope) for scope in scopes for site in scope.scan.calls)
        return not scopes or any(_limits(semantics.calls.symbol(call, scope), call) for call, scope in sites)

    def visit_Call(self, node: cst.Call) -> None:
        call = self.context.call(node)
        fact = self.semantics.calls.symbol(call, self.context.scope)
        if fact is None or has_unpacking(call):
            return
        if fact.kind in _CONFIGS:
            self._config(node, call, fact)
        elif fact.kind == "client" and fact.overrides_limits:
            self._ignored(node, call, fact)

    def _config(self, node: cst.Call, call: ast.Call, fact: Fact) -> None:
        """A limits object or connector without a cap, and without one per host."""
        given = keyword_or_position(call, fact.limits_keyword)
        if given is None and fact.limits_default is not None:
            return
        if given is not None and not self._is_off(given, fact):
            return
        host = keyword_or_position(call, fact.host_keyword)
        if host is not None and not self._is_off(host, fact):
            return
        arg = keyword(node, fact.limits_keyword)
        cap = fact.limits_default or 100
        self.report(
            arg or node,
            "this pool has no limit: each waiting call opens a connection",
            label=f"`{_code(arg)}` turns the limit off"
            if arg
            else f"no `{fact.limits_keyword}` means no limit, not the default",
            help=f"state a limit, such as `{fact.limits_keyword}={cap}`",
            notes=[f"without this argument `{fact.stack}` allows {cap} connections"],
            fix=Rewrite(
                f"limit the pool to the {cap} connections of `{fact.stack}`'s default",
                Safety.UNSAFE,
                nodes={node: with_keyword(node, fact.limits_keyword, str(cap))},
                risk="calls beyond the limit will wait for a connection",
            ),
        )

    def _is_off(self, expr: ast.expr, fact: Fact) -> bool:
        values = self.semantics.evaluator.values(expr, self.context.scope)
        off = (Constant(None), Constant(0)) if fact.kind == "connector" else (Constant(None),)
        return bool(values) and all(value in off for value in values)

    def _ignored(self, node: cst.Call, call: ast.Call, fact: Fact) -> None:
        """Limits that a client drops because it was given its transport."""
        limits, transport = keyword(node, fact.limits_keyword), keyword(node, fact.overrides_limits)
        given = keyword_or_position(call, fact.overrides_limits)
        if limits is None or transport is None or given is None:
            return
        if Constant(None) in self.semantics.evaluator.values(given, self.context.scope):
            return
        self.report(
            limits,
            f"these limits have no effect: `{fact.overrides_limits}` brings its own pool",
            label="read only where the client builds the transport itself",
            labels=[(transport, "the pool that is used, with the limits it was built with")],
            help="state the limits on the transport",
            fix=self._moved(node, limits, transport),
        )

    def _moved(self, node: cst.Call, limits: cst.Arg, transport: cst.Arg) -> Rewrite | None:
        inner = transport.value
        if not isinstance(inner, cst.Call):
            return None
        fact = self.semantics.calls.symbol(self.context.call(inner), self.context.scope)
        if fact is None or fact.kind != "transport" or keyword(inner, fact.limits_keyword):
            return None
        told = with_keyword(inner, fact.limits_keyword, limits.value)
        args = [arg.with_changes(value=told) if arg is transport else arg for arg in node.args]
        slim = without_argument(node.with_changes(args=args), limits)
        return Rewrite(
            "move the limits to the transport",
            Safety.UNSAFE,
            nodes={node: slim},
            risk="the limits begin to work",
        )


def _code(arg: cst.Arg | None) -> str:
    return cst.Module([]).code_for_node(arg.with_changes(comma=cst.MaybeSentinel.DEFAULT)) if arg else ""


def _limits(fact: Fact | None, call: ast.Call) -> bool:
    """Whether a call makes limits, or a client that is given them."""
    if fact is None or fact.kind in _CONFIGS:
        return fact is not None
    return any(item.arg == fact.limits_keyword for item in call.keywords)
