"""The folder that caches lie in: made when something is written, never larger than a bound, never half written."""

from __future__ import annotations

import os
import time
import zlib
from contextlib import suppress
from pathlib import Path

NAME = ".safecall_lint_cache"
MOST_BYTES = 100_000_000
_STALE_SECONDS = 30 * 24 * 3600
_ABANDONED_SECONDS = 3600
_UNFINISHED = ".writing"
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of safecall-lint.\n"


def read(path: Path) -> bytes | None:
    """What was written to a cache; None where nothing was, or not all of it."""
    try:
        head, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    return body if head == _sum(body) else None


def write(path: Path, body: bytes) -> None:
    """Replace a cache in one step. A folder that cannot be written to is left alone: a cache is not worth an error."""
    if len(body) > MOST_BYTES:
        return
    with suppress(OSError):
        temporary = f"{path}.{os.getpid()}{_UNFINISHED}"
        try:
            with open(temporary, "wb") as file:
                file.write(_sum(body) + b"\n" + body)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _tidy(path.parent)


def make(folder: Path) -> bool:
    """Make the folder, with the marks by which backups and git leave it out; False where that is not possible."""
    try:
        if not (folder / ".gitignore").exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "CACHEDIR.TAG").write_text(_TAG, "utf-8")
            (folder / ".gitignore").write_text("*\n", "utf-8")
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _tidy(folder: Path) -> None:
    """Delete what killed runs left behind, what nobody used for long, and the oldest beyond the bound."""
    now, total = time.time(), 0
    caches = [(entry.stat(), entry.path) for entry in os.scandir(folder) if entry.name.endswith((".json", _UNFINISHED))]
    for status, path in sorted(caches, key=lambda one: one[0].st_mtime, reverse=True):
        limit = _ABANDONED_SECONDS if path.endswith(_UNFINISHED) else _STALE_SECONDS
        total += status.st_size
        if total > MOST_BYTES or now - status.st_mtime > limit:
            with suppress(OSError):
                os.unlink(path)


def _sum(body: bytes) -> bytes:
    return b"%08x" % zlib.crc32(body)
