"""SCL101: nobody chose how many connections a shared client opens."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard

import libcst as cst

from safecall_lint.finding import Safety, Severity
from safecall_lint.semantics.calls import keyword_or_position
from safecall_lint.semantics.keywords import may_pass
from safecall_lint.semantics.values import Instance, Value
from safecall_lint.visiting.rewriting import spelled, with_keyword
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.scan import CallSite
    from safecall_lint.semantics.sharing import Shared


class ClientWithoutLimits(Visitor):
    needs = (frozenset({"client"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        facts = (semantics.calls.symbol(site.node, scope) for scope in scopes for site in scope.scan.calls)
        return not scopes or any(map(_limitable, facts))

    def visit_Call(self, node: cst.Call) -> None:
        call, scope = self.context.call(node), self.context.scope
        fact = self.semantics.calls.symbol(call, scope)
        if fact is None or not _limitable(fact):
            return
        carriers = [*self._carriers(call, fact)]
        if fact.library == "declared" or None in carriers:
            return
        site = self.context.site(node)
        if site is None or self._belongs_to_another(site):
            return
        shared = None if self._only_upgrades(site, fact) else self._shared(site)
        if shared:
            self._report(node, fact, shared, next(filter(None, carriers), None))

    def _carriers(self, call: ast.Call, fact: Fact) -> Iterator[Instance | None]:
        """The connectors and transports given that have no limit of their own; None for whatever may bring one."""
        for name in dict.fromkeys((fact.limits_keyword, *fact.transport_keywords)):
            if may_pass(self.semantics.evaluator, call, name, self.context.scope):
                values = self.semantics.evaluator.values(keyword_or_position(call, name), self.context.scope)
                yield values[0] if len(values) == 1 and self._is_bare(values[0]) else None

    def _is_bare(self, value: Value) -> TypeGuard[Instance]:
        if not isinstance(value, Instance) or value.call is None or value.scope is None:
            return False
        fact = self.semantics.evaluator.fact(value)
        if fact is None or fact.kind not in ("connector", "transport") or not fact.limits_default:
            return False
        limits = filter(None, (fact.limits_keyword, fact.host_keyword))
        return not any(may_pass(self.semantics.evaluator, value.call, name, value.scope) for name in limits)

    def _belongs_to_another(self, site: CallSite) -> bool:
        return site.outer is not None and self.semantics.calls.kind(site.outer.node, self.context.scope) == "client"

    def _only_upgrades(self, site: CallSite, fact: Fact) -> bool:
        """Whether the client is only used for connections that live on: a limit says nothing about them."""
        found = self.semantics.uses.of(site.node, self.context.module) if fact.upgrades else []
        names = {use.node.func.attr for use, _ in found if isinstance(use.node.func, ast.Attribute)}
        return bool(names) and names <= set(fact.upgrades)

    def _shared(self, site: CallSite) -> Shared | None:
        """How several calls come to use the client at once, None where they do not."""
        scope = self.context.scope
        function = self.context.function
        if function is not None and self.semantics.roles.test(function):
            return None
        return self.semantics.sharing.shared(site, scope)

    def _report(self, node: cst.Call, fact: Fact, shared: Shared, carrier: Instance | None) -> None:
        sdk = bool(fact.inner_keyword)
        own = self.semantics.evaluator.fact(carrier) if carrier else None
        place, keyword = (carrier.site, own.limits_keyword) if carrier and own else (None, fact.limits_keyword)
        labels: list[tuple[Place, str]] = [(shared.by, "here")] if shared.by else []
        self.report(
            node,
            f"nobody chose this client's limit: it opens up to {fact.limits_default} connections",
            label=shared.how if carrier else f"{shared.how}, without `{keyword}`",
            labels=[*labels, *([(place, f"without `{keyword}`")] if place else [])],
            help="state how many connections the vendor and this process can bear",
            notes=[_default(fact)],
            severity=Severity.INFO if sdk else None,
            strict=sdk,
            fix=self._in_carrier(node, carrier, own) if carrier and own else self._stated(node, fact),
        )

    def _in_carrier(self, node: cst.Call, carrier: Instance, fact: Fact) -> Rewrite | None:
        """The library's own default, written down in a connector that stands in the client's call."""
        wanted = ast.dump(carrier.call) if carrier.call else ""
        given = (arg.value for arg in node.args if isinstance(arg.value, cst.Call) and fact.kind == "connector")
        for call in given:
            if ast.dump(self.context.call(call)) == wanted:
                stated = with_keyword(call, fact.limits_keyword, str(fact.limits_default))
                return self._rewrite(fact, {call: stated})
        return None

    def _stated(self, node: cst.Call, fact: Fact) -> Rewrite | None:
        """The library's own default, written down."""
        config, text = _LIMITS.get(fact.limits_keyword, ("", ""))
        if not config or fact.library not in ("httpx", "httpx2", "aiohttp"):
            return None
        written = spelled(f"{fact.library}.{config}", self.context.scope)
        if written is None:
            return None
        name, imports = written
        value = f"{name}({text.format(fact=fact)})"
        return self._rewrite(fact, {node: with_keyword(node, fact.limits_keyword, value)}, imports)

    def _rewrite(self, fact: Fact, nodes: Mapping[cst.CSTNode, cst.Call], imports: Sequence[str] = ()) -> Rewrite:
        return Rewrite(
            f"state the limit that `{fact.library}` has by default", Safety.SAFE, nodes=nodes, imports=imports
        )


_LIMITS = {
    "limits": ("Limits", "max_connections={fact.limits_default}, max_keepalive_connections={fact.keepalive_default}"),
    "connector": ("TCPConnector", "limit={fact.limits_default}"),
}


def _default(fact: Fact) -> str:
    kept = f", {fact.keepalive_default} of them kept open" if fact.keepalive_default else ""
    return f"`{fact.library}` allows {fact.limits_default} connections per client{kept}, unless told otherwise"


def _limitable(fact: Fact | None) -> bool:
    """Whether a call makes an async client that can be given limits."""
    return fact is not None and fact.kind == "client" and fact.style == "async" and bool(fact.limits_keyword)
