"""SCL104: a client is built for a single call, or anew on each turn of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.lifetimes import Fate, Made
from safecall_lint.semantics.model import Function
from safecall_lint.semantics.values import Instance
from safecall_lint.visiting.lifting import around_loop, through_accessor, varies
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.scan import CallSite


class ClientPerRequest(Visitor):
    needs = (frozenset({"client", "with:client", "vendor"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        sites = ((site, scope) for scope in scopes if isinstance(scope, Function) for site in scope.scan.calls)
        lifetimes = semantics.lifetimes
        return any(
            lifetimes.made(site, scope) and lifetimes.fate(site.node, scope) is Fate.USED for site, scope in sites
        )

    def visit_Call(self, node: cst.Call) -> None:
        scope = self.context.scope
        if not isinstance(scope, Function) or self.semantics.roles.test(scope):
            return
        site = self.context.site(node)
        if site is None or self._belongs_to_another(site):
            return
        made = self.semantics.lifetimes.made(site, scope)
        if made is None or self.semantics.lifetimes.fate(site.node, scope) is not Fate.USED:
            return
        if self.semantics.sharing.tied(site, scope, self.semantics.evaluator.fact(made.by)) or self._mocked(site):
            return
        self._judge(node, made, site, scope)

    def _belongs_to_another(self, site: CallSite) -> bool:
        """Whether the client is an argument of another client: that one is judged."""
        return site.outer is not None and self.semantics.calls.kind(site.outer.node, self.context.scope) == "client"

    def _mocked(self, site: CallSite) -> bool:
        return any(
            self.semantics.evaluator.of_kind(keyword.value, self.context.scope, "mock-transport")
            for keyword in site.node.keywords
        )

    def _judge(self, node: cst.Call, made: Made, site: CallSite, scope: Function) -> None:
        loop = self._loop(node)
        if loop is not None:
            self._per_turn(node, made, loop)
        elif self.semantics.roles.repeated(scope) and not self.semantics.sharing.serves_many(site, scope):
            self._per_call(node, made)

    def _loop(self, node: cst.Call) -> cst.For | None:
        """The loop around, where each of its turns makes the same client anew."""
        loops = [loop for loop in self.context.loops() if isinstance(loop, cst.For)]
        return loops[0] if loops and not varies(node, loops[0], self.context) else None

    def _per_turn(self, node: cst.Call, made: Made, loop: cst.For) -> None:
        self.report(
            node,
            "each turn of the loop opens a new connection pool",
            label=_label(made),
            labels=[(loop, "runs this block once per item"), *self._built(made)],
            help="open the client once, around the loop",
            notes=self._notes(made),
            strict=self._is_brief(made),
            fix=around_loop(node, loop, self.context) or self._accessor(node, made),
        )

    def _per_call(self, node: cst.Call, made: Made) -> None:
        self.report(
            node,
            "each call opens a connection pool of its own",
            label=_label(made),
            labels=self._built(made),
            help="open one client at start-up and use it for every call",
            notes=self._notes(made),
            strict=self._is_brief(made),
            fix=self._accessor(node, made),
        )

    def _accessor(self, node: cst.Call, made: Made) -> Rewrite | None:
        fact = self.semantics.evaluator.fact(made.by)
        return through_accessor(node, fact, self.context) if made.direct and fact else None

    def _built(self, made: Made) -> list[tuple[Place, str]]:
        site = made.by.site
        return [] if made.direct or site is None else [(site, "built here, each time the function is called")]

    def _is_brief(self, made: Made) -> bool:
        fact = self.semantics.evaluator.fact(made.by)
        return fact is not None and fact.brief

    def _notes(self, made: Made) -> list[str]:
        fact = self.semantics.evaluator.fact(made.by)
        if fact is None or fact.limits_default is None:
            return []
        return [f"the limit of {fact.limits_default} connections counts per client: one client a call limits nothing"]


def _label(made: Made) -> str:
    name = made.by.name if isinstance(made.by, Instance) else made.by.cls.name
    return f"a new `{name.rpartition('.')[2]}`: connects and negotiates TLS again"
