"""The fix of breakers that each process has for itself: the state in the store that the module has a client of."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import has_unpacking
from safecall_lint.semantics.model import Module
from safecall_lint.semantics.values import Instance
from safecall_lint.visiting.rewriting import spelled, with_keyword
from safecall_lint.visiting.visitor import Rewrite

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.visiting.context import Context

_RISK: Final = (
    "the store has to be there when the module is loaded, and is asked with each call; a process that alone cannot"
    " reach the vendor stops the others too"
)


def shared(node: cst.Call, fact: Fact, context: Context) -> Rewrite | None:
    """A breaker of a module with its state in a store: in the only one that a name of the module above it stands for,
    where its library has a storage for that."""
    statement = context.twin(context.statement())
    if not isinstance(context.scope, Module) or not isinstance(statement, ast.Assign) or len(fact.shared_store) != 2:
        return None
    target = statement.targets[0]
    stores = list(_stores(statement, context.scope, context))
    ways = [spelled(name, context.scope) for name in fact.shared_store]
    if len(statement.targets) != 1 or not isinstance(target, ast.Name) or len(stores) != 1 or None in ways:
        return None
    made, state = (way[0] for way in ways if way)
    call = with_keyword(
        node,
        fact.store_keywords[0],
        f'{made}({state}, {stores[0]}, namespace="{_stem(context.scope)}.{target.id}")',
    )
    imports = tuple(name for way in ways if way for name in way[1])
    title = "keep the state in the store of the module"
    return Rewrite(title, Safety.UNSAFE, {node: call}, imports=imports, risk=_RISK)


def _stores(above: ast.Assign, module: Module, context: Context) -> Iterator[str]:
    """The names, bound above a statement, of clients that wait for a store's answer and give it as bytes."""
    evaluator = context.semantics.evaluator
    for name, rows in module.scan.bindings.items():
        values = evaluator.named(name, module) if len(rows) == 1 and _is_above(rows[0].statement, above) else ()
        for value in values:
            fact = evaluator.fact(value) if isinstance(value, Instance) else None
            if fact is None or fact.kind != "store" or fact.style != "sync" or fact.sharded or len(values) != 1:
                continue
            if isinstance(value, Instance) and value.call is not None and _gives_bytes(value.call):
                yield name


def _is_above(statement: ast.AST, other: ast.Assign) -> bool:
    return getattr(statement, "lineno", other.lineno) < other.lineno


def _gives_bytes(call: ast.Call) -> bool:
    """Whether a client does not decode what the store answers."""
    said = [keyword.value for keyword in call.keywords if keyword.arg == "decode_responses"]
    return not has_unpacking(call) and all(isinstance(value, ast.Constant) and not value.value for value in said)


def _stem(module: Module) -> str:
    path = os.path.dirname(module.file) if module.is_package else module.file
    return os.path.basename(path).removesuffix(".py")
