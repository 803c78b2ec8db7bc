"""What an analysis looks at outside the file it is about, and for whose sake.

The trail is what makes a finding cacheable: as long as everything on it is as it was, the same questions get the same
answers. Its nodes are strings, a kind and a name: a module (`m` and its path), the triage of a file (`t`), a file's
content (`c`), the names in a folder (`l`), a search through a project's texts (`x`), the packages that a repository
offers by a name (`o`), and `p` and `d` for what is asked about a project and a repository as a whole. A link says that
what is known of the first rests on the second. Answers are kept between files, so links belong to modules and not to
the file whose question came first; what a file rests on is all that can be reached from it.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from functools import cache

from msgspec import Struct, field
from msgspec.structs import replace

Stamp = tuple[str, str]
Listing = tuple[str, tuple[str, ...]]
Lister = Callable[[str, str], tuple[str, ...]]
Counts = dict[str, int]

UNREADABLE = "-"
UNSTEADY = "?"
NUL = "\0"
_SETTLED_NS = 2_000_000_000


class Searched(Struct, eq=False):
    """A project's texts: the stamp of each file that was read, and by search how often each file has it."""

    stamps: dict[str, Stamp] = field(default_factory=dict)
    answers: dict[str, Counts] = field(default_factory=dict)


class Trail(Struct, eq=False):
    """The record of one analysis. Unless it is `kept`, files are read and looked for, and nothing is remembered.

    `contents` has files by path: a stamp is the file's state as `os.stat` tells it, empty where that proves nothing,
    and the digest of its bytes. `lookups` has what was looked for: "f" a file, "d" a folder, "o" something else, "-"
    nothing. `listings` has the names that a pattern finds in a folder. `searched` has the texts of projects. `offered`
    has the packages of repositories, by the first word of their names.
    """

    kept: bool = False
    contents: dict[str, Stamp] = field(default_factory=dict)
    lookups: dict[str, str] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    searched: dict[str, Searched] = field(default_factory=dict)
    links: dict[str, set[str]] = field(default_factory=dict)
    offered: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    def link(self, node: str, other: str) -> None:
        """What is known of a node rests on another one."""
        if self.kept:
            self.links.setdefault(node, set()).add(other)

    def read(self, path: str, most: int) -> bytes | None:
        """The bytes of a regular file of at most `most` bytes, else None. A pipe is never opened: it would wait for
        ever."""
        raw, status = None, None
        try:
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode) and status.st_size <= most:
                with open(path, "rb") as file:
                    raw = file.read()
        except OSError:
            pass
        self.saw(path, status, raw)
        return raw

    def saw(self, path: str, status: os.stat_result | None, raw: bytes | None) -> None:
        """Remember what a file held; `status` is from before it was read. One that changed meanwhile proves nothing."""
        if not self.kept:
            return
        known = self.contents.get(path)
        found = UNREADABLE if raw is None else digest(raw)
        if known and known[1] != found:
            self.contents[path] = ("", UNSTEADY)
        else:
            self.contents[path] = ("" if status is None else token(status), found)

    def kind(self, path: str) -> str:
        """What stands at a path, in the letters of `lookups`."""
        found = kind(path)
        if self.kept:
            known = self.lookups.setdefault(path, found)
            if known != found:
                self.lookups[path] = UNSTEADY
        return found

    def listing(self, folder: str, pattern: str) -> tuple[str, ...]:
        """The names in a folder that a pattern matches, sorted; a folder's name ends in `/`."""
        found = listed(folder, pattern)
        if self.kept:
            key = folder + NUL + pattern
            known = self.listings.get(key)
            self.listings[key] = ("", (UNSTEADY,)) if known and known[1] != found[1] else found
        return found[1]

    def news(self) -> Trail:
        """What was recorded since the last time, to be handed to another process."""
        found = replace(self)
        for table in (name for name in self.__struct_fields__ if name != "kept"):
            setattr(self, table, {})
        return found


def walk(top: str, pattern: str, listing: Lister, deepest: int = 100) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each folder below `top`, from above, with the names that a pattern matches; `top` itself first."""
    pending = [(top, 0)]
    while pending:
        folder, depth = pending.pop()
        names = listing(folder, pattern)
        yield folder, names
        if depth < deepest:
            inner = [f"{folder}/{name[:-1]}" for name in names if name.endswith("/")]
            pending += [(one, depth + 1) for one in reversed(inner)]


def listed(folder: str, pattern: str) -> Listing:
    """The names in a folder that a pattern matches, and the folder's token from before it was read.

    A link to a folder is not listed. Where a link is, the folder's own state says nothing about what it leads to."""
    names: list[str] = []
    settled = True
    fits = _compiled(pattern).fullmatch
    try:
        before = token(os.stat(folder))
        with os.scandir(folder) as entries:
            for entry in entries:
                is_folder, is_link = entry.is_dir(), entry.is_symlink()
                settled = settled and not is_link
                name = f"{entry.name}/" if is_folder else entry.name
                if fits(name) and not (is_folder and is_link):
                    names.append(name)
    except OSError:
        return "", ()
    return before if settled else "", tuple(sorted(names))


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def kind(path: str) -> str:
    """What stands at a path: "f" a file, "d" a folder, "o" something else, "-" nothing."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return "-"
    return "f" if stat.S_ISREG(mode) else "d" if stat.S_ISDIR(mode) else "o"


def token(status: os.stat_result) -> str:
    """The state of a file or folder in one word. Empty where it changed so lately that a later change might not show:
    the clocks of file systems tick slowly."""
    if max(status.st_mtime_ns, status.st_ctime_ns) > time.time_ns() - _SETTLED_NS:
        return ""
    return state(status)


def state(status: os.stat_result) -> str:
    """The state as `token` spells it, however fresh it is."""
    return f"{status.st_mtime_ns:x}.{status.st_ctime_ns:x}.{status.st_size:x}.{status.st_ino:x}"


def digest(raw: bytes) -> str:
    """What tells one content from another."""
    from hashlib import blake2b

    return blake2b(raw, digest_size=16).hexdigest()
