"""What the rules about held slots share: how a slot is named, and the fix that takes it inside the retry loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.visiting.visitor import Rewrite
from safecall_lint.visiting.walk import descendants

if TYPE_CHECKING:
    from safecall_lint.semantics.holding import Hold, Holding
    from safecall_lint.semantics.model import Function
    from safecall_lint.visiting.context import Context


def taken_label(holding: Holding, hold: Hold) -> str:
    """What stands at the place where a slot is taken."""
    if hold.taken.kind == "lock":
        return "lock taken here"
    permits = holding.permits(hold.taken.value)
    return f"slot taken here, {permits:g} in all" if permits else "slot taken here"


def seconds_text(seconds: float) -> str:
    """A duration as the messages write it: `0.5 s`, `7 s`, `310 s`."""
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:.0f} s"


def inverted(context: Context, hold: Hold) -> Rewrite | None:
    """Take the slot inside the loop: `async with gate:` around a retry loop becomes `async with gate:` around the
    call that the loop makes. Offered where everything else in the block runs without awaiting anything."""
    block = context.tree(hold.block)
    if not isinstance(block, cst.With) or len(block.items) != 1 or block.items[0].asname is not None:
        return None
    body = block.body.body if isinstance(block.body, cst.IndentedBlock) else ()
    statements = [item for item in body if isinstance(item, cst.BaseStatement)]
    moved = _Inverter(context, block, hold.function).statements(statements)
    if moved is None:
        return None
    first = moved[0]
    lead = [*block.leading_lines, *getattr(first, "leading_lines", ())]
    moved[0] = first.with_changes(leading_lines=lead)
    name = cst.Module([]).code_for_node(block.items[0].item)
    where = "loop" if any(isinstance(item, cst.For | cst.While) for item in statements) else "`try`"
    title = f"move `async with {name}` into the {where}, around the call"
    plain = all(_is_plain(item) for item in statements if not isinstance(item, cst.For | cst.While | cst.Try))
    safety, risk = (Safety.SAFE, "") if plain else (Safety.UNSAFE, "what stands beside the loop runs without the slot")
    return Rewrite(title, safety, nodes={block: cst.FlattenSentinel(moved)}, risk=risk)


def _is_plain(node: cst.BaseStatement) -> bool:
    """Whether a statement means the same without the slot: it sets a name to a constant, or leaves."""
    if isinstance(node, cst.If) and node.orelse is None and isinstance(node.body, cst.IndentedBlock):
        return all(isinstance(item, cst.BaseStatement) and _is_plain(item) for item in node.body.body)
    small = node.body if isinstance(node, cst.SimpleStatementLine) else (node,)
    return all(_sets_constant(item) or isinstance(item, cst.Raise | cst.Return | cst.Pass) for item in small)


def _sets_constant(node: cst.CSTNode) -> bool:
    constant = (cst.Name, cst.Integer, cst.Float, cst.SimpleString)
    return isinstance(node, cst.Assign | cst.AnnAssign) and isinstance(node.value, constant)


class _Inverter:
    """Rebuilds statements with `async with` only around what has to run with the slot in hand."""

    def __init__(self, context: Context, block: cst.With, function: Function) -> None:
        self.context = context
        self.block = block
        self.function = function

    def statements(self, body: Sequence[cst.BaseStatement]) -> list[cst.BaseStatement] | None:
        """The body of the block, whose one working statement is a loop or a `try`."""
        working = [index for index, item in enumerate(body) if self.works(item)]
        if len(working) != 1:
            return None
        at = working[0]
        inner = self.compound(body[at])
        return None if inner is None else [*body[:at], inner, *body[at + 1 :]]

    def compound(self, node: cst.BaseStatement) -> cst.BaseStatement | None:
        if isinstance(node, cst.For | cst.While):
            if node.orelse is not None and self.works(node.orelse):
                return None
            inner = self.block_of(node.body)
            return node.with_changes(body=inner) if inner else None
        if isinstance(node, cst.Try):
            return self.attempt(node)
        return None

    def attempt(self, node: cst.Try) -> cst.Try | None:
        rest = [*node.handlers, *filter(None, (node.orelse, node.finalbody))]
        if not node.handlers or any(self.works(part) for part in rest):
            return None
        inner = self.block_of(node.body)
        return node.with_changes(body=inner) if inner else None

    def block_of(self, block: cst.BaseSuite) -> cst.IndentedBlock | None:
        """A block with the slot taken around its working statements, deeper where a `try` is among them."""
        if not isinstance(block, cst.IndentedBlock):
            return None
        body = [item for item in block.body if isinstance(item, cst.BaseStatement)]
        working = [index for index, item in enumerate(body) if self.works(item)]
        if not working or len(body) != len(block.body):
            return None
        first, last = working[0], working[-1]
        if first == last and isinstance(body[first], cst.Try):
            deeper = self.attempt(body[first])  # type: ignore[arg-type]
            return None if deeper is None else block.with_changes(body=[*body[:first], deeper, *body[last + 1 :]])
        if not any(self.pauses(item) for item in body):
            first, last = 0, len(body) - 1
        region = body[first : last + 1]
        if any(self.pauses(item) for item in region):
            return None
        taken = self.taken(region)
        return block.with_changes(body=[*body[:first], taken, *body[last + 1 :]])

    def taken(self, region: list[cst.BaseStatement]) -> cst.With:
        lead = getattr(region[0], "leading_lines", ())
        inner = [region[0].with_changes(leading_lines=()), *region[1:]]
        header = self.block.body.header if isinstance(self.block.body, cst.IndentedBlock) else cst.TrailingWhitespace()
        return self.block.with_changes(body=cst.IndentedBlock(body=inner, header=header), leading_lines=lead)

    # -- what a piece of code does -----------------------------------------------------------------------------------

    def works(self, node: cst.CSTNode) -> bool:
        """Whether a piece of code awaits something else than a sleep."""
        return any(_suspends(part) and not self.sleeps(part) for part in descendants(node, scopes=False))

    def pauses(self, node: cst.CSTNode) -> bool:
        return any(isinstance(part, cst.Await) and self.sleeps(part) for part in descendants(node, scopes=False))

    def sleeps(self, node: cst.CSTNode) -> bool:
        call = node.expression if isinstance(node, cst.Await) else None
        if not isinstance(call, cst.Call):
            return False
        return self.context.semantics.calls.pause(self.context.call(call), self.function) is not None


def _suspends(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.With | cst.For | cst.CompFor):
        return node.asynchronous is not None
    return isinstance(node, cst.Await | cst.Yield)
