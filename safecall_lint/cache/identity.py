"""Which linter a cache belongs to: other code, rules, tables or libraries can find something else."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from safecall_lint.rulebook import pages_folder

_LIBRARIES = re.compile(r"(?:libcst|pyyaml|pathspec|tomli)-[^-]*\.(?:dist|egg)-info", re.IGNORECASE)
_PACKAGE = Path(__file__).parents[1]
_ISLAND = "runtime"


def identity() -> list[object]:
    """Everything about the linter itself that findings rest on."""
    return [sys.version, _own(), _libraries()]


def _own() -> list[str]:
    """Our code: what an installer wrote down about it, or the state of each file of a checkout."""
    records = sorted(_PACKAGE.parent.glob("safecall_lint-*.dist-info/RECORD"))
    try:
        return [record.read_text("utf-8") for record in records] or sorted(_states())
    except (OSError, ValueError):
        return sorted(_states())


def _states() -> Iterator[str]:
    pending = [str(_PACKAGE), str(pages_folder())]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    if entry.name not in (_ISLAND, "__pycache__"):
                        pending.append(entry.path)
                elif entry.name.endswith((".py", ".toml", ".md")):
                    status = entry.stat()
                    yield f"{entry.path} {status.st_mtime_ns} {status.st_size}"


def _libraries() -> list[str]:
    """The libraries that read code and manifests for us, with their versions, as installers name them."""
    found: list[str] = []
    for folder in sys.path:
        try:
            found += [f"{folder}/{name}" for name in os.listdir(folder or ".") if _LIBRARIES.fullmatch(name)]
        except OSError:
            continue
    return found
