"""What a module's `__all__` says that a star import of it brings."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from safecall_lint.semantics.scan import dotted

if TYPE_CHECKING:
    from safecall_lint.semantics.scan import Scan

_NAME = "__all__"


def listed(scan: Scan) -> frozenset[str] | None:
    """The names in `__all__`; None where there is none, or where the module's own text does not spell it out."""
    rows = scan.bindings.get(_NAME, [])
    parts = [row.statement.value if isinstance(row.statement, ast.AugAssign) else row.value for row in rows]
    for site in scan.calls if rows else ():
        method = dotted(site.node.func).removeprefix(f"{_NAME}.")
        if method == "extend":
            parts += site.node.args
        elif method == "append":
            parts.append(ast.List(list(site.node.args)))
    names = [_words(part) for part in parts]
    found = [one for one in names if one is not None]
    return frozenset().union(*found) if rows and len(found) == len(names) else None


def _words(expr: ast.expr | None) -> frozenset[str] | None:
    """The texts of a list or tuple, or of several that are added up; None where one is no plain text."""
    if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Add):
        left, right = _words(expr.left), _words(expr.right)
        return None if left is None or right is None else left | right
    if not isinstance(expr, ast.List | ast.Tuple | ast.Set):
        return None
    found = [item.value for item in expr.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return frozenset(found) if len(found) == len(expr.elts) else None
