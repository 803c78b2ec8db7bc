"""The frame that a person on call reads."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from safecall_lint.finding import Confidence, Finding, Fix, Label, Safety, Severity
from safecall_lint.reporters import Format, render
from safecall_lint.reporters.lines import text_of
from safecall_lint.reporters.sources import Sources
from safecall_lint.reporters.summary import statistics, summary
from safecall_lint.source import Source

CODE = """\
import asyncio

vendor_slots = asyncio.Semaphore(50)

async def ask():
    async with vendor_slots:
        for attempt in range(4):
            await asyncio.sleep(2 ** attempt)
"""


def sources(**texts: str) -> Sources:
    return Sources({f"{name}.py": Source(f"{name}.py", text) for name, text in texts.items()})


def at(text: str, part: str, path: str = "llm.py") -> Finding:
    source = Source(path, text)
    start = source.utf8.index(part.encode())
    return Finding(
        path=path,
        span=source.span(start, start + len(part.encode())),
        code="SCL203",
        name="bad-call",
        severity=Severity.ERROR,
        confidence=Confidence.HIGH,
        message="a slot is held through up to 7 s of backoff",
    )


def label(text: str, part: str, message: str, path: str = "llm.py") -> Label:
    return Label(path, at(text, part, path).span, message)


def shown(finding: Finding, **texts: str) -> str:
    return text_of(render(Format.FULL, [finding], sources(**texts)))


def frame(finding: Finding, **texts: str) -> list[str]:
    """The lines below the place."""
    return shown(finding, **texts).rstrip("\n").splitlines()[2:]


def test_a_finding_says_what_where_why_and_what_to_do() -> None:
    finding = replace(
        at(CODE, "await asyncio.sleep(2 ** attempt)"),
        label="waits with the slot in hand",
        labels=(label(CODE, "vendor_slots:", "slot taken here, 50 for the whole process"),),
        notes=("1 + 2 + 4 s",),
        help="take the slot inside the loop, around the call",
        fix=Fix("move `async with vendor_slots` into the loop", Safety.SAFE, ()),
    )
    assert (
        shown(finding, llm=CODE)
        == """\
error[bad-call]: a slot is held through up to 7 s of backoff
 --> llm.py:8:13
  |
6 |     async with vendor_slots:
  |                ------------- slot taken here, 50 for the whole process
7 |         for attempt in range(4):
8 |             await asyncio.sleep(2 ** attempt)
  |             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ waits with the slot in hand
  |
  = note: 1 + 2 + 4 s
  = help: take the slot inside the loop, around the call
  = fix: safe, move `async with vendor_slots` into the loop

