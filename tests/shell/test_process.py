"""What only a process of its own shows: its start, its end, its pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases import write

COMMAND = [sys.executable, "-m", "safecall_lint"]
CLEAN = """\
import httpx


def header(client: httpx.AsyncClient) -> str:
    return client.headers["user-agent"]
"""
BROKEN = "import httpx\nx = (\n"


def imported(*arguments: str) -> set[str]:
    """The top-level packages that a run imports; one that is only stood in for until it is used has no submodules."""
    program = "import sys, safecall_lint.cli as c; c.run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    modules = done.stderr.split()
    put_off = {"libcst"} - {module.partition(".")[0] for module in modules if "." in module}
    return {module.partition(".")[0] for module in modules} - put_off


def test_a_clean_run_imports_no_parser_and_no_painter(here: Path) -> None:
    write(here, {"a.py": "import os\n", "b.py": "def f() -> None:\n    '''A client.'''\n"})
    assert imported("a.py", "b.py").isdisjoint({"libcst", "typer", "rich", "pydantic"})


def test_a_clean_run_on_files_that_use_clients_imports_neither(here: Path) -> None:
    write(here, {"a.py": CLEAN, "b.py": "import a\n\n\ndef f(client) -> str:\n    return a.header(client)\n"})
    packages = imported("a.py", "b.py")
    assert "ast" in packages
    assert packages.isdisjoint({"libcst", "typer", "rich", "httpx", "multiprocessing"})


def test_the_version_is_told_without_importing_anything() -> None:
    """Beyond what the standard library's reader of versions imports by itself, which grew with Python 3.12."""
    program = "import sys, importlib.metadata; print(*sys.modules)"
    reader = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    heavy = {"libcst", "rich", "typer", "tomli", "tokenize"} - set(reader.split())
    assert imported("--version").isdisjoint(heavy)


def test_help_needs_no_painter(here: Path) -> None:
    assert imported("--help").isdisjoint({"libcst", "rich"})


def test_a_reader_that_stops_reading_causes_no_traceback(here: Path) -> None:
    write(here, {"a.py": BROKEN})
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, "a.py"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_ctrl_c_ends_a_run_in_one_word(here: Path) -> None:
    process = subprocess.Popen([*COMMAND, "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write("x = 1\n")
    process.stdin.flush()
    while not _reads(process.pid):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, "interrupted\n")


def _reads(pid: int) -> bool:
    """Whether the process waits in a read of its standard input."""
    return Path(f"/proc/{pid}/syscall").read_text().startswith("0 0x0 ")


def test_piped_output_has_no_colour(here: Path) -> None:
    write(here, {"a.py": BROKEN})
    done = subprocess.run([*COMMAND, "a.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr


def test_output_that_cannot_hold_a_character_gets_its_escape(here: Path) -> None:
    write(here, {"a.py": "import httpx\nx = 'é' (\n"})
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "a.py"], capture_output=True, check=False, env=environment)
    assert b"x = '\\xe9' (" in done.stdout


@pytest.mark.parametrize("arguments", [[], ["-"], ["--isolated", "--no-cache", "/"], ["--show-settings"]], ids=str)
def test_a_working_directory_that_is_gone_is_said(arguments: list[str], tmp_path: Path) -> None:
    there = tmp_path / "gone"
    there.mkdir()
    program = "import os, sys; os.rmdir(os.getcwd()); from safecall_lint.__main__ import main; main()"
    command = [sys.executable, "-P", "-c", program, *arguments]
    done = subprocess.run(command, cwd=there, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the working directory is gone; change to one that exists\n"


SHADOWED = ["typing", "re", "dataclasses", "enum", "json", "tomllib", "zlib", "warnings", "ast", "pathlib", "libcst"]
if sys.version_info >= (3, 12):
    SHADOWED += ["functools", "collections", "contextlib", "keyword", "operator"]
TEXTS = ["import a_thing_that_is_not_there\n", "x = 1\n", "x = (\n"]


@pytest.mark.parametrize("name", SHADOWED)
def test_a_file_with_the_name_of_a_module_of_python_s_is_just_a_file(name: str, here: Path) -> None:
    write(here, {f"{name}.py": "x = 1\n", "a.py": BROKEN})
    done = subprocess.run([*COMMAND, "."], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("\n1 error in 1 file of 2\n")


def test_what_another_program_looks_for_stays_where_it_was(here: Path) -> None:
    write(here, {"other/__init__.py": "import safecall_lint\n", "other/__main__.py": "import beside\n"})
    write(here, {"beside.py": "print('found')\n"})
    done = subprocess.run([sys.executable, "-m", "other"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("found\n", "")


@pytest.mark.parametrize("name", ["zlib", "json", "tokenize"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_module_that_takes_the_place_of_one_of_python_s_causes_no_traceback(name: str, text: str, here: Path) -> None:
    write(here, {f"{name}.py": text, "a.py": BROKEN})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(here), os.environ.get("PYTHONPATH", "")))}
    done = subprocess.run([*COMMAND, "a.py"], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("internal error: ")
    assert done.stderr.count("\n") == 1
