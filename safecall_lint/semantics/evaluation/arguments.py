"""Which argument of a call goes to which parameter."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function


def argument_of(call: ast.Call, name: str, function: Function) -> ast.expr | None:
    """The expression that a call passes for a parameter of a first-party function."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if name in function.parameters and not any(isinstance(arg, ast.Starred) for arg in call.args):
        index = function.parameters.index(name)
        if index < len(call.args):
            return call.args[index]
    return None


def default_of(function: Function) -> dict[str, ast.expr]:
    """The defaults of a function's parameters, by name."""
    args = function.node.args
    plain = [*args.posonlyargs, *args.args]
    pairs = dict(zip(reversed([arg.arg for arg in plain]), reversed(args.defaults), strict=False))
    only = {arg.arg: value for arg, value in zip(args.kwonlyargs, args.kw_defaults, strict=True) if value}
    return {**pairs, **only}
