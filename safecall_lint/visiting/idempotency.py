"""The fix of retries that may do a thing twice: one key for all attempts at one request."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import VendorCall, has_unpacking
from safecall_lint.semantics.flow import ways_out
from safecall_lint.semantics.rounds import after
from safecall_lint.semantics.values import Symbol
from safecall_lint.visiting.rewriting import behind, expression, fresh_name, keyword, spelled, with_keyword
from safecall_lint.visiting.visitor import Rewrite
from safecall_lint.visiting.walk import replaced

if TYPE_CHECKING:
    from safecall_lint.semantics.retries import RetryLoop
    from safecall_lint.semantics.scan import Binding
    from safecall_lint.visiting.context import Context

_HEADER: Final = '"Idempotency-Key"'
_RISK: Final = (
    "a vendor that does not know `Idempotency-Key` still does it twice, and one that refuses unknown headers fails"
)


def keyed(vendor: VendorCall, loop: RetryLoop, context: Context) -> Rewrite | None:
    """An `Idempotency-Key` that is made before the loop and sent with each of its attempts, where those are the same
    request: what it is made of does not change from turn to turn, and no good answer leads to another turn, as one does
    that a job is not done yet."""
    node, way = context.tree(loop.loop), spelled("uuid.uuid4", loop.function)
    if vendor.scope is not loop.function or way is None or not isinstance(node, cst.For | cst.While):
        return None
    call = context.written(vendor.node, node)
    answered = [*loop.attempt.body, *loop.attempt.orelse, *after(loop.attempt, loop.loop.body)]
    if "end" in ways_out(answered):
        return None
    if call is None or has_unpacking(vendor.node) or not _stays(vendor.node, loop, context):
        return None
    name = fresh_name("idempotency_key", loop.function)
    headers = _headers(call, name, loop, context)
    if headers is None:
        return None
    changed = replaced(node, {call: with_keyword(call, "headers", headers)})
    lines = cst.FlattenSentinel(behind(f"{name} = str({way[0]}())", changed))
    title = "send one `Idempotency-Key` with all attempts"
    return Rewrite(title, Safety.UNSAFE, {node: lines}, imports=way[1], risk=_RISK)


def _stays(call: ast.Call, loop: RetryLoop, context: Context) -> bool:
    """Whether a call says the same in each turn: no name in it is bound in the loop, and nothing is computed for it.
    Its headers may change."""
    bound = {item.id for item in ast.walk(loop.loop) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)}
    given = [*call.args, *(item.value for item in call.keywords if item.arg != "headers")]
    for part in (part for arg in given for part in ast.walk(arg)):
        if isinstance(part, ast.Await | ast.NamedExpr) or (isinstance(part, ast.Name) and part.id in bound):
            return False
        if isinstance(part, ast.Call) and not _is_plain(part, loop, context):
            return False
    return True


def _is_plain(call: ast.Call, loop: RetryLoop, context: Context) -> bool:
    """Whether a call is one of a built-in function, or of a library that serialises, whose result is its arguments'."""
    values = context.semantics.evaluator.values(call.func, loop.function)
    names = [value.name for value in values if isinstance(value, Symbol)]
    return bool(names) and all(name.startswith(("builtins.", "json.")) for name in names)


def _headers(call: cst.Call, name: str, loop: RetryLoop, context: Context) -> cst.BaseExpression | None:
    """The headers of a call with the key among them."""
    given = keyword(call, "headers")
    if given is None or (isinstance(given.value, cst.Name) and given.value.value == "None"):
        return expression(f"{{{_HEADER}: {name}}}")
    if isinstance(given.value, cst.Dict):
        return _among(given.value, name)
    if not isinstance(given.value, cst.Name):
        return None
    rows = loop.function.lookup(given.value.value)
    if not rows or not all(_is_mapping(row) for row, _ in rows):
        return None
    empty = any(row.form == "parameter" for row, _ in rows)
    held = f"({given.value.value} or {{}})" if empty else given.value.value
    return expression(f"{{**{held}, {_HEADER}: {name}}}")


def _among(headers: cst.Dict, name: str) -> cst.Dict:
    """A dict with the key as its first entry, in its own layout."""
    entry = cst.DictElement(expression(_HEADER), cst.Name(name))
    if not headers.elements:
        return headers.with_changes(elements=[entry])
    space = headers.lbrace.whitespace_after
    if isinstance(space, cst.ParenthesizedWhitespace):
        space = space.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
    else:
        space = cst.SimpleWhitespace(" ")
    return headers.with_changes(
        elements=[entry.with_changes(comma=cst.Comma(whitespace_after=space)), *headers.elements]
    )


def _is_mapping(row: Binding) -> bool:
    """Whether a name is bound to a dict, as far as the code at hand says."""
    if row.form == "parameter":
        return row.annotation is not None and "dict" in ast.unparse(row.annotation).lower()
    value = row.value.body if isinstance(row.value, ast.IfExp) else row.value
    return row.form in ("assign", "annotation") and isinstance(value, ast.Dict | ast.DictComp)
