"""Loops that another function ends: by a flag that it sets where it cancels the task."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function


def ended_by_flag(loop: ast.stmt, function: Function) -> bool:
    """Whether a loop asks for a flag that another method sets where it cancels somebody, so that taking the
    cancellation ends it all the same."""
    if not isinstance(loop, ast.While) or function.cls is None:
        return False
    flags = {node.attr for node in ast.walk(loop.test) if isinstance(node, ast.Attribute)}
    others = [method for method in function.cls.methods.values() if method is not function]
    return any(flags & _stored(other) and _cancels(other) for other in others)


def _stored(function: Function) -> set[str]:
    nodes = (node for node in ast.walk(function.node) if isinstance(node, ast.Attribute))
    return {node.attr for node in nodes if isinstance(node.ctx, ast.Store)}


def _cancels(function: Function) -> bool:
    return any(
        isinstance(site.node.func, ast.Attribute) and site.node.func.attr == "cancel" for site in function.scan.calls
    )
