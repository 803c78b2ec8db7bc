"""What holds for every fixture, whichever rule it is for."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from safecall_lint.discovery import discover
from safecall_lint.engine import Linter
from safecall_lint.settings import Lookup, Settings
from safecall_lint.source import Source

FIXTURES = Path(__file__).parents[2] / "fixtures"
FILES = sorted(path for path in FIXTURES.glob("*/*.py") if path.parent.name != "projects")
PROJECTS = sorted(path for path in (FIXTURES / "projects").iterdir() if path.is_dir())


def places(text: str) -> list[tuple[int, str]]:
    """The lines and rules of what is found in a text."""
    report = Linter(Settings(profile="all")).source(Source("module.py", text))
    assert not report.crashes
    return [(finding.span.line, finding.name) for finding in report.findings]


def aliased(text: str) -> str:
    """The code with each plain `import x` turned into `import x as other_x`, where nothing else is called `x`."""
    tree = ast.parse(text)
    imports = [
        (node, node.names[0].name)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import) and len(node.names) == 1 and not node.names[0].asname
    ]
    taken = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    taken |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    plain = {name for _, name in imports if "." not in name and name not in taken}
    dotted = {name.partition(".")[0] for _, name in imports if "." in name}
    edits = [(node, f"import {name} as other_{name}") for node, name in imports if name in plain - dotted]
    edits += [
        (node, f"other_{node.id}")
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in plain - dotted
    ]
    return replaced(text, edits)


def replaced(text: str, edits: list[tuple[ast.Import | ast.Name, str]]) -> str:
    """The text with some nodes, each on one line, spelled anew."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    for node, new in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + new.encode() + line[node.end_col_offset :]
    return b"".join(lines).decode()


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_name_that_an_import_goes_by_changes_nothing(path: Path) -> None:
    text = path.read_text("utf-8")
    assert places(aliased(text)) == places(text)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_a_run_on_one_file_finds_what_a_run_on_all_finds_in_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(project, tmp_path / project.name))
    targets = discover(["."], Lookup(adjust=lambda settings: replace(settings, profile="all"))).targets
    together = Linter(targets[0].settings)
    for target in [*targets, *reversed(targets)]:
        assert Linter(target.settings).file(target.path) == together.file(target.path)
