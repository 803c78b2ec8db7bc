"""Random changes to a project, of the kinds that people and tools make, for tests of what is kept between runs."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

Edit = Callable[[Path, random.Random], None]
_WORD = re.compile(r"\b(?:async |await |return |timeout|\d+|None|True|\w+\()")
_MANIFESTS = {
    "docker-compose.yml": ["services:\n  api:\n    deploy:\n      replicas: {}\n", "services: {{}}\n"],
    "requirements.txt": ["fastapi>=0.1{}\n", "openai<{}\n", "anthropic=={}\nhttpx\n"],
    "pyproject.toml": ["[project]\nname = 'p{}'\n", "[tool.other]\nx = {}\n"],
    "setup.py": ["x = {}\n"],
}


def change(root: Path, chance: random.Random) -> str:
    """Change one thing below a folder, and tell what was done."""
    edit = chance.choice(EDITS)
    edit(root, chance)
    return edit.__name__.strip("_")


def _files(root: Path) -> list[Path]:
    return sorted(root.rglob("*.py"))


def _rewrite(path: Path, text: str) -> None:
    """With a new inode or the old one: `path.write_text` keeps it."""
    path.write_text(text, "utf-8")


def _comment(root: Path, chance: random.Random) -> None:
    path = chance.choice(_files(root))
    _rewrite(path, f"# {chance.random()}\n" + path.read_text("utf-8", "replace"))


def _line_lost(root: Path, chance: random.Random) -> None:
    path = chance.choice(_files(root))
    lines = path.read_text("utf-8", "replace").splitlines(keepends=True)
    if lines:
        del lines[chance.randrange(len(lines))]
        _rewrite(path, "".join(lines))


def _word_changed(root: Path, chance: random.Random) -> None:
    """Often of the same size."""
    path = chance.choice(_files(root))
    text = path.read_text("utf-8", "replace")
    words = list(_WORD.finditer(text))
    if words:
        word = chance.choice(words)
        other = str(chance.randrange(10)) * len(word[0]) if word[0].isdigit() else chance.choice(["", word[0].upper()])
        _rewrite(path, text[: word.start()] + other + text[word.end() :])


def _names_swapped(root: Path, chance: random.Random) -> None:
    """The call of one function is made one of another."""
    path = chance.choice(_files(root))
    text = path.read_text("utf-8", "replace")
    names = sorted({*re.findall(r"\bdef (\w+)", text), *re.findall(r"\b(\w+)\(", text)})
    if len(names) > 1:
        one, other = chance.sample(names, 2)
        _rewrite(path, re.sub(rf"\b{one}\(", f"{other}(", text, count=chance.randint(1, 2)))


def _file_lost(root: Path, chance: random.Random) -> None:
    files = _files(root)
    if len(files) > 2:
        chance.choice(files).unlink()


def _file_moved(root: Path, chance: random.Random) -> None:
    path = chance.choice(_files(root))
    path.rename(path.with_name(f"m{chance.randrange(99)}_{path.name}"))


def _file_copied(root: Path, chance: random.Random) -> None:
    """Often beside the first, sometimes over another file."""
    one, other = chance.choice(_files(root)), chance.choice(_files(root))
    target = chance.choice([other, other.with_name(one.name), one.with_name(f"copy_{one.name}")])
    if one != target:
        shutil.copy(one, target)


def _module_appears(root: Path, chance: random.Random) -> None:
    """A module of a name that is imported from somewhere."""
    texts = [path.read_text("utf-8", "replace") for path in _files(root)]
    names = sorted({name for text in texts for name in re.findall(r"^(?:from|import) \.?(\w+)", text, re.MULTILINE)})
    folder = chance.choice(_files(root)).parent
    if names:
        path = folder / f"{chance.choice(names)}.py"
        if not path.exists():
            _rewrite(path, chance.choice(texts))


def _project_appears(root: Path, chance: random.Random) -> None:
    """A project that offers a package of a name that is imported from somewhere, with the code of a module."""
    texts = [path.read_text("utf-8", "replace") for path in _files(root)]
    names = sorted({name for text in texts for name in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)})
    if names:
        folder = root / f"project{chance.randrange(5)}"
        package = folder / chance.choice([".", "src"]) / chance.choice(names)
        package.mkdir(parents=True, exist_ok=True)
        _rewrite(package / chance.choice(["__init__.py", "inner.py"]), chance.choice(texts))
        _rewrite(folder / "pyproject.toml", chance.choice(_MANIFESTS["pyproject.toml"]).format(chance.randrange(9)))


def _project_depended_on(root: Path, chance: random.Random) -> None:
    other = chance.choice(["dependencies = ['p{}']", "urls.path = 'project{}'"]).format(chance.randrange(5))
    _rewrite(chance.choice(_files(root)).parent / "pyproject.toml", f"[project]\nname = 'x'\n{other}\n")


def _project_lost(root: Path, chance: random.Random) -> None:
    found = sorted(root.glob("project[0-9]"))
    if found:
        shutil.rmtree(chance.choice(found))


def _package_changed(root: Path, chance: random.Random) -> None:
    path = chance.choice(_files(root)).parent / "__init__.py"
    if path.exists():
        path.unlink()
    else:
        _rewrite(path, "")
    if not _files(root):
        _rewrite(path, "")


def _manifest_changed(root: Path, chance: random.Random) -> None:
    folder = chance.choice([root, chance.choice(_files(root)).parent])
    name = chance.choice(sorted(_MANIFESTS))
    if (folder / name).exists() and chance.random() < 0.3:
        (folder / name).unlink()
    else:
        _rewrite(folder / name, chance.choice(_MANIFESTS[name]).format(chance.randrange(1, 9)))


def _file_touched(root: Path, chance: random.Random) -> None:
    chance.choice(_files(root)).touch()


EDITS: list[Edit] = [
    *(_comment, _line_lost, _word_changed, _word_changed, _names_swapped, _names_swapped, _file_lost, _file_moved),
    *(_file_copied, _module_appears, _package_changed, _manifest_changed, _manifest_changed, _file_touched),
    *(_project_appears, _project_appears, _project_depended_on, _project_lost),
]
