"""The command line: what it prints where, and how it exits."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from safecall_lint import fixes, visiting
from safecall_lint.cli import COMMANDS, app, quick, run
from safecall_lint.cli.options import Options
from safecall_lint.finding import Finding
from safecall_lint.fixes import Fixed
from safecall_lint.semantics.project import Project
from safecall_lint.source import Source
from safecall_lint.visiting import RuleBroken
from tests.cases import write

CLEAN, FOUND, USAGE, INTERNAL = range(4)


@pytest.fixture
def code(here: Path) -> Path:
    """A folder with one safe and one unsafe fix to carry out."""
    write(here, {"app/m.py": "bad()\nslow()\n", "app/n.py": "x = 1\n"})
    return here


def test_the_exit_code_says_whether_something_was_found(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["app/n.py"]) == CLEAN
    assert capsys.readouterr().out == "no findings in 1 file\n"
    assert run([]) == FOUND
    assert capsys.readouterr().out.endswith(
        "\n1 error, 1 warning in 1 file of 2; 1 fixable with --fix; 1 with --fix --unsafe-fixes\n"
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--exit-zero"], CLEAN),
        (["--fail-on", "error"], FOUND),
        (["--fail-on", "error", "--ignore", "bad-call"], CLEAN),
        (["--fail-on", "warning", "--ignore", "bad-call"], FOUND),
        (["--select", "SCL3", "app"], USAGE),
        (["--slect", "SCL3", "app"], USAGE),
        (["nowhere"], USAGE),
        (["--unsafe-fixes"], USAGE),
        (["--isolated", "--config", "x.toml"], USAGE),
        (["--config", "x.toml"], USAGE),
        (["-", "app"], USAGE),
        (["--explain", "bad-cal"], USAGE),
        (["--explain", "SCL101"], CLEAN),
        (["--version"], CLEAN),
        (["--help"], CLEAN),
        (["rules"], CLEAN),
        (["rules", "--help"], CLEAN),
        (["new"], USAGE),
    ],
)
def test_every_command_line_has_its_exit_code(arguments: list[str], expected: int, code: Path) -> None:
    assert run(arguments) == expected


def test_a_rule_that_fails_is_our_mistake_and_the_rest_is_still_reported(
    code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(code, {"app/m.py": "crash()\nslow()\n", "app/n.py": "fails()\n", "app/o.py": "deep()\n"})
    assert run(["--output-format", "concise", "--exit-zero"]) == INTERNAL
    out, err = capsys.readouterr()
    assert out == (
        "app/m.py:2:1: warning[slow-call] `slow` is called\n"
        "app/o.py:1:1: error[syntax-error] the code is nested too deeply to be analysed\n"
    )
    again = "this is a mistake in safecall-lint, please report it (SAFECALL_LINT_DEBUG=1 tells where)"
    assert err.splitlines() == [
        f"internal error: app/m.py: the check of `bad-call` failed: ValueError: made up; {again}",
        f"internal error: app/n.py: the check failed: ValueError: made up; {again}",
    ]


def test_a_traceback_is_for_those_who_ask_for_it(
    code: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFECALL_LINT_DEBUG", "1")
    write(code, {"app/n.py": "fails()\n"})
    assert run(["app/n.py"]) == INTERNAL
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_fix_that_fails_on_us_does_not_stop_the_run(
    code: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = fixes.fix_source

    def fails(source: Source, *arguments: Any, **keywords: Any) -> Fixed:
        if source.path == "app/m.py":
            raise ValueError("made up\nin two lines")
        return original(source, *arguments, **keywords)

    monkeypatch.setattr(fixes, "fix_source", fails)
    write(code, {"app/m.py": "bad()\n", "app/n.py": "bad()\n"})
    assert run(["--fix"]) == INTERNAL
    assert (code / "app/n.py").read_text() == "good()\n"
    assert "internal error: app/m.py: the check failed: ValueError: made up; this is" in capsys.readouterr().err


def test_a_visitor_that_cannot_be_imported_is_told_once(
    code: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: Source, project: Project, rules: frozenset[str], lenient: object = ()) -> list[Finding]:
        if "bad-call" in rules:
            raise RuleBroken("bad-call", 0, ImportError("made up"))
        return []

    monkeypatch.setattr(visiting, "check", broken)
    write(code, {"app/m.py": "bad()  # noqa: SCL101\n", "app/n.py": "bad()\n"})
    assert run(["app"]) == INTERNAL
    out, err = capsys.readouterr()
    assert err.startswith("internal error: the check of `bad-call` failed: ImportError: made up; ")
    assert (out, len(err.splitlines())) == ("no findings in 2 files\n", 1)


def test_usage_mistakes_are_said_in_one_line_with_the_nearest_word(
    code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["--ignore", "bad-cal"])
    assert (
        capsys.readouterr().err
        == 'error: --ignore: no rule has the name, code or prefix "bad-cal"; the nearest is bad-call\n'
    )
    run(["nowhere"])
    assert capsys.readouterr().err == "error: nowhere: there is no such file or folder\n"
    write(code, {"app/safecall-lint.toml": "\nselekt = []\n"})
    assert run(["app/n.py"]) == USAGE
    assert (
        capsys.readouterr().err
        == "error: app/safecall-lint.toml:2: there is no setting `selekt`; the nearest is `select`\n"
    )


def test_fix_writes_safe_fixes_and_reports_what_is_left(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--fix", "--output-format", "concise"]) == FOUND
    assert (code / "app/m.py").read_text() == "good()\nslow()\n"
    assert capsys.readouterr() == ("app/m.py:2:1: warning[slow-call] `slow` is called\n", "fixed 1 finding in 1 file\n")


def test_unsafe_fixes_go_along_on_request(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--fix", "--unsafe-fixes"]) == CLEAN
    assert (code / "app/m.py").read_text() == "good()\nfast()\n"
    assert capsys.readouterr() == ("no findings in 2 files\n", "fixed 2 findings in 1 file\n")


def test_fix_only_says_nothing_about_what_is_left(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--fix-only"]) == CLEAN
    assert (code / "app/m.py").read_text() == "good()\nslow()\n"
    assert capsys.readouterr().out == ""


def test_a_diff_writes_nothing(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--diff"]) == FOUND
    assert (code / "app/m.py").read_text() == "bad()\nslow()\n"
    out, err = capsys.readouterr()
    assert out == "--- app/m.py\n+++ app/m.py\n@@ -1,2 +1,2 @@\n-bad()\n+good()\n slow()\n"
    assert err == "would fix 1 finding in 1 file\n"
    assert run(["--diff", "app/n.py"]) == CLEAN


def test_a_fix_that_was_taken_back_is_said(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(code, {"app/m.py": "broken()\n"})
    assert run(["--fix"]) == FOUND
    assert "app/m.py:1: the fix of `bad-call` was taken back: the new text does not parse" in capsys.readouterr().err


def standard_input(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_standard_input_is_linted_under_the_name_it_is_given(
    code: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(code, {"lib/safecall-lint.toml": 'ignore = ["bad-call"]\n'})
    standard_input(monkeypatch, "bad()\nslow()\n")
    assert run(["-", "--stdin-filename", "lib/new.py", "--output-format", "concise"]) == FOUND
    assert capsys.readouterr().out == "lib/new.py:2:1: warning[slow-call] `slow` is called\n"


def test_standard_input_is_fixed_onto_standard_output(
    code: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    standard_input(monkeypatch, "bad()\r\nslow()\r\n")
    assert run(["-", "--fix"]) == FOUND
    out, err = capsysbinary.readouterr()
    assert out == b"good()\r\nslow()\r\n"
    assert b"warning[slow-call]: `slow` is called\n --> <stdin>:2:1\n" in err


def test_excluded_standard_input_comes_back_as_it_was(
    code: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    standard_input(monkeypatch, "bad()\n")
    assert run(["-", "--fix", "--stdin-filename", "gen/m.py", "--exclude", "gen"]) == CLEAN
    assert capsysbinary.readouterr().out == b"bad()\n"


def test_json_is_all_that_stands_on_standard_output(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--output-format", "json"]) == FOUND
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == ["bad-call", "slow-call"]


def test_statistics_count_by_rule(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["--statistics"])
    assert capsys.readouterr().out == "1  SCL101  bad-call\n1  SCL201  slow-call\n"


def test_the_command_line_adds_to_the_file_and_select_starts_afresh(
    code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(code, {"safecall-lint.toml": 'ignore = ["bad-call"]\nexclude = ["old.py"]\nprofile = "strict"\n'})
    run(["--show-settings", "--ignore", "SCL2", "--exclude", "gen", "--profile", "all"])
    shown = capsys.readouterr().out
    assert 'ignore = ["bad-call", "SCL2"]' in shown
    assert 'exclude = ["old.py", "gen"]' in shown
    assert 'profile = "all"' in shown
    run(["--show-settings", "--select", "SCL1,SCL2", "--select", "odd-call"])
    shown = capsys.readouterr().out
    assert 'select = ["SCL1", "SCL2", "odd-call"]' in shown
    assert "\nignore = []" in shown


def test_a_settings_file_can_be_named_or_left_aside(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(code, {"safecall-lint.toml": 'ignore = ["ALL"]\n', "ci.toml": 'ignore = ["slow-call"]\n'})
    assert run([]) == CLEAN
    assert run(["--isolated", "--statistics"]) == FOUND
    assert run(["--config", "ci.toml", "--statistics"]) == FOUND
    assert capsys.readouterr().out.splitlines()[-1] == "1  SCL101  bad-call"


def test_the_rules_are_listed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["rules"])
    assert "SCL101  bad-call             error    default  -       a made-up fault" in capsys.readouterr().out
    run(["rules", "--json"])
    assert [rule["code"] for rule in json.loads(capsys.readouterr().out)][:2] == ["SCL101", "SCL201"]


def test_a_page_is_printed_for_a_name_a_code_and_a_prefix(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("bad-call", "SCL101", "SCL1"):
        run(["--explain", word])
        assert capsys.readouterr().out.startswith("# bad-call\n")


def test_the_schema_is_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["schema"])
    assert json.loads(capsys.readouterr().out)["properties"]["clients"]["type"] == "array"


def test_plain_command_lines_need_no_parser_and_the_others_get_one() -> None:
    assert quick.quick(["src", "--fix", "a.py"], COMMANDS) == Options(paths=("src", "a.py"), fix=True)
    assert quick.quick([], COMMANDS) == Options()
    for arguments in (["rules"], ["--select=X"], ["--profile", "all"], ["--", "-"], ["-h"]):
        assert quick.quick(arguments, COMMANDS) is None


def test_the_commands_that_are_named_are_those_that_there_are() -> None:
    assert tuple(one.callback.__name__ for one in app._commands.registered_commands if one.callback) == COMMANDS
