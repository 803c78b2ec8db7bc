"""Which findings are shown: profile, selection, files, tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from safecall_lint import rulebook as rulebook_module
from safecall_lint.engine import Linter
from safecall_lint.rulebook import rulebook
from safecall_lint.settings import Settings
from safecall_lint.source import Source

CODE = "bad()\nslow()\nodd()\nweird()\n"
BAD, SLOW, ODD, WEIRD = "bad()", "slow()", "odd()", "weird()"


def shown(settings: Settings, path: str = "app/m.py", code: str = CODE) -> list[str]:
    findings = Linter(settings).source(Source(path, code)).findings
    return [code.splitlines()[finding.span.line - 1] for finding in findings]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), [BAD, SLOW]),
        (Settings(profile="strict"), [BAD, SLOW, ODD, WEIRD]),
        (Settings(profile="all"), [BAD, SLOW, ODD, WEIRD]),
        (Settings(select=("SCL2",)), [SLOW, ODD]),
        (Settings(select=("scl2",)), [SLOW, ODD]),
        (Settings(select=("slow-call",)), [SLOW, WEIRD]),
        (Settings(select=("SCL201",)), [SLOW, WEIRD]),
        (Settings(select=("ALL",)), [BAD, SLOW, ODD]),
        (Settings(extend_select=("odd-call",)), [BAD, SLOW, ODD]),
        (Settings(ignore=("SCL2",)), [BAD]),
        (Settings(ignore=("bad-call",)), [SLOW]),
        (Settings(select=("SCL201",), ignore=("SCL2",)), [SLOW, WEIRD]),
        (Settings(select=("SCL2",), ignore=("slow-call",)), [ODD]),
        (Settings(extend_select=("SCL201",), ignore=("ALL",)), [SLOW, WEIRD]),
    ],
)
def test_the_more_exact_word_wins_and_strict_findings_need_the_profile_or_their_name(
    settings: Settings, expected: list[str]
) -> None:
    assert shown(settings) == expected


def test_rules_can_be_off_in_some_files(here: Path) -> None:
    settings = Settings(per_file_ignores=(("scripts/*.py", ("SCL1",)), ("m.py", ("slow-call",))))
    assert shown(settings, "scripts/m.py") == []
    assert shown(settings, "scripts/n.py") == [SLOW]
    assert shown(settings, "app/n.py") == [BAD, SLOW]


@pytest.mark.parametrize("path", ["tests/m.py", "a/test/m.py", "test_m.py", "m_test.py", "a/conftest.py"])
def test_test_files_get_errors_only(path: str, here: Path) -> None:
    assert shown(Settings(), path) == [BAD]
    assert shown(Settings(tests="all"), path) == [BAD, SLOW]
    assert shown(Settings(profile="all"), path) == [BAD, SLOW, ODD, WEIRD]


def test_test_files_get_nothing_of_a_rule_whose_page_says_so(here: Path) -> None:
    page = rulebook_module.pages_folder() / "bad-call.md"
    page.write_text(page.read_text("utf-8").replace("since =", "tests = false\nsince ="), "utf-8")
    rulebook.cache_clear()
    assert shown(Settings(), "tests/m.py") == []
    assert shown(Settings(tests="all"), "tests/m.py") == [BAD, SLOW]
    assert shown(Settings(), "app/m.py") == [BAD, SLOW]


def test_a_file_with_the_shape_of_a_test_is_one(here: Path) -> None:
    tests = "import pytest\n\ndef test_it():\n    slow()\n"
    assert shown(Settings(), "app/m.py", tests) == []
    assert shown(Settings(), "app/m.py", tests.replace("test_it", "it")) == ["    slow()"]


def test_a_folder_above_the_project_s_root_makes_no_test(here: Path) -> None:
    root = here / "tests" / "app"
    assert shown(Settings(root=root), str(root / "m.py")) == [BAD, SLOW]


def test_a_file_that_does_not_parse_is_reported_whatever_is_selected() -> None:
    broken = "x = (\n"
    assert shown(Settings(select=("bad-call",)), code=broken) == ["x = ("]
    assert shown(Settings(ignore=("ALL",)), code=broken) == []
    assert shown(replace(Settings(), per_file_ignores=(("*.py", ("SCL900",)),)), code=broken) == []


def test_a_rule_that_fails_is_named_and_the_others_still_speak() -> None:
    report = Linter(Settings()).source(Source("m.py", "crash()\nslow()\n"))
    assert [finding.name for finding in report.findings] == ["slow-call"]
    assert [(crash.path, crash.rule) for crash in report.crashes] == [("m.py", "bad-call")]
