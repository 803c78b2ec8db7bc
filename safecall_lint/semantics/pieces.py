"""Whether the answer of an aiohttp call is read piece by piece."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from safecall_lint.semantics.uses import Use, uses

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.scan import Binding


def read_by_pieces(call: ast.Call, function: Function) -> bool:
    """Whether the answer of an aiohttp call is read piece by piece: `async for line in response.content`."""
    return any(
        _iterates(use.around[1], use.around[0])
        for rows in function.scan.bindings.values()
        for row in rows
        if row.value is call or (isinstance(row.value, ast.Await) and row.value.value is call)
        for use in _uses_of(row, rows, function)
        if use.attribute == "content" and len(use.around) > 1
    )


def _uses_of(row: Binding, rows: Sequence[Binding], function: Function) -> Iterator[Use]:
    """The uses of a name that has the value of one binding: those in its block, or up to the next binding."""
    start = getattr(row.statement, "lineno", 0)
    later = [line for other in rows if (line := getattr(other.statement, "lineno", 0)) > start]
    for use in uses(function, row.name, start):
        inside = row.statement in use.around
        if inside if row.form == "with" else use.node.lineno < min(later, default=use.node.lineno + 1):
            yield use


def _iterates(outer: ast.AST, content: ast.AST) -> bool:
    if isinstance(outer, ast.Attribute):
        return outer.attr.startswith("iter_") or outer.attr in ("readline", "readany", "readchunk")
    return isinstance(outer, ast.AsyncFor | ast.comprehension) and outer.iter is content
