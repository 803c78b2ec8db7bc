"""The commands beside the linter: sizes for a policy, a copy of the runtime."""

from __future__ import annotations

from pathlib import Path

import pytest

from safecall_lint.cli import run


def test_sizes_for_a_quota(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(run(["size", "--rate", "60/60", "--latency", "2", "--pods", "6"]))
    assert ended.value.code == 0
    assert "rate=Rate(10, per=60)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--rate", "x", "--latency", "2"], "calls/seconds"),
        (["--rate", "60/60", "--latency", "2", "--call-timeout", "1"], "cuts off good calls"),
        (["--rate", "60/60", "--latency", "90000"], "longer than a day"),
        (["--rate", "9000000/1", "--latency", "2"], "more than 1,000,000 a second"),
    ],
)
def test_sizes_that_cannot_work(options: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["size", *options]) == 2
    assert reason in capsys.readouterr().err


def test_a_copy_of_the_runtime_replaces_only_a_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "resilience"
    assert run(["vendor", str(target)]) == 0
    assert run(["vendor", str(target)]) == 0
    assert (target / "__init__.py").is_file()
    (tmp_path / "notes.txt").write_text("mine")
    assert run(["vendor", str(tmp_path)]) == 2
    assert "nothing was written" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "cure"), [("my-dir", "my_dir"), ("1x", "_1x"), ("class", "class_")])
def test_a_folder_that_cannot_be_imported_is_refused_with_one_that_can(
    name: str, cure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["vendor", str(tmp_path / name)]) == 2
    assert f"give one such as {cure}" in capsys.readouterr().err
    assert not (tmp_path / name).exists()
