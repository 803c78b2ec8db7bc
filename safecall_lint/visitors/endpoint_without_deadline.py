"""SCL501: a request waits for vendors, and nothing says when it is over."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.endpoints import PATIENCE, Wait
from safecall_lint.semantics.flow import own_nodes
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.blocks import parted
from safecall_lint.visiting.rewriting import expression, spelled
from safecall_lint.visiting.toward_runtime import from_runtime, has_runtime
from safecall_lint.visiting.visitor import Place, Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics

_SHOWN = 4


class EndpointWithoutDeadline(Visitor):
    needs = (frozenset({"vendor", "first-party", "executor", "loop.run_in_executor"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(semantics.endpoints.unbounded(scope) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        waits = self.semantics.endpoints.unbounded(function) if function else []
        if function and waits:
            self._tell(waits, node, function)

    def _tell(self, waits: list[Wait], node: cst.FunctionDef, function: Function) -> None:
        first, *others = waits
        role = self.semantics.entries.role(function)
        labels: list[tuple[Place, str]] = [(Site(function.module, function.node), f"no deadline in this {role}")]
        if first.steps:
            labels.append((Site(first.vendor.scope.module, first.vendor.node), f"asks the vendor: {_allows(first)}"))
        labels += [(Site(function.module, wait.site.node), f"waits as well: {_allows(wait)}") for wait in others]
        self.report(
            Site(function.module, first.site.node),
            _message(waits),
            label="waits for the vendor" if first.steps else f"waits for the vendor: {_allows(first)}",
            labels=labels[: _SHOWN * 3],
            notes=["callers and gateways give up after 30 to 60 s; the work for them goes on"],
            help="put one deadline around what the request waits for, and answer 504 when it passes",
            fix=self._fix(waits, node, function),
        )

    # -- the fix -------------------------------------------------------------------------------------------------

    def _fix(self, waits: list[Wait], node: cst.FunctionDef, function: Function) -> Rewrite | None:
        """A deadline around the statements that wait, from the first to the last of them."""
        made = self._deadline(function)
        if function.is_generator or made is None or not isinstance(node.body, cst.IndentedBlock):
            return None
        sites = {id(wait.site.node) for wait in waits}
        body = list(node.body.body)
        tops = [at for at, statement in enumerate(function.node.body) if _holds(statement, sites)]
        if not tops or len(body) != len(function.node.body):
            return None
        first, last = tops[0], tops[-1]
        if not any(map(_awaits, function.node.body[first : last + 1])):
            last = max((at for at, statement in enumerate(function.node.body) if _awaits(statement)), default=last)
        item, imports, error = made
        head, *rest = body[first : last + 1]
        lines, head = parted(head)
        inner = cst.IndentedBlock([head, *rest])
        block = cst.With([cst.WithItem(item)], inner, cst.Asynchronous(), leading_lines=lines)
        changed = node.body.with_changes(body=[*body[:first], block, *body[last + 1 :]])
        risk = f"a request that takes longer than {PATIENCE:g} s is cut and gets `{error}`, which is yours to answer"
        title = f"end the request after {PATIENCE:g} s"
        return Rewrite(title, Safety.UNSAFE, {node.body: changed}, imports=imports, risk=risk)

    def _deadline(self, function: Function) -> tuple[cst.BaseExpression, tuple[str, ...], str] | None:
        """The deadline as this project writes it: the runtime's where it has the runtime, else asyncio's."""
        oldest = self.semantics.project.target_version
        if has_runtime(self.semantics, function.module):
            way, error = from_runtime("deadline", function, self.semantics), "DeadlineExceeded"
        elif oldest and oldest < (3, 11):
            return None
        else:
            way, error = spelled("asyncio.timeout", function), "TimeoutError"
        return (expression(f"{way[0]}({PATIENCE:g})"), way[1], error) if way else None


def _awaits(statement: ast.stmt) -> bool:
    """Whether a statement waits in the function's own time: a coroutine that it only makes is waited for elsewhere."""
    waiting = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    return any(isinstance(node, waiting) for node in own_nodes([statement]))


def _holds(statement: ast.stmt, sites: set[int]) -> bool:
    return any(id(node) in sites for node in ast.walk(statement))


def _message(waits: list[Wait]) -> str:
    library = waits[0].vendor.fact.library
    total = sum(wait.seconds if wait.seconds is not None else math.nan for wait in waits)
    if total == math.inf:
        return f"this request waits for `{library}` for ever: nothing ends it"
    if math.isnan(total) or any(wait.many for wait in waits):
        return f"nothing bounds this request: it waits as long as `{library}` does"
    return f"this request may wait {total:g} s for `{library}`: it has no deadline"


def _allows(wait: Wait) -> str:
    """How long a wait may last, as far as the clients' own timeouts tell."""
    times = ", many times over" if wait.many else ""
    match wait.seconds:
        case None:
            return f"its timeout is set elsewhere{times}"
        case math.inf:
            return "no timeout at all"
        case seconds:
            return f"its own timeouts allow {seconds:g} s{times}"
