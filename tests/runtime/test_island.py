"""The runtime is an island: what it imports, what it costs to import, and that a copy of it lives alone."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from safecall_lint import runtime
from safecall_lint.runtime._copy import copy_runtime

PACKAGE = Path(runtime.__file__).parent
TESTS = Path(__file__).parent

HEAVY = (
    "libcst",
    "typer",
    "rich",
    "pathspec",
    "httpx",
    "httpx2",
    "httpcore",
    "anyio",
    "aiolimiter",
    "prometheus_client",
)


def in_a_fresh_process(code: str, *, path: Path | None = None) -> str:
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=path, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_importing_it_loads_neither_the_linter_nor_a_client() -> None:
    loaded = in_a_fresh_process("import sys, safecall_lint.runtime; print(*sys.modules)").split()
    ours = {
        name for name in loaded if name.startswith("safecall_lint.") and not name.startswith("safecall_lint.runtime")
    }
    assert not ours
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("other", ["httpx", "httpx2"])
def test_a_transport_imports_only_its_own_library(other: str) -> None:
    library = {"httpx": "httpx2", "httpx2": "httpx"}[other]
    code = f"import sys; from safecall_lint.runtime import CallPolicy; CallPolicy('v').transport({library!r})"
    assert other not in in_a_fresh_process(f"{code}; print(*sys.modules)").split()


def imports_of(path: Path) -> list[ast.Import | ast.ImportFrom]:
    tree = ast.parse(path.read_bytes())
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_nothing_above_the_runtime(path: Path) -> None:
    depth = len(path.relative_to(PACKAGE).parents)
    for node in imports_of(path):
        if isinstance(node, ast.ImportFrom):
            assert node.level <= depth
        names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
        assert not any(name.split(".")[0] == "safecall_lint" for name in names)


def packages_imported() -> set[str]:
    """The packages of others that any module of the runtime imports, at its top or when it needs them."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in imports_of(path):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            elif not node.level and node.module:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names


def test_the_documentation_lists_what_a_copy_imports() -> None:
    page = (TESTS.parents[1] / "docs" / "runtime" / "index.md").read_text(encoding="utf-8")
    section = page.partition("## Without the linter in the image")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == packages_imported()


@pytest.mark.parametrize("name", [name for name in runtime.__all__ if callable(getattr(runtime, name))])
def test_a_public_name_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(runtime, name)) or name == "Events"


NOT_OF_A_COPY = frozenset({"test_island"})
"""These are about the package that is copied."""

TOO_LONG_FOR_A_COPY = (
    *("storm", "outage", "nothing_behind", "without_healing", "anyio_scope_cancels", "under_a_flood", "over_the_wire"),
    *("no_text_breaks", "no_order_of", "promised_wait", "a_budget_counts", "whatever_the_vendor", "cancellation_meets"),
    *(
        "whatever_piece_fails",
        "proxys_pool",
        "the_quickest_answer",
        "slots_grow",
        "slots_go_away",
        "refusals_become_rare",
    ),
)
"""What takes a second and more; the code that it torments is the same, file for file."""


def test_a_copy_passes_the_tests_of_the_original(tmp_path: Path) -> None:
    (tmp_path / "safecall_lint").mkdir()
    (tmp_path / "safecall_lint" / "__init__.py").touch()
    written = copy_runtime(tmp_path / "safecall_lint" / "runtime")
    sources = {path.relative_to(PACKAGE): path.read_bytes() for path in PACKAGE.rglob("*.py")}
    copies = {path.relative_to(tmp_path / "safecall_lint" / "runtime"): path.read_bytes() for path in written}
    assert sources.items() <= copies.items()
    subjects = sorted(path for path in TESTS.glob("test_*.py") if path.stem not in NOT_OF_A_COPY)
    options = ["-q", "-c", os.devnull, "--rootdir", str(TESTS.parents[1]), "--import-mode=importlib"]
    options += ["-p", "no:cacheprovider", "-p", "no:xdist", "-k", f"not ({' or '.join(TOO_LONG_FOR_A_COPY)})"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, subjects)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    where = in_a_fresh_process("import safecall_lint.runtime as r; print(r.__file__)", path=tmp_path)
    assert where.startswith(str(tmp_path))


def test_a_copy_works_under_any_name_and_brings_its_licence(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    written = copy_runtime(tmp_path / "shop" / "calls")
    assert "MIT License" in (tmp_path / "shop" / "calls" / "LICENSE").read_text()
    assert len(written) == len(list(PACKAGE.rglob("*.py"))) + 1
    code = (
        "import asyncio, sys; from shop.calls import CallPolicy;"
        " asyncio.run(CallPolicy('v').call(asyncio.sleep, 0)); print('safecall_lint' in sys.modules)"
    )
    assert in_a_fresh_process(code, path=tmp_path) == "False"


@pytest.mark.parametrize(
    ("name", "cure"),
    [("my-dir", "my_dir"), ("1x", "_1x"), ("class", "class_"), ("a.b", "a_b"), ("None", "None_"), ("-", "_")],
)
def test_a_copy_that_nobody_could_import_is_refused(name: str, cure: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"the name '{re.escape(name)}', .* give one such as {cure}$"):
        copy_runtime(tmp_path / name)
    assert not any(tmp_path.iterdir())
    copy_runtime(tmp_path / cure)


def test_a_copy_into_the_folder_one_stands_in_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("calls", "my-calls"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "calls")
    assert copy_runtime(Path())
    monkeypatch.chdir(tmp_path / "my-calls")
    with pytest.raises(ValueError, match="my_calls"):
        copy_runtime(Path())


def test_a_new_copy_replaces_an_old_one_and_nothing_else(tmp_path: Path) -> None:
    copy_runtime(tmp_path / "calls")
    stale = tmp_path / "calls" / "_gone.py"
    stale.touch()
    copy_runtime(tmp_path / "calls")
    assert not stale.exists()
    added = tmp_path / "calls" / "ours.py"
    added.touch()
    copy_runtime(tmp_path / "calls")
    assert added.exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "work.py").touch()
    (tmp_path / "mine" / "_policy.py").touch()
    with pytest.raises(FileExistsError, match="nothing was written"):
        copy_runtime(tmp_path / "mine")
    assert (tmp_path / "mine" / "work.py").exists()
