"""What the fixes share that write code for the runtime: how its names are spelled and imported, and at what price."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from safecall_lint.semantics.project import RUNTIME
from safecall_lint.visiting.rewriting import from_module

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Module, Scope

_OURS: Final = "safecall-lint"
_OLDEST: Final = (3, 11)


def has_runtime(semantics: Semantics, module: Module) -> bool:
    """Whether the project has the runtime: it names a vendored copy, or asks for the package."""
    return bool(semantics.project.runtime_module) or semantics.requirements.asks((_OURS,), module)


def price(semantics: Semantics, module: Module) -> str:
    """What a fix costs that writes a name of the runtime, as an end for its risk: "" where the project has it."""
    return "" if has_runtime(semantics, module) else f"; the project then needs `{_OURS}` where it runs"


def from_runtime(name: str, scope: Scope, semantics: Semantics) -> tuple[str, tuple[str, ...]] | None:
    """How to write a name of the runtime in a scope, and the imports that it needs: from the project's vendored copy
    where it has one. None where the project runs on a Python that the runtime does not, or the package's name means
    something else here."""
    project = semantics.project
    if project.target_version and project.target_version < _OLDEST:
        return None
    return from_module(project.runtime_module or RUNTIME, name, scope)
