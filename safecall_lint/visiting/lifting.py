"""Rewrites that make one client serve many calls: around the loop, or behind an accessor of the module."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.lifetimes import uses
from safecall_lint.semantics.model import Function, Module, Scope
from safecall_lint.visiting.blocks import parted
from safecall_lint.visiting.rewriting import spelled
from safecall_lint.visiting.visitor import Rewrite

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.visiting.context import Context
    from safecall_lint.visiting.walk import Replacement

_SHARED = "shared_client"


def around_loop(node: cst.Call, loop: cst.For, context: Context) -> Rewrite | None:
    """Open the client of a `with` in a loop's body once, around the loop."""
    block = _block_of(node, context)
    if block is None or block not in loop.body.body or not _is_plain(block) or varies(node, loop, context):
        return None
    assert isinstance(loop.body, cst.IndentedBlock) and isinstance(block.body, cst.IndentedBlock)
    rest = [item for item in block.items if item.item is not node]
    inner = [block.with_changes(items=_last_bare(rest))] if rest else _with_lines(block)
    body = [part for item in loop.body.body for part in (inner if item is block else [item])]
    lines, bare = parted(loop)
    slim = bare.with_changes(body=loop.body.with_changes(body=body))
    outer = cst.With(
        items=[next(item for item in block.items if item.item is node).with_changes(comma=cst.MaybeSentinel.DEFAULT)],
        body=cst.IndentedBlock(body=[slim], header=block.body.header),
        asynchronous=block.asynchronous,
        leading_lines=lines,
    )
    return Rewrite(
        "open the client once, around the loop",
        Safety.UNSAFE,
        nodes={loop: outer},
        risk="cookies and failures of the connection are shared by the turns",
    )


def through_accessor(node: cst.Call, fact: Fact, context: Context) -> Rewrite | None:
    """Take the client from a function of the module that keeps one per event loop."""
    scope = context.scope
    if not isinstance(scope, Function) or not scope.is_async or fact.style != "async":
        return None
    code = context.slice.tree.code_for_node(node)
    parts = {name: spelled(name, scope) for name in ("asyncio.get_running_loop", "weakref.WeakKeyDictionary")}
    if "\n" in code or _is_local(node, context) or not all(parts.values()):
        return None
    name = _free_name(node, context)
    call = cst.Call(cst.Name(name))
    changed = _replaced(node, call, fact, context)
    if changed is None:
        return None
    loop, keyed = (found[0] for found in parts.values() if found)
    kind = context.slice.tree.code_for_node(node.func)
    return Rewrite(
        "share one client per event loop",
        Safety.UNSAFE,
        nodes=changed,
        imports=[item for found in parts.values() if found for item in found[1]],
        head=[_accessor(name, kind, code, loop, keyed)],
        risk="cookies are shared, and the client stays open until the loop ends",
    )


def _accessor(name: str, kind: str, code: str, loop: str, keyed: str) -> str:
    kept = f"_{name}s"
    base = loop.removesuffix("get_running_loop")
    return f"""{kept}: "{keyed}[{base}AbstractEventLoop, {kind}]" = {keyed}()


def {name}() -> {kind}:
    '''The client of the running event loop.'''
    loop = {loop}()
    if loop not in {kept}:
        {kept}[loop] = {code}
    return {kept}[loop]
""".replace("'''", '"""')


def _replaced(node: cst.Call, call: cst.Call, fact: Fact, context: Context) -> dict[cst.CSTNode, Replacement] | None:
    """The statement that makes the client, with the accessor's call in its place; a `with` becomes an assignment."""
    statement = context.statement()
    name = _bound(node, statement)
    if name is None or _closed(name, fact, context):
        return None
    if not isinstance(statement, cst.With):
        return {node: call}
    if not _is_plain(statement) or len(statement.items) != 1:
        return None
    assert isinstance(statement.body, cst.IndentedBlock)
    assign = cst.SimpleStatementLine(
        [cst.Assign([cst.AssignTarget(cst.Name(name))], call)],
        leading_lines=statement.leading_lines,
        trailing_whitespace=statement.body.header,
    )
    return {statement: cst.FlattenSentinel([assign, *statement.body.body])}


