"""Where a limiter or breaker keeps its count: in the memory of its process, or where other processes see it too."""

from __future__ import annotations

import ast

from safecall_lint.knowledge import Fact
from safecall_lint.semantics.calls import has_unpacking, keyword_or_position
from safecall_lint.semantics.evaluate import Evaluator
from safecall_lint.semantics.model import Scope
from safecall_lint.semantics.values import Constant, Container, Value


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
