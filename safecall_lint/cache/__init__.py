"""Findings kept from run to run, each for as long as everything that it rests on is as it was."""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safecall_lint.cache import folder as disk
from safecall_lint.cache.codec import decode, encode
from safecall_lint.cache.identity import identity
from safecall_lint.cache.present import Present
from safecall_lint.cache.section import Section
from safecall_lint.discovery import Target
from safecall_lint.report import TOO_DEEP, Report
from safecall_lint.settings import Settings
from safecall_lint.texts import Known
from safecall_lint.trail import UNREADABLE, Trail

if TYPE_CHECKING:
    from safecall_lint.cache.learning import Learned

__all__ = ["NAME", "Cache"]
NAME = disk.NAME
_FORMAT = 1
_DAMAGED = (ValueError, TypeError, LookupError, AttributeError)


class Cache:
    """The findings of earlier runs, in a folder. A cache that cannot be used, for whatever reason, is no cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._here = os.getcwd()
        self._identity = identity()

    def session(self, targets: Sequence[Target]) -> Session:
        """What is known of some files now."""
        return Session(self, targets)

    def key(self, settings: Settings) -> str:
        """All that findings rest on besides files."""
        return json.dumps([_FORMAT, self._identity, self._here, repr(settings)])

    def path(self, settings: Settings) -> Path:
        """The file for some settings. Keys that share one, such as those of two versions, take turns."""
        raw = json.dumps([self._here, sys.version, repr(settings)]).encode()
        return self.folder / f"{zlib.crc32(raw):08x}{zlib.adler32(raw):08x}.json"


@dataclass(eq=False)
class _Part:
    """The files of one `Settings`."""

    key: str
    path: Path
    present: Present
    standing: set[str]
    learned: Learned | None = None


class Session:
    """One pass over some files."""

    def __init__(self, cache: Cache, targets: Sequence[Target]) -> None:
        self.cache = cache
        self._here = os.path.join(os.getcwd(), "")
        self._whole = True
        by_settings: dict[Settings, list[str]] = {}
        for target in targets:
            by_settings.setdefault(target.settings, []).append(self._absolute(target.path))
        self._parts = {settings: self._part(settings, paths) for settings, paths in by_settings.items()}
        known = sum(len(part.standing) for part in self._parts.values())
        if known < len(targets):
            disk.make(cache.folder)  # now, because the folder around it is about to be looked at

    def report(self, target: Target) -> Report | None:
        """What an earlier run found in a file, None where nothing is known that would still be found."""
        part, path = self._parts[target.settings], self._absolute(target.path)
        if path not in part.standing:
            return None
        try:
            return Report(tuple(decode(row) for row in part.present.section.reports[path]))
        except _DAMAGED:
            return None

    @property
    def searches(self) -> dict[Settings, Known]:
        """Searches through projects' texts whose answers still hold."""
        return {settings: part.present.searches() for settings, part in self._parts.items()}

    def learn(self, target: Target, report: Report) -> None:
        """Take in what was found in a file, and what that rests on."""
        from safecall_lint.cache.learning import Learned, Unsteady

        part, path, trail = self._parts[target.settings], self._absolute(target.path), report.trail
        if trail is None or any(not crash.path for crash in report.crashes):
            self._whole = False
            return
        part.learned = part.learned or Learned()
        try:
            part.learned.add(trail)
        except Unsteady:
            self._whole = False
        if _lasts(report, trail, path):
            part.learned.reports[path] = [encode(finding) for finding in report.findings]

    def save(self) -> None:
        """Write down what is new."""
        parts = [one for one in self._parts.values() if one.learned or one.present.renewed]
        if not self._whole or not parts or not disk.make(self.cache.folder):
            return
        from safecall_lint.cache.learning import Learned, Unsteady, absorb

        for part in parts:
            try:
                section = absorb(part.present.section, part.learned or Learned(), part.present.changed())
            except (*_DAMAGED, Unsteady):
                continue
            disk.write(part.path, section.dumped(part.key))

    def _part(self, settings: Settings, paths: Iterable[str]) -> _Part:
        key = self.cache.key(settings)
        path = self.cache.path(settings)
        body = disk.read(path)
        present = Present((Section.parse(body, key) if body else None) or Section())
        try:
            standing = present.standing(paths)
        except _DAMAGED:
            present, standing = Present(Section()), set()
        return _Part(key, path, present, standing)

    def _absolute(self, path: str) -> str:
        return path if os.path.isabs(path) else os.path.normpath(self._here + path)


def _lasts(report: Report, trail: Trail, path: str) -> bool:
    """Whether a report would be the same next time: its file was read, nothing failed, and it does not depend on how
    deep in a run the question came."""
    stamp = trail.contents.get(path)
    deep = any(finding.message == TOO_DEEP for finding in report.findings)
    return stamp is not None and stamp[1] != UNREADABLE and not report.crashes and not deep
