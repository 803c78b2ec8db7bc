"""SCL208: a permit is taken by `acquire()` and lost where the code behind it fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.values import Site
from safecall_lint.visiting.blocks import flush
from safecall_lint.visiting.visitor import Rewrite, Visitor
from safecall_lint.visiting.walk import descendants

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.leaks import Leak


class AcquireWithoutRelease(Visitor):
    needs = (frozenset({".acquire"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(next(semantics.leaks.of(scope), None) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        function = self.context.defined(node)
        if function is not None:
            for leak in self.semantics.leaks.of(function):
                self._tell(leak, function)

    def _tell(self, leak: Leak, function: Function) -> None:
        thing = "lock" if leak.kind == "lock" else "slot"
        self.report(
            Site(function.module, leak.site.node),
            f"a {thing} is lost when the code behind `acquire()` fails",
            label=f"the {thing} taken here has to come back on every way out",
            labels=[(leak.risk, "fails or is cancelled here"), (leak.release, "then this is never reached")],
            help="take it by `async with`, or release it in a `finally` that starts right behind",
            fix=self._fix(leak),
        )

    def _fix(self, leak: Leak) -> Rewrite | None:
        """`async with` in the place of `acquire()` and a `release()` that ends the same block."""
        small = self.context.tree(leak.site.statement)
        for block in self._blocks():
            lines = list(block.body)
            first = next((index for index, line in enumerate(lines) if _is_of(small, line)), None)
            if first is not None:
                return self._entered(block, lines, first)
        return None

    def _blocks(self) -> list[cst.IndentedBlock]:
        function = self.context.stack[-1]
        return [node for node in descendants(function) if isinstance(node, cst.IndentedBlock)]

    def _entered(self, block: cst.IndentedBlock, lines: Sequence[cst.CSTNode], first: int) -> Rewrite | None:
        target = _method(lines[first], "acquire")
        if target is None:
            return None
        name = cst.Module([]).code_for_node(target)
        ends = [index for index, line in enumerate(lines) if index > first and _releases(line, name)]
        inner = [
            line for line in lines[first + 1 : ends[0] if ends else first + 1] if isinstance(line, cst.BaseStatement)
        ]
        if len(ends) != 1 or not inner or self._times(name, "release") != 1 or self._times(name, "acquire") != 1:
            return None
        head, tail = lines[first], lines[ends[0]]
        assert isinstance(head, cst.SimpleStatementLine)
        assert isinstance(tail, cst.SimpleStatementLine)
        if tail.trailing_whitespace.comment is not None:
            return None
        inner[0] = flush(inner[0])
        notes = [line.with_changes(indent=True) for line in tail.leading_lines if line.comment]
        taken = cst.With(
            items=[cst.WithItem(target)],
            asynchronous=cst.Asynchronous(),
            body=cst.IndentedBlock(body=inner, header=head.trailing_whitespace, footer=notes),
            leading_lines=head.leading_lines,
        )
        body = [*lines[:first], taken, *lines[ends[0] + 1 :]]
        title = f"hold `{name}` by `async with`"
        return Rewrite(title, Safety.SAFE, nodes={block: block.with_changes(body=body)})

    def _times(self, name: str, method: str) -> int:
        """How often the function speaks of a gate's method."""
        nodes = descendants(self.context.stack[-1])
        return sum(
            isinstance(node, cst.Attribute)
            and node.attr.value == method
            and cst.Module([]).code_for_node(node.value) == name
            for node in nodes
        )


def _is_of(small: cst.CSTNode | None, line: cst.CSTNode) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and any(item is small for item in line.body)


def _method(line: cst.CSTNode, name: str) -> cst.BaseExpression | None:
    """What a line that is only `[await] x.<name>()` calls it on."""
    small = line.body[0] if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1 else None
    value = small.value if isinstance(small, cst.Expr) else None
    call = value.expression if isinstance(value, cst.Await) else value
    if (
        isinstance(call, cst.Call)
        and isinstance(call.func, cst.Attribute)
        and call.func.attr.value == name
        and not call.args
    ):
        return call.func.value
    return None


def _releases(line: cst.CSTNode, name: str) -> bool:
    target = _method(line, "release")
    return target is not None and cst.Module([]).code_for_node(target) == name
