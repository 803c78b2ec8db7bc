"""Where a name is bound: here, in the module that it is imported from, or in one that a star brings it from."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from safecall_lint.semantics.scan import Binding
from safecall_lint.semantics.values import ModuleValue

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Module, Scope

_STAR = "*"
_HOPS = 6


def rows(ev: Evaluator, name: str, scope: Scope) -> list[tuple[Binding, Scope]]:
    """The bindings of a name in a scope, else those in the modules that a star brings it from."""
    return scope.lookup(name) or _brought(ev, name, scope.module)


def of(ev: Evaluator, expr: ast.expr, scope: Scope) -> list[tuple[Binding, Scope]]:
    """The bindings of a name, or of a name of a module of the project; an import is followed to where the name is
    made."""
    if isinstance(expr, ast.Name):
        return _followed(ev, rows(ev, expr.id, scope))
    modules = ev.values(expr.value, scope) if isinstance(expr, ast.Attribute) else ()
    if not isinstance(expr, ast.Attribute) or len(modules) != 1 or not isinstance(modules[0], ModuleValue):
        return []
    return _followed(ev, rows(ev, expr.attr, modules[0].module))


def _followed(ev: Evaluator, found: list[tuple[Binding, Scope]]) -> list[tuple[Binding, Scope]]:
    for _ in range(_HOPS):
        if len(found) != 1 or found[0][0].form != "import":
            break
        source = ev.project.resolve(found[0][0].target, found[0][1].module)
        if source is None or not source[1].isidentifier():
            break
        found = rows(ev, source[1], source[0])
    return found


def _brought(ev: Evaluator, name: str, module: Module) -> list[tuple[Binding, Scope]]:
    if _STAR not in module.scan.bindings or name.startswith("_"):
        return []
    known = ev.brought.get((name, module))
    if known is None:
        known = ev.brought[name, module] = list(_through_stars(ev, name, module, set()))
    return known


def _through_stars(ev: Evaluator, name: str, module: Module, seen: set[Module]) -> Iterator[tuple[Binding, Scope]]:
    seen.add(module)
    for star in module.scan.bindings.get(_STAR, ()):
        source = star.target.removesuffix(_STAR)
        found = ev.project.resolve(source.rstrip(".") or source, module)
        if found is None:
            if ev.facts.knows(f"{source}{name}"):
                yield Binding("import", name, None, star.statement, target=f"{source}{name}"), module
        elif not found[1] and found[0] not in seen:
            yield from found[0].lookup(name) or _through_stars(ev, name, found[0], seen)
