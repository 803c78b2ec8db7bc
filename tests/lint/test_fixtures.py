"""Realistic code: `fixtures/<rule-name>/*.py` a rule, `fixtures/<rule-name>/<name>/` code of several files, with the
manifests beside it; `fixtures/projects/<name>/` a whole project.

A line with `# error` is reported by the rule, every other line is not; `# ok: reason` says why a line that looks wrong
is not. `name.fixed.py` is what the fixer makes of `name.py`, unsafe fixes included. A project is linted with its own
settings; its `expected.json` is written by `pytest --bless`.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from safecall_lint.cli.workspace import lint
from safecall_lint.comments import comments
from safecall_lint.discovery import discover
from safecall_lint.rulebook import Rule, rulebook
from safecall_lint.settings import Lookup
from safecall_lint.source import Source
from tests.cases import fixed, marked, places, reported, unmarked, write

FIXTURES = Path(__file__).parents[2] / "fixtures"
FIXED = ".fixed.py"
FOLDERS = sorted(folder for folder in FIXTURES.iterdir() if folder.is_dir() and folder.name != "projects")
FILES = [path for folder in FOLDERS for path in sorted(folder.glob("*.py")) if not path.name.endswith(FIXED)]
TREES = [path for folder in FOLDERS for path in sorted(folder.iterdir()) if path.is_dir()]
PROJECTS = sorted(path.parent for path in FIXTURES.glob("projects/*/pyproject.toml"))
OK = re.compile(r"#[ ]ok\b(?!: \w+)")


def shown(path: Path) -> str:
    """A fixture as test names show it."""
    return path.relative_to(FIXTURES).as_posix()


@pytest.fixture
def rule(path: Path) -> Rule:
    """The rule that a fixture's folder is named after."""
    return rulebook()[path.parent.name]


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_fixture_reports_its_marked_lines(
    rule: Rule, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = {path.name: path.read_text("utf-8")}
    write(tmp_path, files)
    assert places(reported(rule)) == marked(files)
    assert not OK.search(files[path.name]), "an `# ok` gives its reason: `# ok: reason`"


@pytest.mark.parametrize("path", TREES, ids=shown)
def test_a_fixture_of_several_files_reports_its_marked_lines(
    rule: Rule, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path / path.name)
    files = {file.relative_to(path).as_posix(): file.read_text("utf-8") for file in path.rglob("*.py")}
    assert places(reported(rule)) == marked(files)
    assert not any(map(OK.search, files.values())), "an `# ok` gives its reason: `# ok: reason`"


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_fixing_a_fixture_is_stable_and_keeps_its_comments(
    rule: Rule, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = path.read_text("utf-8")
    write(tmp_path, {path.name: text})
    once = fixed(rule, path.name, unsafe=True)
    write(tmp_path, {path.name: once})
    assert fixed(rule, path.name, unsafe=True) == once
    ast.parse(once)
    assert not _comments(text) - _comments(once)


@pytest.mark.parametrize("path", [path for path in FILES if path.with_name(path.stem + FIXED).exists()], ids=shown)
def test_a_fixture_is_fixed_as_its_twin_says(
    rule: Rule, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {path.name: path.read_text("utf-8")})
    twin = path.with_name(path.stem + FIXED).read_text("utf-8")
    assert unmarked(fixed(rule, path.name, unsafe=True)) == unmarked(twin)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_a_project_has_its_expected_findings(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bless: bool
) -> None:
    shutil.copytree(project, tmp_path / project.name)
    monkeypatch.chdir(tmp_path / project.name)
    outcome = lint(discover(["."], Lookup()).targets)
    assert not outcome.crashes
    found = [
        {"path": one.path, "line": one.span.line, "name": one.name, "message": one.message} for one in outcome.findings
    ]
    expected = project / "expected.json"
    if bless:
        expected.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    assert found == json.loads(expected.read_text("utf-8"))


def test_every_folder_is_named_after_a_rule() -> None:
    assert {folder.name for folder in FOLDERS} <= set(rulebook())


def _comments(text: str) -> Counter[str]:
    return Counter(comment.text for comment in comments(Source("m.py", text)))