def _bound(node: cst.Call, statement: cst.CSTNode) -> str | None:
    """The name that a statement gives the client directly."""
    target: cst.CSTNode | None = None
    if isinstance(statement, cst.With):
        item = next((item for item in statement.items if item.item is node), None)
        target = item.asname.name if item and item.asname else None
    elif isinstance(statement, cst.Assign) and statement.value is node and len(statement.targets) == 1:
        target = statement.targets[0].target
    return target.value if isinstance(target, cst.Name) else None


def _closed(name: str, fact: Fact, context: Context) -> bool:
    """Whether the function closes the client itself: a shared one must stay open."""
    scope = context.scope
    assert isinstance(scope, Function)
    closing = (fact.close, "__aexit__")
    attributes = (item for item in ast.walk(scope.node) if isinstance(item, ast.Attribute) and item.attr in closing)
    closed = any(isinstance(item.value, ast.Name) and item.value.id == name for item in attributes)
    entered = (item for item in ast.walk(scope.node) if isinstance(item, ast.withitem))
    again = any(isinstance(item.context_expr, ast.Name) and item.context_expr.id == name for item in entered)
    return closed or again or not any(uses(name, scope))


def _block_of(node: cst.Call, context: Context) -> cst.With | None:
    statement = context.statement()
    inside = isinstance(statement, cst.With) and any(item.item is node for item in statement.items)
    return statement if isinstance(statement, cst.With) and inside else None


def _is_plain(block: cst.With) -> bool:
    """Whether a block can be unwrapped without losing a comment."""
    body = block.body
    if not isinstance(body, cst.IndentedBlock) or any(line.comment for line in body.footer):
        return False
    return "#" not in "".join(cst.Module([]).code_for_node(item) for item in block.items)


def _with_lines(block: cst.With) -> list[cst.BaseStatement]:
    """The statements of a block, the first under the comments that stood above it."""
    assert isinstance(block.body, cst.IndentedBlock)
    first, *others = (item for item in block.body.body if isinstance(item, cst.BaseStatement))
    lines = [*block.leading_lines, *getattr(first, "leading_lines", ())]
    return [first.with_changes(leading_lines=lines), *others]


def _last_bare(items: list[cst.WithItem]) -> list[cst.WithItem]:
    return [*items[:-1], items[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)]


def _names(node: cst.Call, context: Context) -> set[str]:
    return {item.id for item in ast.walk(context.call(node)) if isinstance(item, ast.Name)}


def varies(node: cst.Call, loop: cst.For, context: Context) -> bool:
    """Whether the client's arguments change from turn to turn."""
    twin = context.twin(loop)
    stored = {
        item.id
        for item in (ast.walk(twin) if twin else ())
        if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)
    }
    return twin is None or bool(stored & _names(node, context))


def _is_local(node: cst.Call, context: Context) -> bool:
    """Whether the client's arguments are known only inside the function."""
    return _takes_locals(context.call(node), context.scope)


def _takes_locals(call: ast.Call, scope: Scope) -> bool:
    names = {item.id for item in ast.walk(call) if isinstance(item, ast.Name)}
    return any(not isinstance(owner, Module) for name in names for _, owner in scope.lookup(name))


def _free_name(node: cst.Call, context: Context) -> str:
    """A name for the accessor: one per way of making a client in the module, and free."""
    module = context.module
    made = (
        site.node
        for rows in module.call_sites.values()
        for site, scope in rows
        if isinstance(scope, Function) and scope.is_async and not _takes_locals(site.node, scope)
        if context.semantics.calls.kind(site.node, scope) == "client"
    )
    ordered = sorted(made, key=lambda call: (call.lineno, call.col_offset))
    codes = list(dict.fromkeys(ast.unparse(call) for call in ordered))
    code = ast.unparse(context.call(node))
    number = codes.index(code) + 1 if code in codes else len(codes) + 1
    while module.lookup(_numbered(number)):
        number += len(codes)
    return _numbered(number)


def _numbered(number: int) -> str:
    return _SHARED if number == 1 else f"{_SHARED}_{number}"