"""
    )


def test_lines_far_apart_have_a_gap_between_them_and_numbers_share_a_column() -> None:
    code = "a()\n" + "\n" * 9 + "b()\n"
    finding = replace(at(code, "b()"), labels=(label(code, "a()", "first"),))
    assert frame(finding, llm=code) == [
        "   |",
        " 1 | a()",
        "   | --- first",
        "...",
        "11 | b()",
        "   | ^^^",
    ]


def test_labels_of_one_line_hang_below_their_marks() -> None:
    code = "one(two, three)\n"
    finding = replace(
        at(code, "one"),
        label="outer",
        labels=(label(code, "two", "inner"), label(code, "three", "last")),
    )
    assert frame(finding, llm=code) == [
        "  |",
        "1 | one(two, three)",
        "  | ^^^ ---  ----- last",
        "  | |   |",
        "  | |   inner",
        "  | outer",
    ]


def test_marks_inside_each_other_have_rows_of_their_own() -> None:
    code = "one(two)\n"
    finding = replace(at(code, "one(two)"), label="outer", labels=(label(code, "two", "inner"),))
    assert frame(finding, llm=code) == [
        "  |",
        "1 | one(two)",
        "  | ^^^^^^^^ outer",
        "  |     --- inner",
    ]


def test_the_other_half_of_the_cause_may_be_in_another_file() -> None:
    other = "\n\nslots = Semaphore(5)\n"
    finding = replace(at("go()\n", "go()"), labels=(label(other, "Semaphore(5)", "made here", "gates.py"),))
    assert shown(finding, llm="go()\n", gates=other).splitlines()[1:] == [
        " --> llm.py:1:1",
        "  |",
        "1 | go()",
        "  | ^^^^",
        " ::: gates.py:3:9",
        "  |",
        "3 | slots = Semaphore(5)",
        "  |         ------------ made here",
        "",
    ]


@pytest.mark.parametrize(
    ("code", "line", "marks"),
    [
        ("\tif x:\tgo()\n", "    if x:    go()", "             ^^^^"),
        ("x = '\u6f22\u5b57'; go()\n", "x = '\u6f22\u5b57'; go()", "            ^^^^"),
        ("x = 'e\u0301'; go()\n", "x = 'e\u0301'; go()", "         ^^^^"),
        ("x = '\x1b[31m'; go()\n", "x = '\u241b[31m'; go()", "             ^^^^"),
        ("x = '\u202e'; go()\n", "x = '\ufffd'; go()", "         ^^^^"),
    ],
)
def test_marks_stand_under_the_code_and_nothing_steers_the_terminal(code: str, line: str, marks: str) -> None:
    assert frame(at(code, "go()"), llm=code) == ["  |", f"1 | {line}", f"  | {marks}"]


def test_a_range_of_several_lines_is_marked_on_its_first() -> None:
    code = "go(\n    1,\n)\n"
    assert frame(at(code, code.strip()), llm=code) == ["  |", "1 | go(", "  | ^^^"]


def test_a_very_long_line_is_cut_around_its_mark() -> None:
    code = f"x = '{'a' * 5000}'; go(); y = '{'b' * 5000}'\n"
    _, line, marks = frame(replace(at(code, "go()"), label="here"), llm=code)
    assert len(line) < 200
    assert line[4] == line[-1] == "…"
    assert line[marks.index("^") : marks.index("here") - 1] == "go()"


def test_a_place_without_a_text_is_still_named() -> None:
    assert shown(replace(at("go()\n", "go()"), path="gone.py")).splitlines() == [
        "error[bad-call]: a slot is held through up to 7 s of backoff",
        " --> gone.py:1:1",
        "",
    ]


def test_an_unsafe_fix_says_what_it_risks() -> None:
    finding = replace(at("go()\n", "go()"), fix=Fix("call it once", Safety.UNSAFE, (), "callers see one error"))
    assert frame(finding, llm="go()\n")[-1] == "  = fix: unsafe, call it once (callers see one error)"


def test_concise_is_one_line_a_finding() -> None:
    finding = replace(at("go()\n", "go()"), labels=(label("go()\n", "go", "x"),))
    assert text_of(render(Format.CONCISE, [finding], sources())) == (
        "llm.py:1:1: error[bad-call] a slot is held through up to 7 s of backoff\n"
    )


def test_the_summary_counts_and_says_what_a_fix_would_take_away() -> None:
    one = at("go()\n", "go()")
    safe, unsafe = (replace(one, fix=Fix("x", safety, ())) for safety in (Safety.SAFE, Safety.UNSAFE))
    warning = replace(unsafe, severity=Severity.WARNING, path="b.py", code="SCL101", name="odd-call")
    assert text_of([summary([], 12)]) == "no findings in 12 files\n"
    assert text_of([summary([one], 1)]) == "1 error in 1 file of 1\n"
    assert text_of([summary([one, safe, warning], 1893)]) == (
        "2 errors, 1 warning in 2 files of 1893; 1 fixable with --fix; 1 with --fix --unsafe-fixes\n"
    )
    assert text_of(statistics([warning, one, one])) == "2  SCL203  bad-call\n1  SCL101  odd-call\n"
