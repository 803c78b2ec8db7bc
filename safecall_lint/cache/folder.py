"""The folder that caches lie in: made when something is written, never larger than a bound, never half written."""

from __future__ import annotations

import os
import re
import stat
import time
import zlib
from contextlib import suppress
from pathlib import Path

NAME = ".safecall_lint_cache"
MOST_BYTES = 100_000_000
_SUM_BYTES = 9
_STALE_SECONDS = 30 * 24 * 3600
_ABANDONED_SECONDS = 3600
_UNFINISHED = ".writing"
_OURS = "# This folder is a cache of safecall-lint.\n"
_TAG = "CACHEDIR.TAG"
_MARKS = {_TAG: f"Signature: 8a477f597d28d172789f06886806bc55\n{_OURS}", ".gitignore": "*\n"}
_CACHES = re.compile(rf"[0-9a-f]{{16}}\.json(?:\.[0-9]+{re.escape(_UNFINISHED)})?")


def read(path: Path) -> bytes | None:
    """What was written to a cache; None where nothing was, or not all of it."""
    head, _, body = _content(path).partition(b"\n")
    return body if head == _sum(body) else None


def write(path: Path, body: bytes) -> None:
    """Replace a cache in one step. A folder that cannot be written to is left alone: a cache is not worth an error."""
    if len(body) > MOST_BYTES:
        return
    with suppress(OSError):
        temporary = f"{path}.{os.getpid()}{_UNFINISHED}"
        try:
            with open(temporary, "xb") as file:
                file.write(_sum(body) + b"\n" + body)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _tidy(path.parent)


def make(folder: Path) -> bool:
    """Make the folder, with the marks by which backups and git leave it out; False where that is not possible, or where
    the folder is somebody else's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_foreign(folder):
            return False
        for name, text in _MARKS.items():
            with suppress(FileExistsError), open(folder / name, "x", encoding="utf-8") as file:
                file.write(text)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def is_foreign(folder: Path) -> bool:
    """Whether a folder holds what no cache holds, and has no mark of ours."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    alone = all(name in _MARKS or _CACHES.fullmatch(name) for name in names)
    return not alone and _OURS.strip().encode() not in _content(folder / _TAG)


def leads_out(folder: Path, root: Path) -> bool:
    """Whether a path below `root` leaves it through a link: a checkout must not say what is written beside it."""
    below, really = os.path.join(root, ""), os.path.join(os.path.realpath(root), "")
    return os.path.abspath(folder).startswith(below) and not os.path.realpath(folder).startswith(really)


def _content(path: Path) -> bytes:
    """What a regular file holds, empty where there is none that a cache could be: a pipe or a device has no end."""
    try:
        status = os.stat(path)
        if stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES + _SUM_BYTES:
            return path.read_bytes()
    except OSError:
        pass
    return b""


def _tidy(folder: Path) -> None:
    """Delete what killed runs left behind, what nobody used for long, and the oldest beyond the bound. Only what has
    a name that we give is ours to delete."""
    now, total = time.time(), 0
    entries = [entry for entry in os.scandir(folder) if _CACHES.fullmatch(entry.name)]
    caches = [(entry.stat(follow_symlinks=False), entry.path) for entry in entries]
    for status, path in sorted(caches, key=lambda one: one[0].st_mtime, reverse=True):
        limit = _ABANDONED_SECONDS if path.endswith(_UNFINISHED) else _STALE_SECONDS
        total += status.st_size
        if total > MOST_BYTES or now - status.st_mtime > limit:
            with suppress(OSError):
                os.unlink(path)


def _sum(body: bytes) -> bytes:
    return b"%08x" % zlib.crc32(body)
