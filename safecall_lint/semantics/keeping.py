"""Where a function puts what it makes: small questions about names, targets and blocks."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from safecall_lint.semantics.calls import has_unpacking, keyword_or_position
from safecall_lint.semantics.model import Class, Function, Scope

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.scan import CallSite, Frame

_WRITING = frozenset({"write_text", "write_bytes", "set", "setex", "put", "store", "save", "update", "setdefault"})
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def outlives(statement: ast.AST | None, scope: Scope) -> bool:
    """Whether what a statement binds lives on when its function has returned: on module or class level, on an object,
    in a collection, or under a `global` name."""
    if not isinstance(scope, Function):
        return True
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return any(
        isinstance(target, ast.Attribute | ast.Subscript)
        or (isinstance(target, ast.Name) and target.id in scope.scan.global_names)
        for target in targets
    )


def parts(call: ast.Call, fact: Fact | None) -> Iterator[ast.expr]:
    """The arguments that decide which connections a client opens; of an unknown callee, all."""
    if fact is None or not fact.pins:
        yield from call.args
        yield from (keyword.value for keyword in call.keywords)
        return
    for name in fact.pins:
        part = keyword_or_position(call, name)
        if part is not None:
            yield part
    if has_unpacking(call):
        yield from (keyword.value for keyword in call.keywords if keyword.arg is None)


def is_own(expr: ast.expr, scope: Scope) -> bool:
    """Whether an expression is an attribute of the method's own object."""
    root = expr
    while isinstance(root, ast.Attribute | ast.Subscript):
        root = root.value
    current: Scope | None = scope
    while isinstance(current, Function):
        if isinstance(root, ast.Name) and current.first_parameter and root.id == current.first_parameter:
            return True
        current = current.parent
    return False


def is_settled(expr: ast.expr, lineage: Iterable[Class]) -> bool:
    """Whether an expression is an attribute that only a constructor of these classes sets, once."""
    name = expr.attr if isinstance(expr, ast.Attribute) and isinstance(expr.value, ast.Name) else ""
    rows = [owner for cls in lineage for _, owner in cls.attributes.get(name, ())]
    return len(rows) == 1 and isinstance(rows[0], Function) and rows[0].name == "__init__"


def targets(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement binds directly."""
    targets: list[ast.expr | None] = []
    if isinstance(statement, ast.Assign):
        targets = [*statement.targets]
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.With | ast.AsyncWith):
        targets = [item.optional_vars for item in statement.items]
    yield from (target.id for target in targets if isinstance(target, ast.Name))


def repeats(parent: ast.AST, use: ast.AST) -> bool:
    """Whether a block runs what stands in it once per item."""
    if isinstance(parent, ast.For | ast.AsyncFor | ast.While):
        header = parent.test if isinstance(parent, ast.While) else parent.iter
        return not any(node is use for node in ast.walk(header))
    return isinstance(parent, _COMPREHENSIONS)


def rebinding(statement: ast.stmt, scope: Function) -> Iterator[ast.stmt]:
    """The assignments that hand the value of a statement's name on: `self.client = client`."""
    names = set(targets(statement))
    for node in (inner for item in scope.node.body for inner in ast.walk(item)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in names:
            yield node


def is_script(frame: Frame | None) -> bool:
    """Whether a statement stands below `if __name__ == "__main__"`."""
    return any(
        isinstance(around.node, ast.If) and any(
            isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(around.node.test)
        )
        for around in (frame.chain() if frame else ())
    )  # fmt: skip


def remembers(site: CallSite, function: Function) -> bool:
    """Whether the function keeps what it fetched and returns that the next time: a token, a catalogue, a file."""
    returned = {
        ast.dump(part)
        for test in ast.walk(function.node)
        if isinstance(test, ast.If) and test.lineno < site.node.lineno
        for statement in test.body
        if isinstance(statement, ast.Return) and statement.value is not None
        for part in sources(statement.value, function)
    }
    later = (node for node in ast.walk(function.node) if getattr(node, "lineno", 0) >= site.node.lineno)
    return any(ast.dump(loaded(place)) in returned for node in later for place in stores(node, function))


def sources(expr: ast.expr, function: Function, seen: frozenset[str] = frozenset()) -> Iterator[ast.expr]:
    """What an expression reads: itself, and where it comes from a look-up, what was looked into. Names in `seen` are
    not followed again."""
    yield expr
    if isinstance(expr, ast.Name) and expr.id not in seen:
        for binding in function.scan.bindings.get(expr.id, ()):
            value = binding.value.value if isinstance(binding.value, ast.Await) else binding.value
            if binding.form in ("assign", "annotation") and isinstance(value, ast.Call | ast.Subscript):
                yield from sources(value, function, seen | {expr.id})
    while isinstance(expr, ast.Call | ast.Subscript | ast.Await):
        expr = expr.func if isinstance(expr, ast.Call) else expr.value
        if isinstance(expr, ast.Attribute):
            yield expr.value
        if isinstance(expr, ast.Name):
            yield from sources(expr, function, seen)
    if isinstance(expr, ast.Attribute) and isinstance(expr.value, ast.Call):
        yield from sources(expr.value, function, seen)


def stores(node: ast.AST, function: Function) -> Iterator[ast.expr]:
    """The places that a node writes to."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Attribute | ast.Subscript) or is_global(target, function):
                yield target
            if isinstance(target, ast.Subscript):
                yield target.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _WRITING:
        yield node.func.value


def is_global(target: ast.expr, function: Function) -> bool:
    """Whether a target is a global name of the function."""
    return isinstance(target, ast.Name) and target.id in function.scan.global_names


def loaded(target: ast.expr) -> ast.expr:
    """A target as the expression that reads it."""
    return ast.parse(ast.unparse(target), mode="eval").body
