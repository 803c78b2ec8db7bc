"""The table of what stands behind each rule: computed from the rulebook, the fixtures and `docs/evidence.toml`."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safecall_lint.knowledge import knowledge
from safecall_lint.rulebook import Rule, rulebook

ROOT = Path(__file__).parents[2]
HEAD = """# Coverage

One row a rule. *Libraries* are those of the [knowledge tables](knowledge.md) that the rule's page and fixtures show it
on; a rule knows kinds, not names, so it holds for every library with the same kind. *Fixtures* are files of realistic
code beside the page's own examples. *Read* are findings on public repositories that a person has read, *false* the
false alarms among them that are left; a row without numbers was not measured.

| code | rule | profile | severity | fix | libraries | fixtures | read | false | repositories |
|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Findings of a rule that were read, the false alarms among them, and the repositories that they come from."""

    read: int
    false: int
    repositories: int


def evidence() -> Mapping[str, Evidence | None]:
    """What was measured, by code; None where nothing was."""
    rows = tomllib.loads((ROOT / "docs" / "evidence.toml").read_text("utf-8"))
    return {code: Evidence(**row) if row else None for code, row in rows.items()}


def table() -> str:
    """The coverage page."""
    measured = evidence()
    return HEAD + "".join(_row(rule, measured.get(rule.code)) for rule in rulebook().values())


def _row(rule: Rule, measured: Evidence | None) -> str:
    numbers = (measured.read, measured.false, measured.repositories) if measured else ("", "", "")
    files = fixtures(rule)
    cells = (
        rule.code,
        f"[{rule.name}](rules/{rule.name}.md)",
        rule.profile,
        rule.severity,
        rule.fixable or "-",
        ", ".join(sorted(set(_libraries(rule, files)))),
        len(files) or "-",
        *numbers,
    )
    return "| " + " | ".join(map(str, cells)) + " |\n"


def fixtures(rule: Rule) -> list[Path]:
    """The fixture files of a rule, without what the fixer makes of them."""
    return sorted(path for path in (ROOT / "fixtures" / rule.name).rglob("*.py") if not path.name.endswith(".fixed.py"))


def _libraries(rule: Rule, files: list[Path]) -> Iterator[str]:
    """The libraries of the tables that a rule's code imports, without the standard library."""
    known = knowledge().packages - sys.stdlib_module_names
    texts = [block.text for block in rule.page.blocks if block.language == "python"]
    for text in (*texts, *(path.read_text("utf-8") for path in files)):
        for node in ast.walk(_parsed(text)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                names = []
            yield from (name for name in (full.partition(".")[0] for full in names) if name in known)


def _parsed(text: str) -> ast.Module:
    """The code as a tree; the pages show code that does not parse where that is the rule's subject."""
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.Module([], [])
