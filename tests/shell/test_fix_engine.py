"""The fix engine keeps only what it has verified, and loses nothing on the way."""

from __future__ import annotations

import pytest

from safecall_lint import fix
from safecall_lint.engine import Linter
from safecall_lint.fixes import Fixed, fix_source, unified
from safecall_lint.settings import Settings
from safecall_lint.source import Source

ALL = Settings(profile="all")


def fixed(text: str, unsafe: bool = False, encoding: str = "utf-8") -> Fixed:
    return fix_source(Source("m.py", text, encoding), Linter(ALL).source, unsafe=unsafe)


def test_only_safe_fixes_are_carried_out_unasked() -> None:
    assert fix("bad()\nslow()\nshown()\n") == "good()\nslow()\nshown()\n"


def test_unsafe_fixes_are_carried_out_on_request_and_shown_ones_never() -> None:
    assert fixed("bad()\nslow()\nshown()\n", unsafe=True).source.text == "good()\nfast()\nshown()\n"


def test_what_is_left_is_reported() -> None:
    done = fixed("bad()\nslow()\n")
    assert [one.name for one in done.applied] == ["bad-call"]
    assert [one.name for one in done.report.findings] == ["slow-call"]


def test_many_fixes_of_one_file_are_carried_out_together() -> None:
    assert fix("bad(bad(), bad())\n" * 20) == "good(good(), good())\n" * 20


def test_an_import_that_several_fixes_need_is_written_once() -> None:
    assert fix("needs()\nneeds()\n") == "import x\nx.good()\nx.good()\n"


def test_fixes_that_lead_to_one_another_are_followed_to_the_end() -> None:
    assert fixed("chain()\n", unsafe=True).rejected
    assert fixed("chain(slow())\n", unsafe=True).source.text == "chain(fast())\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("broken()\n", "does not parse"),
        ("stubborn()\n", "`bad-call` is still reported"),
        ("worse()\n", "a new `slow-call`"),
        ("eraser()  # keep me\n", "lost the comment `# keep me`"),
    ],
)
def test_a_fix_that_does_not_hold_is_taken_back_and_the_others_stand(source: str, reason: str) -> None:
    done = fixed(f"bad()\n{source}bad()\n")
    assert done.source.text == f"good()\n{source}good()\n"
    (rejected,) = done.rejected
    assert reason in rejected.reason


def test_of_two_alike_the_one_that_holds_is_fixed() -> None:
    done = fixed("eraser()  # keep me\neraser()\nworse()\neraser()\neraser()  # me too\n")
    assert done.source.text == "eraser()  # keep me\nworse()\neraser()  # me too\n"
    assert len(done.rejected) == 3


def test_a_fix_that_the_encoding_cannot_hold_is_taken_back() -> None:
    done = fixed("# coding: ascii\nforeign()\nbad()\n", encoding="ascii")
    assert done.source.text == "# coding: ascii\nforeign()\ngood()\n"
    assert "ascii" in done.rejected[0].reason


def test_a_safe_fix_may_delete_a_line_that_has_no_comment() -> None:
    assert fix("# stays\neraser()\nx = 1  # stays too\n") == "# stays\nx = 1  # stays too\n"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_inserted_lines_end_as_the_file_s_own_do(newline: str) -> None:
    source = f"x = 1{newline}needs()"
    assert fix(source) == f"import x{newline}x = 1{newline}x.good()"


def test_fixing_twice_is_fixing_once() -> None:
    once = fixed("needs(bad())\nworse()\nslow()\n", unsafe=True).source.text
    assert fixed(once, unsafe=True).source.text == once


def test_a_rule_that_fails_on_the_new_text_takes_the_fix_back() -> None:
    assert fixed("bad()\ncrash()\n").source.text == "bad()\ncrash()\n"


def test_a_suppressed_finding_is_not_fixed() -> None:
    source = "bad()  # safecall: ignore[bad-call] known\n"
    assert fix(source) == source


def test_a_diff_can_be_given_to_patch() -> None:
    before, after = Source("a/m.py", "x = 1\nbad()"), Source("a/m.py", "x = 1\ngood()")
    assert unified(before, after).splitlines() == [
        "--- a/m.py",
        "+++ a/m.py",
        "@@ -1,2 +1,2 @@",
        " x = 1",
        "-bad()",
        "\\ No newline at end of file",
        "+good()",
        "\\ No newline at end of file",
    ]


def test_rewritten_lines_end_as_their_own_place_does() -> None:
    source = "x = 1\nbad()\r\nneeds()\r\ny = 2\n"
    assert fix(source) == "import x\nx = 1\ngood()\r\nx.good()\r\ny = 2\n"


def test_what_only_the_strict_profile_shows_takes_no_fix_back() -> None:
    done = fixed("odder()\n")
    assert done.source.text == "odd()\n"
    assert [one.name for one in done.report.findings] == ["odd-call"]


def test_a_fix_that_another_one_made_possible_is_carried_out_in_the_same_run() -> None:
    assert fixed("bad(first())\nfirst()\n").source.text == "good(good())\ngood()\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import time\n\nimport x\n\nidle(time)\nx()\n", "import x\n\ngood()\nx()\n"),
        ("import os\nimport time\n\n\nidle(time)\nos\n", "import os\n\n\ngood()\nos\n"),
        ("import os\n\nimport time\n\n\nidle(time)\nos\n", "import os\n\n\ngood()\nos\n"),
        ("from x import one, time, two\nidle(time)\none, two\n", "from x import one, two\ngood()\none, two\n"),
        (
            "from x import (\n    one,\n    time,\n)\n\nidle(time)\none\n",
            "from x import (\n    one,\n)\n\ngood()\none\n",
        ),
        ("def f():\n    import time\n\n    idle(time)\n", "def f():\n    good()\n"),
        (
            "def f():\n    import time\n    idle(time)\n\nimport time\ntime\n",
            "def f():\n    good()\n\nimport time\ntime\n",
        ),
    ],
)
def test_an_import_that_lost_its_last_use_goes_with_it(before: str, after: str) -> None:
    assert fixed(before).source.text == after


@pytest.mark.parametrize(
    "source",
    [
        "import time\nimport never\nidle(time)\ntime\n",
        "import time  # for its zone\nidle(time)\n",
        "import time as time\nidle(time)\n",
        "from x import time\n__all__ = ['time']\nidle(time)\n",
        "from x import time\ndef f(x: 'time.T'): ...\nidle(time)\n",
        "try:\n    import time\nexcept ImportError:\n    time = None\nidle(time)\n",
        "import time; import os\nidle(time)\nos\n",
    ],
)
def test_an_import_that_may_have_another_use_stays(source: str) -> None:
    call = next(line for line in source.splitlines() if line.startswith("idle("))
    assert fixed(source).source.text == source.replace(call, "good()")


def test_a_package_imports_for_others() -> None:
    source = Source("m/__init__.py", "import time\nidle(time)\n")
    assert fix_source(source, Linter(ALL).source).source.text == "import time\ngood()\n"
