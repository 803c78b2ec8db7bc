"""SCL302: the timeout meant for waiting also covers the call that it lets in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Confidence, Safety
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.rewriting import fresh_name
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.admissions import QueueTimeout
    from safecall_lint.semantics.model import Scope


class QueueTimeoutEnclosesCall(Visitor):
    needs = (
        frozenset({"with:timeout-scope", "wait-for"}),
        frozenset({"with:gate", "with:lock", "with:limiter", "acquire", "first-party"}),
    )

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return not scopes or any(semantics.admissions.queue_timeouts(scope) for scope in scopes)

    def visit_With(self, node: cst.With) -> None:
        twin = self.context.twin(node)
        for found in self._covering():
            if found.deadline.node is twin:
                self._tell(node.items[found.deadline.item].item, found, self._fix(node, found))

    def visit_Call(self, node: cst.Call) -> None:
        if self.semantics.calls.kind(self.context.call(node), self.context.scope) != "wait-for":
            return
        site = self.context.site(node)
        for found in self._covering():
            if site and found.deadline.node is site.node:
                self._tell(node.func, found, None)

    def _covering(self) -> list[QueueTimeout]:
        """The queue timeouts of this scope that cover a call, outside of what has one deadline for all it does."""
        scope, function = self.context.scope, self.context.function
        if function is not None and self.semantics.roles.route(function):
            return []
        return [found for found in self.semantics.admissions.queue_timeouts(scope) if found.work and not found.alone]

    def _tell(self, node: cst.BaseExpression, found: QueueTimeout, fix: Rewrite | None) -> None:
        seconds = found.deadline.seconds
        length = f"{seconds:g} s " if seconds is not None and seconds < 10_000 else ""
        labels = [(step, "leads to the wait") for step in self._steps(found)[:1]]
        labels.append((found.wait.site, _WAITS[found.wait.kind]))
        if found.work:
            labels.append((found.work, "still runs under it"))
        for bound in found.bounds[:1]:
            own = f" of {bound.seconds:g} s" if bound.seconds is not None and bound.seconds < 10_000 else ""
            labels.append((bound.site, f"has a limit of its own{own}"))
        self.report(
            node,
            f"this {length}queue timeout also cuts the calls that it let in",
            label="covers the wait and the call",
            labels=labels,
            help="end it when the wait is over: bind it with `as`, then `reschedule(None)`"
            if found.direct and isinstance(node, cst.Call)
            else "put the timeout around the wait alone",
            confidence=Confidence.HIGH if found.direct else Confidence.MEDIUM,
            fix=fix,
        )

    def _steps(self, found: QueueTimeout) -> list[Site]:
        return [Site(self.context.module, step.node) for step in found.steps]

    # -- fix -----------------------------------------------------------------------------------------------------

    def _fix(self, node: cst.With, found: QueueTimeout) -> Rewrite | None:
        """Bind the timeout and end it as the first thing after the last `async with` that waits."""
        item = node.items[found.deadline.item]
        admitted = self._admitted(node, found.deadline.item)
        fact = self.semantics.calls.symbol(found.deadline.maker, found.deadline.scope)
        if admitted is None or fact is None or not fact.lift or not isinstance(item.item, cst.Call):
            return None
        if item.asname is None:
            name = fresh_name("queue_timeout", self.context.scope)
            bound = item.with_changes(asname=cst.AsName(cst.Name(name)))
        elif isinstance(item.asname.name, cst.Name):
            name, bound = item.asname.name.value, item
        else:
            return None
        body = admitted.body
        assert isinstance(body, cst.IndentedBlock)
        first = cst.parse_statement(fact.lift.format(name))
        nodes = {item: bound, body: body.with_changes(body=[first, *body.body])}
        title = f"end the timeout when the wait is over: `{fact.lift.format(name)}`"
        if found.bounds:
            return Rewrite(title, Safety.SAFE, nodes)
        return Rewrite(title, Safety.UNSAFE, nodes, risk="the call itself is then limited by its client alone")

    def _admitted(self, node: cst.With, after: int) -> cst.With | None:
        """The innermost of the nested `async with` blocks that wait, where there is one line of them."""
        found = node if any(self._waits(item) for item in node.items[after + 1 :]) else None
        current: cst.With | None = node
        while current is not None and isinstance(current.body, cst.IndentedBlock):
            inner = [item for item in current.body.body if isinstance(item, cst.With)]
            waiting = [block for block in inner if any(self._waits(item) for item in block.items)]
            current = waiting[0] if len(waiting) == 1 else None
            found = current or found
        return found if found is not None and isinstance(found.body, cst.IndentedBlock) else None

    def _waits(self, item: cst.WithItem) -> bool:
        return bool(self.context.of_kind(item.item, "gate", "lock", "limiter"))


_WAITS = {
    "gate": "waits for a slot here",
    "lock": "waits for the lock here",
    "limiter": "waits for the rate here",
}
