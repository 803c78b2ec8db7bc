"""Files that nobody would write, and that somebody will feed to us: a clean message, within bounds, and no crash."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from safecall_lint import source as source_module
from safecall_lint import visiting
from safecall_lint.cli import run
from safecall_lint.engine import Linter
from safecall_lint.settings import Settings
from safecall_lint.source import Source
from safecall_lint.visiting import RuleCrash

UNREADABLE = {
    "a bracket without end": b"bad(" * 1000,
    "brackets too deep": b"(" * 5000 + b")" * 5000,
    "operators too deep": b"x = " + b"-" * 200_000 + b"1\n",
    "attributes too deep": b"x = a" + b".b" * 50_000 + b"\n",
    "calls too deep": b"x = a" + b"()" * 50_000 + b"\n",
    "sums too deep": b"x = " + b"1+" * 100_000 + b"1\n",
    "NUL bytes": b"bad()\0\n",
    "bytes that are no UTF-8": b"bad()\n# \xff\n",
    "an encoding that nobody knows": b"# coding: klingon\nbad()\n",
    "an encoding that is no text": b"# coding: base64\nbad()\n",
    "an encoding that always fails": b"# coding: undefined\nbad()\n",
    "an encoding that contradicts the mark": b"\xef\xbb\xbf# coding: latin-1\nbad()\n",
    "UTF-16": "bad()\n".encode("utf-16"),
}


@pytest.mark.parametrize("raw", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_file_that_cannot_be_analysed_is_one_error_with_its_reason(
    raw: bytes, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "m.py").write_bytes(raw)
    assert run(["m.py"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("error[syntax-error]: ")
    assert err == ""
    assert len(out) < 2000


def test_syntax_that_does_not_parse_tells_which_python_read_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "m.py").write_bytes(b"bad()\nof the future = 1\n")
    assert run(["m.py"]) == 1
    version = ".".join(str(part) for part in sys.version_info[:2])
    assert f"^ read by Python {version}, which does not know newer syntax" in capsys.readouterr().out


def test_a_rule_that_runs_out_of_stack_says_so(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_deep(*_: object) -> None:
        raise RuleCrash("bad-call", 1, RecursionError())

    monkeypatch.setattr(visiting, "check", too_deep)
    report = Linter(Settings()).source(Source("m.py", "bad()\n"))
    assert [finding.name for finding in report.findings] == ["syntax-error"]
    assert not report.crashes


HARMLESS = {
    "an empty file": b"",
    "only a mark": b"\xef\xbb\xbf",
    "only newlines": b"\r\r\n\n\f\n",
    "a huge literal": b"x = '" + b"a" * 2_000_000 + b"'\n",
    "a huge number": b"x = 0x" + b"f" * 1_000_000 + b"\n",
    "a wide list": b"x = [" + b"1," * 50_000 + b"]\n",
    "a lone surrogate": b"x = '\\ud800'\n",
    "comments without end": b"# noqa: " + b"A1," * 10_000 + b"\n# safecall: ignore[" + b"[" * 10_000 + b"\n",
}


@pytest.mark.parametrize("raw", HARMLESS.values(), ids=HARMLESS.keys())
def test_an_odd_file_is_just_a_file(raw: bytes, here: Path) -> None:
    (here / "m.py").write_bytes(raw)
    report = Linter(Settings()).file("m.py")
    assert not report.crashes
    assert {finding.name for finding in report.findings} <= {"unknown-suppression"}


def test_a_file_too_large_to_analyse_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "MAX_BYTES", 1_000_000)
    (here / "m.py").write_bytes(b"#" * 1_000_001)
    (finding,) = Linter(Settings()).file("m.py").findings
    assert finding.message == "the file is larger than 1 MB, so it was not analysed"


def test_what_is_no_file_is_not_waited_for(here: Path) -> None:
    os.mkfifo(here / "pipe.py")
    (finding,) = Linter(Settings()).file("pipe.py").findings
    assert finding.message == "this is not a regular file, so it was not analysed"


def test_a_link_to_itself_is_said(here: Path) -> None:
    (here / "m.py").symlink_to("m.py")
    (finding,) = Linter(Settings()).file("m.py").findings
    assert finding.message.startswith("the file cannot be read: ")


def test_a_file_that_vanishes_meanwhile_is_said(here: Path) -> None:
    (finding,) = Linter(Settings()).file("gone.py").findings
    assert finding.message == "the file cannot be read: No such file or directory"


def test_a_pipe_beside_the_code_is_never_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    os.mkfifo(tmp_path / "z.py")
    (tmp_path / "m.py").write_text("import httpx\nfrom z import x\nc = httpx.AsyncClient()\n")
    assert run([str(tmp_path / "m.py"), "--isolated"]) in (0, 1)


def test_a_table_of_ours_that_is_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nsafecall-lint = 3\n")
    (tmp_path / "a.py").write_text("")
    assert run([str(tmp_path / "a.py")]) == 2
    assert "pyproject.toml:2" in capsys.readouterr().err
