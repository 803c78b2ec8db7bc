"""The pages of docs/runtime: their code runs, in virtual time, and their links lead somewhere."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from safecall_lint.runtime import testing

PAGES = Path(__file__).parents[2] / "docs" / "runtime"
TESTS = Path(__file__).parent
LAYERS = [
    "index",
    "slots",
    "rate",
    "timeouts",
    "retry",
    "breaker",
    "transports",
    "streams",
    "cleanup",
    "migration",
    "settings",
]


def code_of(page: str) -> list[str]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", LAYERS)
def test_the_code_of_a_page_runs(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "run", testing.run)
    namespace: dict[str, Any] = {"__name__": page}
    blocks = code_of(page)
    assert blocks
    for block in blocks:
        exec(compile(block, f"{page}.md", "exec"), namespace)  # noqa: S102 (our own documentation)


@pytest.mark.parametrize("path", sorted(PAGES.glob("*.md")), ids=lambda path: path.name)
def test_the_links_of_a_page_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_every_page_with_code_is_run_by_a_test() -> None:
    runs = {*LAYERS, "testing", "observability", "sizing", "sdks"}
    assert {path.stem for path in PAGES.glob("*.md") if code_of(path.stem)} == runs


def test_the_measured_part_of_the_benchmarks_stands_between_its_two_markers() -> None:
    page = (PAGES / "benchmarks.md").read_text(encoding="utf-8")
    before, measured, after = re.split(r"<!-- measured: (?:begin|end) -->\n", page)
    scripts = {path.stem for path in (PAGES.parents[1] / "bench" / "runtime").glob("*.py")} - {"all", "table"}
    assert {name for name in scripts if f"`{name}.py`" in measured} == scripts
    assert before
    assert not after


def test_every_row_of_a_checklist_names_a_test_or_a_page() -> None:
    rows = re.findall(r"^\| (?!item |---)(.+?) \| (.+) \|$", (PAGES / "checklists.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 27
    assert [item for item, settled in rows if not re.search(r"`test_\w+\.py::\w+`|\]\([\w.#-]+\)", settled)] == []


def test_every_test_that_a_checklist_names_exists() -> None:
    named = re.findall(r"`(test_\w+)\.py::(\w+)`", (PAGES / "checklists.md").read_text(encoding="utf-8"))
    assert len(named) > 15
    for module, test in named:
        assert f"def {test}(" in (TESTS / f"{module}.py").read_text(encoding="utf-8"), test
