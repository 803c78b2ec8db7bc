"""Data flows one way: each layer imports only what stands left of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import safecall_lint

PACKAGE = Path(safecall_lint.__file__).parent
LAYERS = [
    *("finding", "source", "page", "rulebook", "declared", "settings"),
    *("globs", "discovery", "comments", "suppressions", "verdicts", "test_files", "trail", "texts"),
    *("packages", "report", "knowledge", "semantics", "visiting", "visitors", "engine", "parallel", "cache"),
    *("fixes", "api", "reporters", "cli", "__main__"),
]
ISLAND = "runtime"
FACE = "__init__"
REGISTRY = ("visiting", "visitors")
MODULES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The layers of ours that a module imports, and whether it imports the layer's package alone."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "safecall_lint" and rest:
                yield rest.split(".")[0], "." not in rest


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_leftward(path: Path) -> None:
    here = layer_of(path)
    for layer, package_alone in imports(path):
        if ISLAND in {here, layer}:
            assert here in (layer, "cli"), "the runtime and the linter know nothing of each other"
        elif here != FACE and not (package_alone and (here, layer) == REGISTRY):
            assert LAYERS.index(layer) <= LAYERS.index(here), f"{here} imports {layer}"


def test_every_module_belongs_to_a_layer() -> None:
    assert {layer_of(path) for path in MODULES} <= {*LAYERS, ISLAND, FACE}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_relative_imports_stay_on_the_island(path: Path) -> None:
    """The runtime is vendored under any name, so its modules name each other by place; nobody else does."""
    depth = len(path.relative_to(PACKAGE).parts) - 1 if layer_of(path) == ISLAND else 0
    levels = [node.level for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    assert max(levels, default=0) <= depth
