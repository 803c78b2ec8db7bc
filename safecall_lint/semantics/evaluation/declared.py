"""The kinds that a project's settings give its own names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safecall_lint.knowledge import Fact

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Class, Function
    from safecall_lint.semantics.project import Project

_DECLARED_KINDS = {
    "clients": "client",
    "gates": "gate",
    "limiters": "limiter",
    "retries": "retry",
    "blocking": "blocking",
}


def declared_name(project: Project, name: str) -> Fact | None:
    """The fact of a dotted name that the project's settings declare."""
    for group, kind in _DECLARED_KINDS.items():
        if name in getattr(project.declared, group):
            return Fact(name, "declared", kind, calls=("*",), waits=("acquire",))
    return None


def declared_kind(project: Project, item: Function | Class) -> Fact | None:
    """The fact that the project's settings give a first-party function or class, matched by module path and name."""
    path = item.module.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for group in _DECLARED_KINDS:
        for name in getattr(project.declared, group):
            module, _, rest = name.rpartition(f".{item.qualname.split('.')[0]}")
            tail = name.removeprefix(f"{module}.") if module else ""
            if (
                module
                and tail == item.qualname
                and (path == module or path.endswith(f".{module}"))
                and not rest.strip(".")
            ):
                return declared_name(project, name)
    return None
