"""Tools for fixes: arguments, imports, blocks. They build new nodes; nothing here edits text."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Module, Scope
    from safecall_lint.semantics.scan import Binding


def expression(code: str) -> cst.BaseExpression:
    """Code as an expression node."""
    return cst.parse_expression(code)


def with_keyword(call: cst.Call, name: str, value: str | cst.BaseExpression) -> cst.Call:
    """The call with keyword `name` set to `value`; a new one goes last, before any `**kwargs`, in the call's layout."""
    node = expression(value) if isinstance(value, str) else value
    for index, arg in enumerate(call.args):
        if arg.keyword is not None and arg.keyword.value == name:
            changed = [*call.args[:index], arg.with_changes(value=node), *call.args[index + 1 :]]
            return call.with_changes(args=changed)
    new = cst.Arg(
        node,
        keyword=cst.Name(name),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    at = next((index for index, arg in enumerate(call.args) if arg.star == "**"), len(call.args))
    return call.with_changes(args=_inserted(list(call.args), at, new))


def _inserted(args: list[cst.Arg], at: int, new: cst.Arg) -> list[cst.Arg]:
    """Insert an argument so that a call written over several lines stays so."""
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    if at < len(args):
        before = args[at - 1].comma if at else comma
        gap = _bare(before) if isinstance(before, cst.Comma) else comma
        return [*args[:at], new.with_changes(comma=gap), *args[at:]]
    if not args:
        return [new]
    last = args[-1]
    separators = [arg.comma for arg in args[:-1] if isinstance(arg.comma, cst.Comma)]
    between = _bare(separators[-1]) if separators else comma
    if isinstance(last.comma, cst.Comma):
        if not separators and isinstance(last.comma.whitespace_after, cst.ParenthesizedWhitespace):
            between = _indented(last.comma)
        between = _commented(between, last.comma)
    tail = cst.Comma(whitespace_after=last.whitespace_after_arg)
    between = _commented(between, tail)
    closing = _bare(last.comma) if isinstance(last.comma, cst.Comma) else cst.MaybeSentinel.DEFAULT
    new = new.with_changes(comma=closing, whitespace_after_arg=_bare(tail).whitespace_after)
    return [*args[:-1], last.with_changes(comma=between, whitespace_after_arg=cst.SimpleWhitespace("")), new]


def _bare(comma: cst.Comma) -> cst.Comma:
    """A comma with its line break, without the comments that follow it."""
    space = comma.whitespace_after
    if isinstance(space, cst.ParenthesizedWhitespace):
        line = cst.TrailingWhitespace(newline=space.first_line.newline)
        space = space.with_changes(first_line=line, empty_lines=[])
    return comma.with_changes(whitespace_after=space)


def _commented(comma: cst.Comma, old: cst.Comma) -> cst.Comma:
    """A comma followed by the comments that stood after the old one: they speak of the argument before it."""
    space, other = comma.whitespace_after, old.whitespace_after
    if isinstance(space, cst.ParenthesizedWhitespace) and isinstance(other, cst.ParenthesizedWhitespace):
        space = space.with_changes(first_line=other.first_line, empty_lines=other.empty_lines)
    return comma.with_changes(whitespace_after=space)


def _indented(comma: cst.Comma) -> cst.Comma:
    """The comma after an only argument on a line of its own, as it stands between two of them."""
    space = comma.whitespace_after
    assert isinstance(space, cst.ParenthesizedWhitespace)
    deeper = cst.SimpleWhitespace(space.last_line.value + "    ")
    return _bare(comma.with_changes(whitespace_after=space.with_changes(last_line=deeper)))


def without_argument(call: cst.Call, arg: cst.Arg) -> cst.Call:
    """The call without one of its arguments."""
    kept = [item for item in call.args if item is not arg]
    if kept and arg is call.args[-1]:
        kept[-1] = kept[-1].with_changes(comma=arg.comma)
    return call.with_changes(args=kept)


def keyword(call: cst.Call, name: str) -> cst.Arg | None:
    """A call's keyword argument."""
    return next((arg for arg in call.args if arg.keyword is not None and arg.keyword.value == name), None)


def spelled(name: str, scope: Scope) -> tuple[str, tuple[str, ...]] | None:
    """How to write the library name `name` ("httpx.TimeoutException") in a scope, and the imports that it needs.

    An import that is there is used (`hx.TimeoutException`, or the bare name); a file that imports names from the module
    gets this one as well; else `import httpx` is asked for. None where the package's name means something else here.
    """
    package, _, rest = name.partition(".")
    module = scope.module
    for local, rows in module.scan.bindings.items():
        for row in rows:
            if row.form != "import" or row.frame is not None or _rebound(local, scope, module):
                continue
            if row.target == name:
                return local, ()
            if row.target == package and rest:
                return f"{local}.{rest}", ()
    source, _, member = name.rpartition(".")
    if _imports_from(source, module) and not scope.lookup(member) and not hasattr(builtins, member):
        return member, (f"{source}:{member}",)
    return None if scope.lookup(package) else (name, (package,))


def _imports_from(source: str, module: Module) -> bool:
    """Whether a file names what it takes from a module one by one."""
    return bool(source) and any(
        isinstance(node, ast.ImportFrom) and node.module == source and not node.level and node.names[0].name != "*"
        for node in module.tree.body
    )


def from_module(source: str, name: str, scope: Scope) -> tuple[str, tuple[str, ...]] | None:
    """How to write a name of a module in a scope, and the imports that it needs.

    An import that is there is used; else the name is imported by itself where it is free, through its module where it
    is not. None where the package's name means something else here.
    """
    for local, rows in scope.module.scan.bindings.items():
        if _rebound(local, scope, scope.module) or any(row.frame is not None for row in rows):
            continue
        if any(row.target == f"{source}.{name}" for row in rows):
            return local, ()
        if any(row.target == source for row in rows):
            return f"{local}.{name}", ()
    if not scope.lookup(name):
        return name, (f"{source}:{name}",)
    way = spelled(f"{source}.{name}", scope)
    return (way[0], (source,)) if way else None


def _rebound(local: str, scope: Scope, module: Module) -> bool:
    rows: list[tuple[Binding, Scope]] = scope.lookup(local)
    return any(owner is not module or binding.form != "import" for binding, owner in rows)


def fresh_name(wanted: str, scope: Scope) -> str:
    """`wanted`, or with a number behind it where a scope already uses that name."""
    names = (wanted, *(f"{wanted}_{number}" for number in range(2, 100)))
    return next(name for name in names if not scope.lookup(name))


def block(statements: list[cst.BaseStatement]) -> cst.IndentedBlock:
    """Statements as the body of a compound statement."""
    return cst.IndentedBlock(body=statements)


def behind(code: str, statement: cst.SimpleStatementLine | cst.For | cst.While) -> list[cst.BaseStatement]:
    """A statement with another in front, which takes the blank lines above it and leaves it its comments."""
    lines = statement.leading_lines
    first = next((index for index, line in enumerate(lines) if line.comment), len(lines))
    new = cst.ensure_type(cst.parse_statement(code), cst.SimpleStatementLine).with_changes(leading_lines=lines[:first])
    return [new, statement.with_changes(leading_lines=lines[first:])]


def also_catching(caught: cst.BaseExpression, names: list[str]) -> cst.Tuple:
    """The class or tuple of classes of an `except` clause with more classes in it, in the tuple's own layout."""
    space = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    if not isinstance(caught, cst.Tuple):
        elements = [cst.Element(caught), *(cst.Element(expression(name)) for name in names)]
        return cst.Tuple(elements)
    old = list(caught.elements)
    last = old[-1]
    between = old[0].comma if len(old) > 1 and isinstance(old[0].comma, cst.Comma) else space
    new = [cst.Element(expression(name), comma=between) for name in names]
    new[-1] = new[-1].with_changes(comma=last.comma if len(old) > 1 else cst.MaybeSentinel.DEFAULT)
    return caught.with_changes(elements=[*old[:-1], last.with_changes(comma=between), *new])


def without_element(node: cst.Tuple, element: cst.BaseElement) -> cst.BaseExpression:
    """A tuple without one of its elements; the only one that is left stands alone."""
    kept = [item for item in node.elements if item is not element]
    if len(kept) == 1:
        return kept[0].value
    if node.elements and element is node.elements[-1]:
        kept[-1] = kept[-1].with_changes(comma=element.comma)
    return node.with_changes(elements=kept)


def before_handler(block: cst.Try, handler: cst.ExceptHandler, name: str) -> list[cst.ExceptHandler]:
    """The handlers of a `try` with `except <name>: raise` in front of one of them."""
    body = cst.IndentedBlock([cst.SimpleStatementLine([cst.Raise()])])
    new = cst.ExceptHandler(body, expression(name), leading_lines=[])
    at = block.handlers.index(handler)
    return [*block.handlers[:at], new, *block.handlers[at:]]


def ending_in_raise(body: cst.BaseSuite) -> cst.BaseSuite | None:
    """A handler's body that raises again: in place of its last `pass`, `return`, `break` or `continue`, else below."""
    if not isinstance(body, cst.IndentedBlock):
        return None
    *before, last = body.body
    again = cst.Raise()
    if isinstance(last, cst.SimpleStatementLine):
        if isinstance(last.body[-1], cst.Pass | cst.Return | cst.Break | cst.Continue):
            line = last.with_changes(body=[*last.body[:-1], again])
            return body.with_changes(body=[*before, line])
        return body.with_changes(body=[*body.body, cst.SimpleStatementLine([again])])
    return body.with_changes(body=[*body.body, cst.SimpleStatementLine([again])])
