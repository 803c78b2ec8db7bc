"""What is imported when: a visitor is asked for its `needs` in many files, and LibCST is needed in few."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import safecall_lint
from safecall_lint.rulebook import rulebook

RULES = [rule.name for rule in rulebook().values() if not rule.engine]
HEAVY = ("libcst.", "rich.", "httpx.", "typer.")


def imported(program: str, *arguments: str) -> list[str]:
    """The modules that a fresh process has when a program is through."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules, sep='\\n')", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_asking_every_visitor_what_it_needs_imports_no_parser() -> None:
    names = imported(
        "import sys\n"
        "from safecall_lint.visiting import visitors_of\n"
        "for name in sys.argv[1:]:\n"
        "    if [cls.needs for cls in visitors_of(frozenset({name}))] and 'libcst._nodes' in sys.modules:\n"
        "        sys.exit(f'{name} uses libcst while it is imported')\n",
        *RULES,
    )
    assert "safecall_lint.visiting.visitor" in names
    assert [name for name in names if name.startswith(HEAVY)] == []


@pytest.mark.parametrize("module", ["inspect", "rewriting", "slices", "drafts", "walker", "slots", "made_anew"])
def test_no_tool_of_the_visitors_uses_the_parser_while_it_is_imported(module: str) -> None:
    program = "from safecall_lint.visiting import visitors_of; visitors_of(frozenset())"
    names = imported(f"{program}\nimport safecall_lint.visiting.{module}")
    assert [name for name in names if name.startswith(HEAVY)] == []


def test_only_the_visitors_of_the_selected_rules_are_imported() -> None:
    names = imported("from safecall_lint.visiting import visitors_of; visitors_of(frozenset({'client-per-request'}))")
    here = "safecall_lint.visitors."
    assert [name.removeprefix(here) for name in names if name.startswith(here)] == ["client_per_request"]


def test_plain_data_is_held_in_structs() -> None:
    """A frozen dataclass takes forty times as long to make, and a hook makes ninety classes. `walk` asks LibCST's."""
    package = Path(safecall_lint.__file__).parent
    linter = (path for path in package.rglob("*.py") if "runtime" not in path.relative_to(package).parts)
    assert [path.name for path in linter if "from dataclasses import" in path.read_text("utf-8")] == ["walk.py"]
