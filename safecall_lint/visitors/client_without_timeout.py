"""SCL103: nothing, or only an SDK's ten minutes, ends the wait for a vendor that does not answer."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety, Severity
from safecall_lint.knowledge import Fact
from safecall_lint.semantics.calls import VendorCall, keyword_or_position
from safecall_lint.semantics.keywords import may_pass
from safecall_lint.semantics.model import Function
from safecall_lint.semantics.pieces import read_by_pieces
from safecall_lint.semantics.values import Instance, Object, Site
from safecall_lint.visiting.rewriting import keyword, with_keyword
from safecall_lint.visiting.stream_timeouts import READ, Bound, bound_of, bounded_gap
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.timeouts import Unbounded

_LONG = 300.0
_SANE = "30.0"
_HEADLINE = "nothing ends this wait when the peer falls silent"


class ClientWithoutTimeout(Visitor):
    needs = (frozenset({"client", "call", "vendor"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        sites = ((site.node, scope) for scope in scopes for site in scope.scan.calls)
        return not scopes or any(_may_wait(semantics, call, scope) for call, scope in sites)

    def visit_Call(self, node: cst.Call) -> None:
        call, scope = self.context.call(node), self.context.scope
        fact = self.semantics.calls.symbol(call, scope)
        if fact and fact.kind == "client":
            self._client(node, call, fact)
        elif vendor := self.semantics.calls.vendor(call, scope):
            self._request(node, vendor)

    # -- clients -------------------------------------------------------------------------------------------------

    def _client(self, node: cst.Call, call: ast.Call, fact: Fact) -> None:
        if not fact.timeout_keyword:
            return
        given = keyword_or_position(call, fact.timeout_keyword, fact.timeout_position)
        if given is not None:
            cause = self.semantics.timeouts.unbounded(given, self.context.scope, fact)
            if cause and not self._bounded_uses(node, fact):
                bound = self._bound(cause, self._streams(node))
                self._open(node, fact, cause, bound, self._bounded(node, fact, cause, bound))
        elif fact.timeout_default is None:
            if self._left_at_default(node, call, fact):
                self._never(node, fact)
        elif fact.timeout_default > _LONG and fact.retries_keyword and self._left_at_default(node, call, fact):
            self._long(node, fact)

    def _bounded_uses(self, node: cst.Call, fact: Fact) -> bool:
        site = self.context.site(node)
        return site is not None and self.semantics.uses.bounded(site.node, self.context.module, fact)

    def _left_at_default(self, node: cst.Call, call: ast.Call, fact: Fact) -> bool:
        """Whether an SDK client waits as long as its vendor chose: none here, on the client inside or per call."""
        scope = self.context.scope
        others = (name for name in fact.transport_keywords if name != fact.inner_keyword)
        if any(may_pass(self.semantics.evaluator, call, name, scope) for name in (fact.timeout_keyword, *others)):
            return False
        inner = keyword_or_position(call, fact.inner_keyword)
        if inner is not None and not (self._says_nothing(inner) or all(map(self._leaves_default, self._inner(inner)))):
            return False
        return not self._bounded_uses(node, fact)

    def _says_nothing(self, expr: ast.expr) -> bool:
        """Whether settings that are spelled out, of the models below a router, name no timeout."""
        rows = self.context.scope.lookup(expr.id) if isinstance(expr, ast.Name) else []
        spelled = rows[0][0].value if len(rows) == 1 else expr
        if not isinstance(spelled, ast.List):
            return False
        keys = [key for node in ast.walk(spelled) if isinstance(node, ast.Dict) for key in node.keys]
        return all(isinstance(key, ast.Constant) and key.value != "timeout" for key in keys)

    def _inner(self, expr: ast.expr) -> list[Instance | Object | None]:
        found = self.semantics.evaluator.of_kind(expr, self.context.scope, "client")
        return [*found] or [None]

    def _leaves_default(self, client: Instance | Object | None) -> bool:
        """Whether the HTTP client inside an SDK client has no timeout of its own, so that the SDK's counts."""
        if not isinstance(client, Instance) or client.call is None or client.scope is None:
            return False
        fact = self.semantics.evaluator.fact(client)
        own = fact is not None and any(
            may_pass(self.semantics.evaluator, client.call, name, client.scope)
            for name in (fact.timeout_keyword, *fact.transport_keywords)
        )
        return not own

    def _never(self, node: cst.Call, fact: Fact) -> None:
        remedy = fact.timeout_remedy or _SANE
        self.report(
            node,
            _HEADLINE,
            label=f"no `{fact.timeout_keyword}`, and `{fact.library}` has no default",
            help=f"state how long an answer may take, such as `{fact.timeout_keyword}={remedy}`",
            fix=Rewrite(
                "state a timeout",
                Safety.UNSAFE,
                nodes={node: with_keyword(node, fact.timeout_keyword, remedy)},
                risk="answers that take longer now fail",
            ),
        )

    def _long(self, node: cst.Call, fact: Fact) -> None:
        seconds = fact.timeout_default or 0
        site = self.context.site(node)
        own = self.semantics.retries.own(Instance(fact.name, self.context.call(node), self.context.scope))
        attempts = own[0] if own else 1
        self.report(
            node,
            f"a silent vendor holds each call for {seconds * attempts / 60:g} minutes",
            label=f"no `timeout`: the SDK waits {seconds:g} s for an answer, {attempts:g} times" if attempts > 1
            else f"no `timeout`: the SDK waits {seconds:g} s for an answer",
            help="state how long an answer may take, such as `timeout=60.0`",
            notes=[
                f"`{fact.library}` waits {seconds:g} s and retries {fact.retries_default} times unless told otherwise"
            ],
            severity=Severity.WARNING,
            fix=Rewrite(
                "state a timeout of 60 s",
                Safety.UNSAFE,
                nodes={node: with_keyword(node, fact.timeout_keyword, "60.0")},
                risk="answers that take longer now fail",
            ) if site else None,
        )  # fmt: skip

    # -- requests ------------------------------------------------------------------------------------------------

    def _request(self, node: cst.Call, vendor: VendorCall) -> None:
        fact = vendor.fact
        name = fact.call_timeout if vendor.client is not None else fact.timeout_keyword
        if not name or vendor.path[-1] in fact.local:
            return
        given = keyword_or_position(vendor.node, name)
        if given is not None:
            without_default = Fact(fact.name, fact.library, fact.kind, zero_is_none=fact.zero_is_none)
            cause = self.semantics.timeouts.unbounded(given, self.context.scope, without_default)
            if cause:
                self._unbounded_request(node, vendor, cause)
        elif fact.timeout_default is None and not may_pass(
            self.semantics.evaluator, vendor.node, name, self.context.scope
        ):
            self._absent(node, vendor)

    def _unbounded_request(self, node: cst.Call, vendor: VendorCall, cause: Unbounded) -> None:
        """A request whose own timeout bounds nothing; of one that is read piece by piece the gap is bounded, because a
        limit on the whole cuts a long answer that flows."""
        streamed = _read_by_pieces(vendor.node, self.context.scope)
        bound = self._bound(cause, streamed)
        fix = bounded_gap(vendor, node, False, self.context) if streamed else None
        self._open(node, vendor.fact, cause, bound, fix or self._bounded(node, vendor.fact, cause, bound))

    def _absent(self, node: cst.Call, vendor: VendorCall) -> None:
        """A request of a library that has no timeout of its own."""
        fact = vendor.fact
        if fact.library == "declared" or (vendor.client is not None and self._session_bounds(vendor.client)):
            return
        if vendor.client is not None and fact.timeout_keyword:
            return
        site = self.context.site(node)
        if site and any(limit.cuts(site) for limit in self.semantics.deadlines.of(self.context.scope)):
            return
        labels: list[tuple[Place, str]] = []
        if isinstance(vendor.client, Instance) and vendor.client.site:
            labels.append((vendor.client.site, "a session has no timeout either"))
        self.report(
            node,
            _HEADLINE,
            label=f"no `timeout`, and `{fact.library}` has no default",
            labels=labels,
            help="state how long an answer may take, such as `timeout=30`",
            fix=Rewrite(
                "state a timeout of 30 s",
                Safety.UNSAFE,
                nodes={node: with_keyword(node, "timeout", "30")},
                risk="answers that pause for longer now fail",
            ),
        )

    def _session_bounds(self, client: Instance | Object) -> bool:
        """Whether a session of its own kind sets the timeout: a subclass, a project adapter, a patched method."""
        evaluator = self.semantics.evaluator
        if isinstance(client, Object):
            return any(evaluator.method(client.cls, name) for name in ("request", "send"))
        return self.semantics.uses.adapted(client)

    # -- timeouts that bound nothing -----------------------------------------------------------------------------

    def _open(self, node: cst.Call, fact: Fact, cause: Unbounded, bound: Bound | None, fix: Rewrite | None) -> None:
        arg = keyword(node, fact.timeout_keyword or fact.call_timeout) or keyword(node, fact.call_timeout)
        place: Place = arg or node
        labels: list[tuple[Place, str]] = []
        if cause.why == "config" and cause.config is not None and not _inline(arg, cause):
            place, labels = self._config_place(place, cause.cause)
        elif cause.why == "parameter":
            labels = [(cause.cause, "`None` unless a caller sets it")]
        elif cause.why == "none" and cause.cause.module is not self.context.module:
            labels = [(cause.cause, "the `None` stands here")]
        self.report(
            place,
            _HEADLINE,
            label=self._why(fact, cause),
            labels=labels,
            help="state a bound there, such as `{}={}`".format(*bound)
            if bound
            else f"state a bound, such as `{fact.timeout_keyword or 'timeout'}={fact.timeout_remedy or _SANE}`",
            fix=fix,
        )

    def _config_place(self, use: Place, config: Site) -> tuple[Place, list[tuple[Place, str]]]:
        """Report a timeout object where it is built, if that is in this file."""
        if config.module is self.context.module:
            return config, [(use, "used here")]
        return use, [(config, "bounds nothing that counts")]

    def _why(self, fact: Fact, cause: Unbounded) -> str:
        config = self.semantics.evaluator.fact(cause.config) if cause.config else None
        if config:
            phases = " or ".join(f"`{name}`" for name in config.bounds)
            default = f", and drops the default of {fact.timeout_default:g} s" if fact.timeout_default else ""
            return f"sets no {phases}{default}"
        if cause.why == "parameter":
            return "passes the None on"
        return f"turns off the default of {fact.timeout_default:g} s" if fact.timeout_default else "means no timeout"

    def _streams(self, client: cst.Call) -> bool:
        """Whether an answer to one of a client's requests is read piece by piece."""
        site = self.context.site(client)
        sent = self.semantics.uses.of(site.node, self.context.module) if site else []
        return any(_read_by_pieces(request.node, scope) for request, scope in sent)

    def _bound(self, cause: Unbounded, streamed: bool) -> Bound | None:
        """What the timeout object that bounds nothing is to state."""
        config = self.semantics.evaluator.fact(cause.config) if cause.config else None
        if config is None or cause.config is None or cause.config.call is None:
            return None
        return bound_of(config, cause.config.call, streamed)

    def _bounded(self, node: cst.Call, fact: Fact, cause: Unbounded, bound: Bound | None) -> Rewrite | None:
        arg = keyword(node, fact.timeout_keyword or fact.call_timeout) or keyword(node, fact.call_timeout)
        if arg is None or cause.why == "parameter" or (cause.why == "config" and not _inline(arg, cause)):
            return None
        changed: cst.BaseExpression | None = None
        if bound and isinstance(arg.value, cst.Call):
            changed = with_keyword(arg.value, *bound)
        elif cause.why == "none":
            changed = self._remedy(arg, fact)
        risk = "answers that take longer now fail"
        if bound and bound[0] in READ:
            risk = "answers that pause for longer now fail"
        return Rewrite("state a timeout", Safety.UNSAFE, nodes={arg.value: changed}, risk=risk) if changed else None

    def _remedy(self, arg: cst.Arg, fact: Fact) -> cst.BaseExpression | None:
        """A timeout in the place of a `None` that stands right here."""
        text = fact.timeout_remedy or _SANE
        owner = text.partition(".")[0]
        known = not owner.isidentifier() or bool(self.context.scope.lookup(owner))
        return cst.parse_expression(text) if known and isinstance(arg.value, cst.Name) else None


def _read_by_pieces(call: ast.Call, scope: Scope) -> bool:
    return isinstance(scope, Function) and read_by_pieces(call, scope)


def _may_wait(semantics: Semantics, call: ast.Call, scope: Scope) -> bool:
    """Whether a call says something about a client's timeout, or goes by a default that may be none."""
    made = semantics.calls.symbol(call, scope)
    if made and made.kind == "client":
        short = made.timeout_default is not None and made.timeout_default <= _LONG
        return not short or keyword_or_position(call, made.timeout_keyword, made.timeout_position) is not None
    vendor = semantics.calls.vendor(call, scope)
    if vendor is None:
        return False
    name = vendor.fact.call_timeout if vendor.client is not None else vendor.fact.timeout_keyword
    return vendor.fact.timeout_default is None or bool(name and keyword_or_position(vendor.node, name))


def _inline(arg: cst.Arg | None, cause: Unbounded) -> bool:
    return arg is not None and isinstance(arg.value, cst.Call) and cause.why == "config"
