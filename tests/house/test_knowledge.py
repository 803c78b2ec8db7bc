"""Every fact that the loader takes is described, and nothing else is; what it does not know, it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from safecall_lint.knowledge import TABLES, ExceptionFact, Fact, KnowledgeError, assemble, knowledge

PAGE = (Path(__file__).parents[2] / "docs" / "knowledge.md").read_text("utf-8")
GIVEN = {"name", "library"}


def described(heading: str) -> set[str]:
    """The words in backticks in the first column of the tables below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def test_each_field_of_a_symbol_is_described() -> None:
    known = {name.replace("_", "-") for name in Fact.__struct_fields__ if name not in GIVEN}
    assert described("A symbol") == known | {"also"}


def test_each_field_of_an_exception_is_described() -> None:
    assert described("An exception") == set(ExceptionFact.__struct_fields__) - GIVEN


def test_each_key_of_a_file_is_described() -> None:
    assert described("The file") == set(TABLES)


def test_each_kind_is_described() -> None:
    section = PAGE.split("\n## Kinds\n")[1]
    assert {fact.kind for fact in knowledge().facts.values()} <= set(re.findall(r"`([^`]+)`", section))


@pytest.mark.parametrize(
    "document",
    [
        {"symbols": {"x.Client": {"kind": "client", "colour": "red"}}},
        {"symbols": {"x.Client": {"style": "async"}}},
        {"symbols": {"x.Client": {"kind": "client", "calls": "get"}}},
        {"exceptions": {"x.Error": {"base": []}}},
        {"symbol": {}},
    ],
    ids=["unknown field", "no kind", "no list", "unknown key of an exception", "unknown table"],
)
def test_what_is_not_in_the_schema_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(KnowledgeError):
        assemble({"x": document})


def test_what_the_tables_name_is_in_the_tables() -> None:
    """A fact that points to another symbol or exception points to one that exists."""
    tables = knowledge()
    known = {*tables.facts, *tables.exceptions, *tables.aliases}
    for name, fact in tables.facts.items():
        raised = (fact.timeout_exception, fact.overload_exception, fact.status_exception, fact.base_exception)
        for other in (*raised, *fact.transient, *fact.on_default, *filter(None, [fact.returns])):
            assert not other or other.startswith("builtins.") or other in known, f"{name}: {other}"
    for name, row in tables.exceptions.items():
        for base in row.bases:
            assert base.startswith("builtins.") or base in known, f"{name}: {base}"
