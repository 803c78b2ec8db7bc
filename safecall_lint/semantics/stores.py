"""Where a limiter or breaker keeps its count: in the memory of its process, or where other processes see it too."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from safecall_lint.semantics.calls import has_unpacking, keyword_or_position
from safecall_lint.semantics.values import Constant, Container, Value

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Class, Scope

_STORES: Final = re.compile(r"redis|memcache|valkey|sqlalchemy", re.IGNORECASE)


def stored(cls: Class, evaluator: Evaluator) -> bool:
    """Whether a class of the project speaks of a store that other processes see: in its own code or that of its
    bases, or by a name of its module that such a store is bound to."""
    return any(_STORES.search(text) for level in evaluator.lineage(cls) for text in _texts(level))


def _texts(cls: Class) -> Iterator[str]:
    yield ast.unparse(cls.node)
    for name in {node.id for node in ast.walk(cls.node) if isinstance(node, ast.Name)}:
        for binding, _ in cls.module.lookup(name):
            yield binding.target or ast.unparse(binding.value or ast.Constant(None))


def in_memory(call: ast.Call, scope: Scope, fact: Fact, evaluator: Evaluator) -> bool:
    """Whether what `call` makes counts for its own process alone; a store of which nothing is known is shared."""
    if not fact.store_keywords:
        return True
    given = (keyword_or_position(call, name, fact.store_position) for name in fact.store_keywords)
    store = next((expr for expr in given if expr is not None), None)
    if store is None:
        return not has_unpacking(call)
    values = [inner for value in evaluator.values(store, scope) for inner in _flat(value)]
    return bool(values) and all(_is_local(value, evaluator) for value in values)


def _flat(value: Value) -> tuple[Value, ...]:
    return value.elements if isinstance(value, Container) else (value,)


def _is_local(value: Value, evaluator: Evaluator) -> bool:
    fact = evaluator.fact(value)
    return value == Constant(None) or (fact is not None and fact.kind == "memory-store")
