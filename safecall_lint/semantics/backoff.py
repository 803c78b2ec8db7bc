"""How long the waits of a retry loop add up to when every attempt fails, where the code tells."""

from __future__ import annotations

import ast
import math
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.retries import Loop, RetryLoop

_TURNS = 50


class _Unknown(Exception):
    """A number that the code does not tell."""


class _Ended(Exception):
    """The loop is left."""


class _Next(Exception):
    """The turn is over."""


def longest(loop: RetryLoop, calls: Calls) -> float | None:
    """The seconds that a loop sleeps if it never succeeds; None where that is endless or cannot be computed."""
    return waited(loop.loop, loop.function, calls)


def waited(loop: Loop, function: Function, calls: Calls) -> float | None:
    """The same for any loop whose sleeps stand on its failing path."""
    run = _Run(function, calls)
    try:
        run.before(loop)
        run.loop(loop)
    except _Ended:
        pass
    except _Unknown:
        return None
    return run.seconds or None


class _Run(Struct, eq=False):
    """A dry run of the loop in which whatever stands in a `try` fails."""

    function: Function
    calls: Calls
    names: dict[str, float] = field(default_factory=dict)
    seconds: float = 0

    def before(self, loop: Loop) -> None:
        """Numbers that local names have when the loop begins."""
        for name, rows in self.function.scan.bindings.items():
            early = [row for row in rows if getattr(row.statement, "lineno", loop.lineno) < loop.lineno]
            number = self.calls.evaluator.number(early[-1].value, self.function) if early else None
            if number is not None:
                self.names[name] = number

    def loop(self, loop: Loop) -> None:
        if isinstance(loop, ast.While):
            for _ in range(_TURNS):
                if not self.test(loop.test):
                    return
                self.turn(loop.body)
            raise _Unknown
        for number in self.counts(loop.iter):
            if isinstance(loop.target, ast.Name):
                self.names[loop.target.id] = number
            self.turn(loop.body)

    def counts(self, source: ast.expr) -> range:
        if not (isinstance(source, ast.Call) and isinstance(source.func, ast.Name) and source.func.id == "range"):
            raise _Unknown
        try:
            counts = range(*[int(self.number(argument)) for argument in source.args])
        except (TypeError, ValueError):
            raise _Unknown from None
        if counts[_TURNS:]:
            raise _Unknown
        return counts

    def turn(self, body: list[ast.stmt]) -> None:
        with suppress(_Next):
            self.block(body)

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ):
                self.bind(name, value)
            case ast.AugAssign(target=ast.Name(id=name)):
                self.bind(name, ast.BinOp(ast.Name(name, ast.Load()), node.op, node.value))
            case ast.If():
                self.branch(node)
            case ast.Try():
                self.attempt(node)
            case ast.With() | ast.AsyncWith():
                self.block(node.body)
            case ast.Expr(value=ast.Await(value=ast.Call() as call)):
                self.sleep(call)
            case ast.Return() | ast.Raise() | ast.Break():
                raise _Ended
            case ast.Continue():
                raise _Next
            case _:
                pass

    def bind(self, name: str, value: ast.expr | None) -> None:
        try:
            self.names[name] = self.number(value)
        except _Unknown:
            self.names.pop(name, None)

    def branch(self, node: ast.If) -> None:
        """An unknown test is taken where its branch sleeps: the longest wait is asked for."""
        try:
            taken = self.test(node.test)
        except _Unknown:
            taken = self.sleeps(node.body)
            if not taken and not self.sleeps(node.orelse):
                return
        self.block(node.body if taken else node.orelse)

    def attempt(self, node: ast.Try) -> None:
        sleeping = [handler for handler in node.handlers if self.sleeps(handler.body)]
        if sleeping:
            self.block(sleeping[0].body)
        elif self.sleeps(node.body):
            self.block(node.body)

    def sleeps(self, body: list[ast.stmt]) -> bool:
        first, last = (body[0].lineno, body[-1].end_lineno or 0) if body else (0, -1)
        return any(
            first <= site.node.lineno <= last and self.calls.pause(site.node, self.function)
            for site in self.function.scan.calls
        )

    def sleep(self, call: ast.Call) -> None:
        if self.calls.pause(call, self.function):
            self.seconds = _finite(self.seconds + self.number(call.args[0] if call.args else None))

    # -- numbers -------------------------------------------------------------------------------------------------

    def test(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=value):
                return bool(value)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.test(operand)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self.compare(operator, self.number(left), self.number(right))
            case _:
                raise _Unknown

    @staticmethod
    def compare(operator: ast.cmpop, left: float, right: float) -> bool:
        match operator:
            case ast.Lt():
                return left < right
            case ast.LtE():
                return left <= right
            case ast.Gt():
                return left > right
            case ast.GtE():
                return left >= right
            case ast.Eq():
                return left == right
            case ast.NotEq():
                return left != right
            case _:
                raise _Unknown

    def number(self, node: ast.expr | None) -> float:
        match node:
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.BinOp():
                return self.arithmetic(node)
            case ast.Call(args=args) if args:
                return self.call(node.func, args)
            case None:
                raise _Unknown
            case _:
                found = self.calls.evaluator.number(node, self.function)
                if found is None:
                    raise _Unknown
                return found

    def arithmetic(self, node: ast.BinOp) -> float:
        left, right = self.number(node.left), self.number(node.right)
        try:
            return _finite(_result(node.op, left, right))
        except (ArithmeticError, TypeError):
            raise _Unknown from None

    def call(self, func: ast.expr, args: list[ast.expr]) -> float:
        """`min`, `max`, and the upper end of what `random` gives."""
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        match name:
            case "min":
                return min(self.known(args))
            case "max":
                return max(self.number(arg) for arg in args)
            case "uniform" | "randint":
                return self.number(args[-1])
            case "float" | "int":
                return self.number(args[0])
            case _:
                raise _Unknown

    def known(self, args: list[ast.expr]) -> list[float]:
        """The bounds of a `min` that are known: each of them caps it."""
        found: list[float] = []
        for arg in args:
            try:
                found.append(self.number(arg))
            except _Unknown:
                continue
        if not found:
            raise _Unknown
        return found


def _result(operator: ast.operator, left: float, right: float) -> float:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
        case ast.Pow() if abs(right) < 100:
            return float(left**right)
        case _:
            raise _Unknown


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise _Unknown
    return number
