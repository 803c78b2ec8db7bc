"""A fixed file is the same file: bytes that no fix meant to change, its mode, its link."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from safecall_lint.engine import Linter
from safecall_lint.fixes import fix_source, write
from safecall_lint.settings import Settings
from safecall_lint.source import Source, SourceError, read


def fix_file(path: Path) -> None:
    before = read(str(path))
    write(before, fix_source(before, Linter(Settings()).source).source)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"bad()\r\nx = 1\r\n", b"good()\r\nx = 1\r\n", id="Windows newlines"),
        pytest.param(b"x = 1\r\ny = 2\nbad()\n", b"x = 1\r\ny = 2\ngood()\n", id="mixed newlines"),
        pytest.param(b"bad()", b"good()", id="no newline at the end"),
        pytest.param(b"\xef\xbb\xbfbad()\n", b"\xef\xbb\xbfgood()\n", id="a byte order mark"),
        pytest.param(
            b"# coding: latin-1\nx = '\xfc'; bad()\n", b"# coding: latin-1\nx = '\xfc'; good()\n", id="Latin-1"
        ),
        pytest.param(b"x = '\xc3\xbc'; bad()\n", b"x = '\xc3\xbc'; good()\n", id="UTF-8"),
        pytest.param(b"if x:\n\tbad()\t# tab\n\f\n", b"if x:\n\tgood()\t# tab\n\f\n", id="tabs and form feeds"),
    ],
)
def test_bytes_outside_the_fix_stay(before: bytes, after: bytes, here: Path) -> None:
    (here / "m.py").write_bytes(before)
    fix_file(here / "m.py")
    assert (here / "m.py").read_bytes() == after


def test_the_mode_stays(here: Path) -> None:
    path = here / "m.py"
    path.write_text("bad()\n")
    path.chmod(0o754)
    fix_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o754


def test_a_link_stays_a_link_and_its_target_is_fixed(here: Path) -> None:
    (here / "real.py").write_text("bad()\n")
    (here / "link.py").symlink_to("real.py")
    fix_file(here / "link.py")
    assert (here / "link.py").is_symlink()
    assert (here / "real.py").read_text() == "good()\n"


def test_a_file_that_somebody_changed_meanwhile_is_left_alone(here: Path) -> None:
    path = here / "m.py"
    path.write_text("mine\n")
    with pytest.raises(SourceError, match="changed while"):
        write(Source(str(path), "bad()\n"), Source(str(path), "good()\n"))
    assert path.read_text() == "mine\n"


def test_a_write_that_fails_leaves_the_file_and_no_litter(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = here / "m.py"
    path.write_text("bad()\n")

    def refuse(old: str, new: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(SourceError, match="cannot be written: Permission denied"):
        fix_file(path)
    assert (path.read_text(), os.listdir(here)) == ("bad()\n", ["m.py"])
