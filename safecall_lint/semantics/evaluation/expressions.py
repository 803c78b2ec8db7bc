"""What each form of expression can be."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from safecall_lint.semantics.evaluation import origin
from safecall_lint.semantics.values import Constant, Container, LambdaValue, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Scope

_ARITHMETIC: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Pow: lambda a, b: a**b if abs(a) < 100 and 0 <= b < 20 else a / 0,
}


def awaited(ev: Evaluator, expr: ast.Await, scope: Scope) -> Iterable[Value]:
    """`await x`: what is awaited."""
    return ev.values(expr.value, scope)


def either(ev: Evaluator, expr: ast.IfExp, scope: Scope) -> Iterable[Value]:
    """`a if test else b`: both."""
    return (*ev.values(expr.body, scope), *ev.values(expr.orelse, scope))


def any_of(ev: Evaluator, expr: ast.BoolOp, scope: Scope) -> Iterable[Value]:
    """`a or b`: each operand."""
    for part in expr.values:
        yield from ev.values(part, scope)


def walrus(ev: Evaluator, expr: ast.NamedExpr, scope: Scope) -> Iterable[Value]:
    """`(name := x)`: what is bound."""
    return ev.values(expr.value, scope)


def lambda_value(ev: Evaluator, expr: ast.Lambda, scope: Scope) -> Iterable[Value]:
    """A lambda itself."""
    yield LambdaValue(expr, scope)


def collection(ev: Evaluator, expr: ast.List | ast.Tuple | ast.Set, scope: Scope) -> Iterable[Value]:
    """A list, tuple or set, with what it holds."""
    found: list[Value] = []
    exact = True
    for element in expr.elts:
        exact &= not isinstance(element, ast.Starred)
        found.extend(ev.values(element, scope))
    yield Container(tuple(dict.fromkeys(found)), len(expr.elts) if exact else None)


def mapping(ev: Evaluator, expr: ast.Dict, scope: Scope) -> Iterable[Value]:
    """A dict, by its values."""
    found: list[Value] = []
    for value in expr.values:
        found.extend(ev.values(value, scope))
    yield Container(tuple(dict.fromkeys(found)), len(expr.keys) if all(expr.keys) else None)


def comprehension(ev: Evaluator, expr: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: Scope) -> Iterable[Value]:
    """A comprehension, by its element."""
    yield Container(ev.values(expr.elt, scope))


def dict_comprehension(ev: Evaluator, expr: ast.DictComp, scope: Scope) -> Iterable[Value]:
    """A dict comprehension, by its value."""
    yield Container(ev.values(expr.value, scope))


def subscript(ev: Evaluator, expr: ast.Subscript, scope: Scope) -> Iterable[Value]:
    """`x[key]`: what a dictionary that is spelled out has for a key, else what a collection may hold."""
    known = _item(ev, expr, scope)
    if known is not None:
        yield from ev.values(*known)
        return
    for value in ev.values(expr.value, scope):
        if isinstance(value, Container):
            yield from value.elements


def _item(ev: Evaluator, expr: ast.Subscript, scope: Scope) -> tuple[ast.expr, Scope] | None:
    """The value that a key of a name's only dictionary has where that is spelled out."""
    rows = origin.of(ev, expr.value, scope) if isinstance(expr.slice, ast.Constant) else []
    spelled = rows[0][0].value if len(rows) == 1 else None
    if not isinstance(spelled, ast.Dict) or not isinstance(expr.slice, ast.Constant):
        return None
    values = [
        value
        for key, value in zip(spelled.keys, spelled.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == expr.slice.value
    ]
    return (values[0], rows[0][1]) if len(values) == 1 and all(spelled.keys) else None


def arithmetic(ev: Evaluator, expr: ast.BinOp, scope: Scope) -> Iterable[Value]:
    """A sum, product or power of known numbers, or a pipeline that ends in what one of its parts is."""
    if isinstance(expr.op, ast.BitOr):
        parts = (value for side in (expr.left, expr.right) for value in ev.values(side, scope))
        yield from (part for part in parts if (fact := ev.fact(part)) and fact.composes)
        return
    left, right = ev.number(expr.left, scope), ev.number(expr.right, scope)
    operation = _ARITHMETIC.get(type(expr.op))
    if left is None or right is None or operation is None:
        return
    try:
        yield Constant(operation(left, right))
    except (ArithmeticError, ValueError):
        return


def unary(ev: Evaluator, expr: ast.UnaryOp, scope: Scope) -> Iterable[Value]:
    """A negative number."""
    number = ev.number(expr.operand, scope)
    if number is not None and isinstance(expr.op, ast.USub):
        yield Constant(-number)
