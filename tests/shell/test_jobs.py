"""Several processes: the same findings in the same order, whoever looked at a file, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from safecall_lint import parallel
from safecall_lint.cli import run
from safecall_lint.cli.workspace import lint
from safecall_lint.discovery import Target, discover
from safecall_lint.engine import Linter
from safecall_lint.report import Report
from safecall_lint.settings import Lookup
from tests.cases import write

FILES = {
    f"{package}/m{number}.py": f"{call}()\n" * (number + 1)
    for package in ("app", "app/inner", "lib")
    for number, call in enumerate(("bad", "good", "slow", "odd", "fine", "bad", "crash", "good", "slow", "("))
}
COMMAND = [sys.executable, "-m", "safecall_lint", "--jobs", "2"]


@pytest.fixture
def tree(here: Path) -> Path:
    """A folder of thirty files with findings, failures and a file that cannot be read."""
    write(here, FILES)
    return here


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are shared out from the first on."""
    monkeypatch.setattr(parallel, "ALONE_SECONDS", 0.0)


def output(jobs: int, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run(["--jobs", str(jobs), "--profile", "all", "--output-format", "json", "."])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("jobs", [2, 3, 64])
def test_the_number_of_processes_changes_nothing(
    jobs: int, tree: Path, eager: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output(jobs, capsys) == output(1, capsys)


def test_a_small_or_short_run_stays_in_its_process(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_Crew", None)
    write(here, FILES)
    assert lint(discover(["app"], Lookup()).targets, 4).findings
    monkeypatch.setattr(parallel, "ALONE_SECONDS", 0.0)
    assert lint(discover(["app/m0.py", "app/m2.py"], Lookup()).targets, 4).findings


def test_a_process_that_begins_from_nothing_finds_the_same(
    here: Path, eager: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where forking is not safe: only what is plain data crosses over, and the made-up rules do not."""
    monkeypatch.setattr(parallel, "_may_fork", lambda: False)
    write(here, {f"m{number}.py": "import httpx\nx = (\n" for number in range(10)})
    found = lint(discover(["."], Lookup()).targets, 2).findings
    assert [(one.path, one.name) for one in found] == [(f"m{number}.py", "syntax-error") for number in range(10)]


def test_a_process_that_dies_takes_one_file_along(tree: Path, eager: None, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, here, original = lint(discover(["."], Lookup()).targets).findings, os.getpid(), Linter.file

    def fatal(linter: Linter, path: str) -> Report:
        if path == "app/inner/m2.py" and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(linter, path)

    monkeypatch.setattr(Linter, "file", fatal)
    outcome = lint(discover(["."], Lookup()).targets, 2)
    assert outcome.findings == [one for one in whole if one.path != "app/inner/m2.py"]
    (crash,) = [one for one in outcome.crashes if not one.rule]
    assert str(crash) == "app/inner/m2.py: the check failed: the process that checked it was killed by signal 9"


def test_neighbours_are_checked_by_the_same_process(tree: Path) -> None:
    targets = discover(["."], Lookup()).targets
    lanes = parallel._lanes(targets, 3, 2)
    assert sorted(index for lane in lanes for chunk in lane for index in chunk) == list(range(3, len(targets)))
    assert all(lane == sorted(lane, key=lambda chunk: chunk.start) for lane in map(list, lanes))


def test_files_are_cut_where_folders_end() -> None:
    targets = [Target(f"{folder}/m.py", Lookup().of(Path())) for folder in "aabbbc"]
    assert list(parallel._chunks(targets, [10] * 6, 0, 30)) == [range(2), range(2, 5), range(5, 6)]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nobody_outlives_ctrl_c(here: Path) -> None:
    slow = "import httpx\n" + "def f(a):\n    return httpx.get(a)\n\n\n" * 300
    write(here, {f"m{number:03}.py": slow for number in range(200)})
    process = subprocess.Popen(
        [*COMMAND, "."], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while not (workers := _children(process.pid)):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nobody_outlives_a_killed_run(here: Path) -> None:
    slow = "import httpx\n" + "def f(a):\n    return httpx.get(a)\n\n\n" * 300
    write(here, {f"m{number:03}.py": slow for number in range(200)})
    process = subprocess.Popen([*COMMAND, "."], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (workers := _children(process.pid)):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while any(_lives(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    """Whether a process runs; a dead one that nobody has asked after does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
