"""Where a name is bound, also where a `from module import *` brings it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from safecall_lint.semantics.scan import Binding

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Module, Scope

_STAR = "*"


def rows(ev: Evaluator, name: str, scope: Scope) -> list[tuple[Binding, Scope]]:
    """The bindings of a name in a scope, else those in the modules that a star brings it from."""
    return scope.lookup(name) or _brought(ev, name, scope.module)


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
