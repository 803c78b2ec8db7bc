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
    if not call.args:
        return _only(call, new)
    if at < len(call.args):
        before = call.args[at - 1].comma if at else _gap(call)
        gap = _bare(before) if isinstance(before, cst.Comma) else _gap(call)
        return call.with_changes(args=[*call.args[:at], new.with_changes(comma=gap), *call.args[at:]])
    return call.with_changes(args=_appended(call, new))


def with_first(call: cst.Call, value: cst.BaseExpression) -> cst.Call:
    """The call with a positional argument in front of the others, in the call's layout."""
    if not call.args:
        return _only(call, cst.Arg(value))
    opening, gap = call.whitespace_before_args, _gap(call)
    if isinstance(opening, cst.ParenthesizedWhitespace):
        if isinstance(gap.whitespace_after, cst.ParenthesizedWhitespace):
            gap = cst.Comma(whitespace_after=opening)
            opening = _bare(gap).whitespace_after
    else:
        gap = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    return call.with_changes(args=[cst.Arg(value, comma=gap), *call.args], whitespace_before_args=opening)


def _only(call: cst.Call, new: cst.Arg) -> cst.Call:
    """A call without arguments with one: the line break between its parentheses goes, unless a comment stands there."""
    space = call.whitespace_before_args
    if not isinstance(space, cst.ParenthesizedWhitespace) or not _notes(space):
        return call.with_changes(args=[new], whitespace_before_args=cst.SimpleWhitespace(""))
    deeper = space.with_changes(last_line=cst.SimpleWhitespace(space.last_line.value + "    "))
    new = new.with_changes(whitespace_after_arg=_bare(cst.Comma(whitespace_after=space)).whitespace_after)
    return call.with_changes(args=[new], whitespace_before_args=deeper)


def _gap(call: cst.Call) -> cst.Comma:
    """The comma between two arguments as a call has it: with a line break where they stand on lines of their own."""
    breaks = [
        arg.comma
        for arg in call.args[:-1]
        if isinstance(arg.comma, cst.Comma) and isinstance(arg.comma.whitespace_after, cst.ParenthesizedWhitespace)
    ]
    if breaks:
        return _bare(breaks[-1])
    opening = call.whitespace_before_args
    if len(call.args) == 1 and isinstance(opening, cst.ParenthesizedWhitespace):
        return _bare(cst.Comma(whitespace_after=opening))
    return next(
        (arg.comma for arg in call.args[:-1] if isinstance(arg.comma, cst.Comma)),
        cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")),
    )


def _appended(call: cst.Call, new: cst.Arg) -> list[cst.Arg]:
    """A call's arguments with another one behind; a comment stays with the argument that it stands at."""
    *before, last = call.args
    gap = _gap(call)
    end = last.comma if isinstance(last.comma, cst.Comma) else cst.Comma(whitespace_after=last.whitespace_after_arg)
    closing = end
    if isinstance(gap.whitespace_after, cst.ParenthesizedWhitespace):
        gap, closing = _commented(gap, end), _bare(end)
    if isinstance(last.comma, cst.Comma):
        new = new.with_changes(comma=closing)
    else:
        new = new.with_changes(whitespace_after_arg=closing.whitespace_after)
        last = last.with_changes(whitespace_after_arg=cst.SimpleWhitespace(""))
    return [*before, last.with_changes(comma=gap), new]


def _notes(space: cst.ParenthesizedWhitespace) -> bool:
    """Whether comments stand in the white space."""
    return space.first_line.comment is not None or any(line.comment for line in space.empty_lines)


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
