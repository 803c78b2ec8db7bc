"""The cache's folder in the user's own tree: nothing that is not ours is deleted, hidden, followed or waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from safecall_lint.cache import NAME
from safecall_lint.cli import run
from tests.cases import write


@pytest.fixture
def project(here: Path) -> Path:
    write(here, {"pyproject.toml": "", "a.py": "bad()\n", "data/old.json": "{}", "data/half.writing": "x"})
    for name in ("data/old.json", "data/half.writing"):
        os.utime(here / name, (1, 1))
    return here


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run([*arguments, "."])
    out, err = capsys.readouterr()
    return code, out, err


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", ["data", "."])
def test_a_folder_with_other_files_is_refused(name: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(project)
    cure = "is no cache and holds other files; name a new or an empty folder\n"
    assert output(capsys, "--cache-dir", name) == (2, "", f"error: --cache-dir: {name} {cure}")
    assert tree(project) == before
    write(project, {"safecall-lint.toml": f'cache-dir = "{name}"\n'})
    assert output(capsys) == (2, "", f"error: `cache-dir`: {project / name} {cure}")
    assert output(capsys, "--no-cache")[0] == 1


def test_a_folder_of_our_name_with_other_files_is_left_alone(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "data").rename(project / NAME)
    before = tree(project)
    assert output(capsys)[0] == 1
    assert tree(project) == before


def test_an_empty_folder_is_taken_and_what_it_ignores_already_stays(
    project: Path, linted: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, {"empty/.gitignore": "*\n!.gitignore\n"})
    for _ in range(2):
        assert output(capsys, "--cache-dir", "empty")[0] == 1
    assert linted == ["a.py"]
    assert (project / "empty/.gitignore").read_text() == "*\n!.gitignore\n"


@pytest.mark.parametrize("setting", ["", 'cache-dir = "kept/here"\n'])
def test_a_link_does_not_lead_the_cache_out_of_the_project(
    setting: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = project.parent / "outside"
    outside.mkdir()
    write(project, {"safecall-lint.toml": setting})
    (project / ("kept" if setting else NAME)).symlink_to(outside)
    assert output(capsys)[0] == 1
    assert tree(outside) == []
    assert output(capsys, "--cache-dir", str(outside / "mine"))[0] == 1
    assert tree(outside) != []


def test_a_link_inside_the_project_is_followed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "kept").mkdir()
    (project / NAME).symlink_to("kept")
    assert output(capsys)[0] == 1
    assert list((project / "kept").glob("*.json"))


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _full(path: Path) -> None:
    path.symlink_to("/dev/full")


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3_000_000_000)


@pytest.mark.parametrize("put", [_pipe, _endless, _full, _sparse])
def test_what_is_no_file_of_a_cache_is_not_read(
    put: Callable[[Path], None], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = output(capsys)
    (path,) = (project / NAME).glob("*.json")
    for place in (path, project / NAME / "CACHEDIR.TAG"):
        place.unlink()
        put(place)
    assert output(capsys) == first
