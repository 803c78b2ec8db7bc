"""A copy of this runtime for projects that want no linter among their dependencies."""

from __future__ import annotations

import keyword
import os
import re
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ._setting import instance

_TARGET = instance((str, os.PathLike), "there is no folder to write to", "a Path")
_HERE = Path(__file__).parent
_MARKS = ("LICENSE", "__init__.py", "_admission.py", "_execution.py", "_policy.py", "testing")


def copy_runtime(target: Path | str) -> list[Path]:
    """Copy the runtime into `target`, as a package of any name; return the files written.

    The copy needs what you use of `safecall-lint[runtime]`, and not safecall-lint. An earlier copy is replaced as a
    whole: its modules have an underscore in front, and those that are no longer ours are deleted.

    Raises:
        FileExistsError: `target` holds something that is not an earlier copy.
        TypeError: `target` is no path.
        ValueError: Python cannot import a package of that name.
    """
    _TARGET("copy_runtime", "target", target)
    given, target = os.fspath(target), Path(target)
    name = target.resolve().name
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(
            f"copy_runtime: target={given!r} has the name {name!r}, which Python cannot import, so nothing was written:"
            f" give one such as {_importable(name)}"
        )
    if target.exists() and any(target.iterdir()):
        if not all((target / mark).exists() for mark in _MARKS):
            raise FileExistsError(f"{target} holds other files, so nothing was written: name a new directory")
        for stale in target.rglob("_*.py"):
            stale.unlink()
    written = [_copy(source, target) for source in sorted(_HERE.rglob("*.py"))]
    notice = target / "LICENSE"
    notice.write_text(_license(), encoding="utf-8")
    return [*written, notice]


def _copy(source: Path, target: Path) -> Path:
    path = target / source.relative_to(_HERE)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
    return path


def _importable(name: str) -> str:
    """The nearest name that can be imported."""
    words = re.sub(r"\W", "_", name)
    if words[:1].isdigit():
        return f"_{words}"
    return f"{words}_" if keyword.iskeyword(words) else words


def _license() -> str:
    checkout = _HERE.parents[1] / "LICENSE"
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    try:
        text = distribution("safecall-lint").read_text("licenses/LICENSE")
    except PackageNotFoundError:
        text = None
    return text or (_HERE / "LICENSE").read_text(encoding="utf-8")
