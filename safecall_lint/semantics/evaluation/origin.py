"""Where a name is bound: here, in the module that it is imported from, or in one that a star brings it from."""

from __future__ import annotations

import ast
import os
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
        places = leads(ev, found[0][0].target, found[0][1].module)
        if not places or not places[0][1].isidentifier():
            break
        found = rows(ev, places[0][1], places[0][0])
    return found


def leads(ev: Evaluator, target: str, importer: Module) -> list[tuple[Module, str]]:
    """The first-party modules that an import target leads to, each with the rest of the dotted name inside it. What a
    package binds comes before its module of that name; a module of the package may have been imported before the
    package bound it, so that for it the name is either."""
    found = ev.project.resolve(target, importer)
    if found is None or found[1]:
        return [found] if found else []
    folder, name = os.path.dirname(found[0].file), target.rpartition(".")[2]
    package = f"{os.path.dirname(folder) if found[0].is_package else folder}/__init__.py"
    if name in ("", target) or package == importer.file:
        return [found]
    around = ev.project.naming(package, name, importer)
    if around is None or not any(row.value or row.form != "annotation" for row, _ in rows(ev, name, around)):
        return [found]
    is_inside = importer.file.startswith(os.path.dirname(package) + os.sep)
    return [(around, name), found] if is_inside else [(around, name)]


def _brought(ev: Evaluator, name: str, module: Module) -> list[tuple[Binding, Scope]]:
    if _STAR not in module.scan.bindings:
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
            if not name.startswith("_") and ev.facts.knows(f"{source}{name}"):
                yield Binding("import", name, None, star.statement, target=f"{source}{name}"), module
        elif not found[1] and found[0] not in seen and found[0].gives(name):
            yield from found[0].lookup(name) or _through_stars(ev, name, found[0], seen)
            yield from _beside(ev, name, found[0], star.statement)


def _beside(ev: Evaluator, name: str, package: Module, statement: ast.AST) -> Iterator[tuple[Binding, Scope]]:
    """A module of a package: a star imports it where `__all__` names it and the package binds no such name."""
    if name in (package.exported or ()) and name not in package.globals and package.is_package:
        inner = ev.project.resolve(f".{name}", package)
        if inner and not inner[1]:
            yield Binding("import", name, None, statement, target=f".{name}"), package
