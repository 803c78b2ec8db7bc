"""What a suppression covers, exactly; and what is said about one that covers nothing."""

from __future__ import annotations

import re

import pytest

from safecall_lint import fix, lint
from safecall_lint.settings import Settings

ALL = Settings(profile="all")


def reported(source: str, settings: Settings = ALL) -> list[tuple[str, int]]:
    return [(finding.name, finding.span.line) for finding in lint(source, settings)]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("bad()  # safecall: ignore[bad-call] known\n", id="by name"),
        pytest.param("bad()  # safecall: ignore[SCL101]\n", id="by code"),
        pytest.param("bad(slow())  #safecall:ignore[ slow-call , bad-call ]\n", id="in a list, loosely spaced"),
        pytest.param("bad()  # noqa: SCL101\n", id="noqa by code"),
        pytest.param("bad()  # NOQA:E501,scl101\n", id="noqa in a mixed list, in any case"),
        pytest.param("bad()  # type: ignore  # noqa: SCL101\n", id="behind another comment"),
        pytest.param("# safecall: ignore[bad-call]\nbad()\n", id="on its own line above"),
        pytest.param("# safecall: ignore[bad-call]\n# noqa: SCL201\n\nbad(slow())\n", id="two above, with a gap"),
        pytest.param("f(\n    bad(),\n    1,\n)  # safecall: ignore[bad-call]\n", id="at the end of a long statement"),
        pytest.param("f(  # safecall: ignore[bad-call]\n    1,\n    bad(),\n)\n", id="at its start"),
        pytest.param("f(\n    # safecall: ignore[bad-call]\n    1,\n    bad(),\n)\n", id="on its own line inside it"),
        pytest.param("x = '''\n''', bad()  # safecall: ignore[bad-call]\n", id="behind a string of two lines"),
        pytest.param("if bad():  # safecall: ignore[bad-call]\n    pass\n", id="on a header"),
        pytest.param("# safecall: ignore[bad-call]\n@dec\ndef f(a=bad()):\n    pass\n", id="above a decorator"),
        pytest.param("x = 1\n# safecall: ignore-file[bad-call] generated\nbad()\n", id="the whole file"),
        pytest.param("def f():\n    return bad()  # safecall: ignore[bad-call]\n", id="in a body, indented"),
        pytest.param("x = 'ü'; bad()  # safecall: ignore[bad-call] wie üblich\n", id="beyond ASCII"),
    ],
)
def test_a_suppression_silences(source: str) -> None:
    assert reported(re.sub("#.*", "#", source))
    assert reported(source) == []


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("# safecall: ignore[bad-call]\nif x:\n    bad()\n", id="a body below its header"),
        pytest.param("if x:  # noqa: SCL101\n    bad()\n", id="a body behind its header"),
        pytest.param("# safecall: ignore[bad-call]\npass\nbad()\n", id="the statement after the next"),
        pytest.param("bad()\n# safecall: ignore[bad-call]\n", id="the statement before"),
        pytest.param("bad()  # safecall: ignore[slow-call]\n", id="another rule"),
        pytest.param("bad('# safecall: ignore[bad-call]')\n", id="from within a string"),
        pytest.param("bad()  # noqa\n", id="bare noqa"),
        pytest.param("# noqa\nbad()\n", id="bare noqa above"),
        pytest.param("bad()  # safecall: ignore\n", id="every rule at once"),
        pytest.param("bad()  # safecall: ignore[]\n", id="an empty list"),
        pytest.param("bad()  # safecall: ignore-file[bad-call]\n", id="the file, from behind code"),
        pytest.param("bad()  # flake8: noqa-ish\n", id="what only looks like it"),
    ],
)
def test_a_suppression_does_not_silence(source: str) -> None:
    assert "bad-call" in [name for name, _ in reported(source)]


def test_a_suppression_that_silences_nothing_is_reported() -> None:
    assert reported("x = 1\ngood()  # safecall: ignore[bad-call]\n") == [("unused-suppression", 2)]
    assert reported("good()  # noqa: SCL101\n") == [("unused-suppression", 1)]
    assert reported("# safecall: ignore-file[bad-call]\n") == [("unused-suppression", 1)]


def test_nobody_can_tell_whether_a_suppression_of_a_rule_that_did_not_run_is_used() -> None:
    assert reported("odd()  # safecall: ignore[odd-call]\n", Settings()) == []
    assert reported("good()  # safecall: ignore[bad-call]\n", Settings(select=("slow-call", "SCL9"))) == []


def test_a_bare_noqa_and_the_codes_of_other_tools_are_left_alone() -> None:
    assert reported("good()  # noqa\ngood()  # noqa: E501, S113\ngood()  # noqa because\n") == []


def test_a_suppression_that_names_no_rule_is_reported_with_the_nearest_name() -> None:
    finding, unsuppressed = lint("bad()  # safecall: ignore[bad-cal]\n", ALL)[::-1]
    assert (finding.name, finding.span.column, finding.help) == ("unknown-suppression", 27, "write `bad-call`")
    assert unsuppressed.name == "bad-call"
    assert reported("good()  # noqa: SCL999\n") == [("unknown-suppression", 1)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("good()  # safecall: ignore[bad-call] known\n", "good()\n"),
        ("good()  # safecall: ignore[bad-call] see #12\n", "good()\n"),
        ("if x:\n    # safecall: ignore[bad-call]\n    good()\n", "if x:\n    good()\n"),
        ("f(  # safecall: ignore[bad-call]\n    1,\n)\n", "f(\n    1,\n)\n"),
        ("good()  # type: ignore  # safecall: ignore[bad-call]\n", "good()  # type: ignore\n"),
        ("good()  # safecall: ignore[bad-call] known # noqa: E501\n", "good()  # noqa: E501\n"),
        ("good()  # safecall: ignore[bad-call]  # words\n", "good()  # words\n"),
        ("bad()  # safecall: ignore[slow-call, bad-call] known\n", "bad()  # safecall: ignore[bad-call] known\n"),
        ("bad()  # safecall: ignore[bad-call, slow-call, odd-call]\n", "bad()  # safecall: ignore[bad-call]\n"),
        ("good()  # noqa: SCL101, E501\n", "good()  # noqa: E501\n"),
        ("good()  # noqa: E501, SCL101 long\n", "good()  # noqa: E501 long\n"),
        ("good()  # noqa: SCL101 because\n", "good()  # because\n"),
        ("# safecall: ignore-file[bad-call]\r\ngood()\r\n", "good()\r\n"),
        ("good()  # safecall: ignore[bad-call]", "good()"),
    ],
)
def test_fixing_deletes_our_part_of_a_comment_and_nothing_else(before: str, after: str) -> None:
    assert fix(before, ALL) == after


def test_a_file_that_does_not_parse_has_no_suppressions() -> None:
    assert reported("bad(  # safecall: ignore[syntax-error]\n") == [("syntax-error", 1)]
