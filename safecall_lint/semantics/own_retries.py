"""The attempts that a client makes by itself: by a setting of its own, or by a transport that tries again."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from safecall_lint.semantics.calls import argument, has_unpacking, keyword_or_position
from safecall_lint.semantics.values import Constant, Instance, Object, Site

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.values import Value


def by_itself(client: Instance | Object | None, evaluator: Evaluator) -> tuple[float, Site | None] | None:
    """The attempts that a client makes of a call, with the place where it was made; None where it makes one."""
    fact = evaluator.fact(client) if isinstance(client, Instance) else None
    if not isinstance(client, Instance) or fact is None or fact.kind != "client":
        return None
    if not fact.retries_keyword:
        return _of_transport(client, fact, evaluator)
    attempts = tried(_stated(client, fact, evaluator), fact)
    return (attempts, client.site) if attempts else None


def tried(retries: float | None, fact: Fact) -> float | None:
    """The attempts that a setting for retries makes of a call; None where it makes one, or where unknown."""
    attempts = retries if retries is None or fact.retries_first else retries + 1
    return attempts if attempts is not None and attempts > 1 else None


def _of_transport(client: Instance, fact: Fact, evaluator: Evaluator) -> tuple[float, Site | None] | None:
    """What a transport does that tries again unless it is told otherwise, or a client whose settings do not say that it
    tries once."""
    if client.call is None or client.scope is None:
        return None
    told = [keyword_or_position(client.call, name) for name in fact.transport_keywords]
    values = [value for given in told for value in evaluator.values(given, client.scope)]
    for value in values:
        below = evaluator.fact(value)
        if isinstance(value, Instance) and below and _retries(value, below):
            attempts = tried(_stated(value, below, evaluator), below)
            return (attempts, value.site) if attempts else None
    if has_unpacking(client.call) or not all(_is_silent(value, evaluator) for value in values):
        return None
    unknown = any(given is not None for given in told) and not values
    return (fact.retries_default + 1, client.site) if fact.retries_default and not unknown else None


def _is_silent(value: Value, evaluator: Evaluator) -> bool:
    """Whether settings say nothing of retries."""
    fact = evaluator.fact(value)
    if value == Constant(None):
        return True
    return isinstance(value, Instance) and fact is not None and value.call is not None and not has_unpacking(value.call)


def _retries(made: Instance, fact: Fact) -> bool:
    """Whether what a client stands on tries again: unless it is told otherwise, or where its settings say so."""
    if fact.kind == "client-config":
        return made.call is not None and keyword_or_position(made.call, fact.retries_keyword) is not None
    return fact.kind == "transport" and bool(fact.retries_default)


def _in_dict(given: ast.expr, scope: Scope, evaluator: Evaluator) -> float | None:
    """The retries in `{"max_attempts": 3}`; `total_max_attempts` counts the first attempt as well."""
    for key, value in zip(given.keys, given.values, strict=True) if isinstance(given, ast.Dict) else ():
        if isinstance(key, ast.Constant) and key.value in ("max_attempts", "total_max_attempts"):
            number = evaluator.number(value, scope)
            return number - 1 if number is not None and key.value == "total_max_attempts" else number
    return None


def _stated(made: Instance, fact: Fact, evaluator: Evaluator) -> float | None:
    """How often something tries again: its default, a number that it was given, or what a policy says."""
    if made.call is None or made.scope is None:
        return fact.retries_default
    given = keyword_or_position(made.call, fact.retries_keyword)
    if given is None:
        return None if has_unpacking(made.call) else fact.retries_default
    for value in evaluator.values(given, made.scope):
        policy = evaluator.fact(value)
        if isinstance(value, Instance) and policy and policy.kind == "retry-config" and value.call and value.scope:
            total = argument(value.call, policy)
            return evaluator.number(total, value.scope) if total is not None else policy.value_default
    number = evaluator.number(given, made.scope)
    return number if number is not None else _in_dict(given, made.scope, evaluator)
