"""The coverage page is computed, and the figures it takes from `docs/evidence.toml` belong to rules that exist."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from safecall_lint.rulebook import rulebook

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS / "build"))
    return importlib.import_module("coverage_page")


def test_the_evidence_has_a_line_for_each_rule_in_order(page: ModuleType) -> None:
    assert list(page.evidence()) == [rule.code for rule in rulebook().values() if not rule.engine]


def test_each_figure_is_in_proportion(page: ModuleType) -> None:
    for code, row in page.evidence().items():
        if row is not None:
            assert 0 <= row.false <= row.read, code
            assert 1 <= row.repositories <= row.read, code


def test_each_rule_has_a_row_with_its_figures(page: ModuleType) -> None:
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in page.table().splitlines()}
    measured = page.evidence()
    for rule in rulebook().values():
        cells = [cell.strip() for cell in rows[rule.code].strip("|").split("|")]
        row = measured.get(rule.code)
        assert cells[1:4] == [f"[{rule.name}](rules/{rule.name}.md)", rule.profile, rule.severity]
        assert cells[-3:] == ([str(row.read), str(row.false), str(row.repositories)] if row else ["", "", ""])
