"""The cache as the command line has it: where it lies, who may break it, and what it never does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from safecall_lint.cache import NAME, folder
from safecall_lint.cli import run
from tests.cases import write

COMMAND = [sys.executable, "-m", "safecall_lint"]
FILES = {"a.py": "bad()\n", "b.py": "good()\n", "lib/c.py": "slow()\nodd()\n"}
BROKEN = "import httpx\nx = (\n"


@pytest.fixture
def project(here: Path) -> Path:
    write(here, {"pyproject.toml": "", **FILES})
    return here


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run([*arguments, "."])
    return code, *capsys.readouterr()


def cache_file(project: Path) -> Path:
    (path,) = (project / NAME).glob("*.json")
    return path


@pytest.mark.parametrize("format", ["full", "concise", "json", "github", "sarif"])
def test_every_format_says_the_same_from_the_cache(
    format: str, project: Path, linted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fresh = output(capsys, "--no-cache", "--output-format", format)
    first = output(capsys, "--output-format", format)
    linted.clear()
    assert output(capsys, "--output-format", format) == first == fresh
    assert linted == []


def test_the_cache_lies_in_the_project_and_out_of_the_way(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chdir("lib")
    output(capsys)
    assert (project / NAME / ".gitignore").read_text() == "*\n"
    assert (project / NAME / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert not Path(NAME).exists()


def test_without_a_cache_nothing_is_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output(capsys, "--no-cache")
    assert not (project / NAME).exists()


def test_without_a_cache_nothing_is_taken_from_one(
    project: Path, linted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    output(capsys)
    linted.clear()
    output(capsys, "--no-cache")
    assert len(linted) == 3


def test_the_command_line_and_the_settings_say_where_it_lies(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output(capsys, "--cache-dir", "kept/here")
    assert list((project / "kept/here").glob("*.json"))
    write(project, {"safecall-lint.toml": 'cache-dir = "kept/there"\n'})
    os.chdir("lib")
    output(capsys)
    assert list((project / "kept/there").glob("*.json"))
    assert not (project / NAME).exists()


def test_a_cache_folder_that_is_a_file_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "--cache-dir", "a.py") == (2, "", "error: --cache-dir: a.py is not a folder\n")
    write(project, {"safecall-lint.toml": 'cache-dir = "a.py"\n'})
    code, _, err = output(capsys)
    assert (code, err) == (2, f"error: `cache-dir`: {project}/a.py is not a folder\n")


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(2000))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _bit(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _other_version(path: Path) -> None:
    body = folder.read(path)
    assert body
    folder.write(path, re.sub(rb'"\[\d+, ', b'"[0, ', body, count=1))


def _nested(path: Path) -> None:
    folder.write(path, b"[" * 100_000)


def _other_shape(path: Path) -> None:
    folder.write(path, b'[{"x": [1]}, 3]')


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [_garbage, _cut, _bit, _emptied, _other_version, _nested, _other_shape, _a_folder])
def test_a_cache_that_cannot_be_used_is_no_cache(
    damage: Callable[[Path], None], project: Path, linted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = output(capsys)
    damage(cache_file(project))
    linted.clear()
    assert output(capsys) == first
    assert len(linted) == 3


def test_a_folder_that_cannot_be_written_to_is_no_error(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = output(capsys, "--no-cache")
    assert output(capsys, "--cache-dir", "/proc/cache") == fresh
    (project / NAME).write_text("in the way")
    assert output(capsys) == fresh
    assert (project / NAME).read_text() == "in the way"


def test_a_read_only_cache_is_read(project: Path, linted: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    first = output(capsys)
    cache_file(project).chmod(0o400)
    (project / NAME).chmod(0o500)
    linted.clear()
    assert output(capsys) == first
    assert linted == []
    write(project, {"a.py": "good()\n"})
    assert output(capsys)[1] != first[1]
    (project / NAME).chmod(0o700)


def test_a_failure_of_ours_is_not_kept(project: Path, linted: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    write(project, {"crashing.py": "crash()\n"})
    first = output(capsys)
    assert first[0] == 3
    linted.clear()
    assert output(capsys) == first
    assert linted == ["crashing.py"]


def test_a_fix_is_made_from_the_file_and_not_from_the_cache(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output(capsys)
    path = cache_file(project)
    body = folder.read(path)
    assert body
    folder.write(path, body.replace(b'"good"', b'"evil"'))
    run(["--fix", "."])
    assert (project / "a.py").read_text() == "good()\n"
    capsys.readouterr()
    assert output(capsys) == output(capsys, "--no-cache")


def test_the_folder_does_not_grow_without_bound(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output(capsys)
    size = cache_file(project).stat().st_size
    monkeypatch.setattr(folder, "MOST_BYTES", 3 * size)
    for number in range(6):
        output(capsys, "--exclude", f"none{number}")
    caches = list((project / NAME).glob("*.json"))
    assert 1 <= len(caches) <= 3
    monkeypatch.setattr(folder, "MOST_BYTES", 10)
    output(capsys, "--exclude", "more")
    assert len(list((project / NAME).glob("*.json"))) <= len(caches)


def test_what_nobody_uses_and_what_was_never_finished_is_cleared_away(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output(capsys)
    ours = [project / NAME / f"0123456789abcdef.json{end}" for end in ("", ".7.writing")]
    foreign = [project / NAME / name for name in ("notes.txt", "0123.json", "draft.writing", "0123456789ABCDEF.json")]
    for path in (*ours, *foreign):
        path.write_text("x")
        os.utime(path, (1, 1))
    output(capsys, "--exclude", "none")
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in foreign)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_run_that_is_killed_leaves_no_half_a_cache(here: Path) -> None:
    write(here, {"pyproject.toml": "", **{f"m{number}.py": BROKEN * 50 for number in range(40)}})
    fresh = subprocess.run([*COMMAND, "--no-cache", "."], capture_output=True, text=True, check=False)
    for _ in range(6):
        process = subprocess.Popen([*COMMAND, "."], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (here / NAME / ".gitignore").exists():
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = subprocess.run([*COMMAND, "."], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (fresh.returncode, fresh.stdout)
        for path in (here / NAME).iterdir():
            path.unlink()


def test_runs_at_the_same_time_do_not_disturb_each_other(here: Path) -> None:
    write(here, {"pyproject.toml": "", **{f"m{number}.py": BROKEN for number in range(20)}})
    fresh = subprocess.run([*COMMAND, "--no-cache", "."], capture_output=True, text=True, check=False)
    runs = [subprocess.Popen([*COMMAND, "."], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [one.communicate()[0] for one in runs] == [fresh.stdout] * 4
    again = subprocess.run([*COMMAND, "."], capture_output=True, text=True, check=False)
    assert again.stdout == fresh.stdout
    assert len(list((here / NAME).iterdir())) == 3
