"""Findings kept from run to run, each for as long as everything that it rests on is as it was."""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
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
_FORMAT = 2
_DAMAGED = (ValueError, TypeError, LookupError, AttributeError)


class Cache:
    """The findings of earlier runs, in a folder. A cache that cannot be used, for whatever reason, is no cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        place = json.dumps([os.getcwd(), sys.version])
        self.key = json.dumps([_FORMAT, place, identity()])
        self.path = folder / f"{zlib.crc32(place.encode()):08x}{zlib.adler32(place.encode()):08x}.json"

    def session(self, targets: Sequence[Target]) -> Session:
        """What is known of some files now."""
        return Session(self, targets)


class Session:
    """One pass over some files."""

    def __init__(self, cache: Cache, targets: Sequence[Target]) -> None:
        self.cache = cache
        self._here = os.path.join(os.getcwd(), "")
        self._learned: Learned | None = None
        self._whole = True
        self._names: dict[Settings, str] = {}
        body = disk.read(cache.path)
        self._present = Present((Section.parse(body, cache.key) if body else None) or Section())
        try:
            self._standing = self._present.standing(self._known(targets))
        except _DAMAGED:
            self._present, self._standing = Present(Section()), set()
        if not all(self._absolute(target.path) in self._standing for target in targets):
            disk.make(cache.folder)  # now, because the folder around it is about to be looked at

    def report(self, target: Target) -> Report | None:
        """What an earlier run found in a file, None where nothing is known that would still be found."""
        path = self._absolute(target.path)
        if path not in self._standing:
            return None
        try:
            rows = self._present.section.reports[self._name(target.settings)][path]
            return Report(tuple(decode(row) for row in rows))
        except _DAMAGED:
            return None

    @property
    def searches(self) -> Known:
        """Searches through projects' texts whose answers still hold."""
        return self._present.searches()

    def learn(self, target: Target, report: Report) -> None:
        """Take in what was found in a file, and what that rests on."""
        from safecall_lint.cache.learning import Learned, Unsteady

        path, trail = self._absolute(target.path), report.trail
        if trail is None or any(not crash.path for crash in report.crashes):
            self._whole = False
            return
        self._learned = self._learned or Learned()
        try:
            self._learned.add(trail)
        except Unsteady:
            self._whole = False
        if _lasts(report, trail, path):
            rows = [encode(finding) for finding in report.findings]
            self._learned.reports.setdefault(self._name(target.settings), {})[path] = rows

    def save(self) -> None:
        """Write down what is new."""
        new = self._learned or self._present.renewed
        if not self._whole or not new or not disk.make(self.cache.folder):
            return
        from safecall_lint.cache.learning import Learned, Unsteady, absorb

        with suppress(*_DAMAGED, Unsteady):
            section = absorb(self._present.section, self._learned or Learned(), self._present.changed())
            disk.write(self.cache.path, section.dumped(self.cache.key))

    def _known(self, targets: Iterable[Target]) -> Iterator[str]:
        """The files that were linted under the settings that they have."""
        reports = self._present.section.reports
        for target in targets:
            path = self._absolute(target.path)
            if path in reports.get(self._name(target.settings), ()):
                yield path

    def _name(self, settings: Settings) -> str:
        if settings not in self._names:
            self._names[settings] = repr(settings)
        return self._names[settings]

    def _absolute(self, path: str) -> str:
        return path if os.path.isabs(path) else os.path.normpath(self._here + path)


def _lasts(report: Report, trail: Trail, path: str) -> bool:
    """Whether a report would be the same next time: its file was read, nothing failed, and it does not depend on how
    deep in a run the question came."""
    stamp = trail.contents.get(path)
    deep = any(finding.message == TOO_DEEP for finding in report.findings)
    return stamp is not None and stamp[1] != UNREADABLE and not report.crashes and not deep
