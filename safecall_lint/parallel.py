"""Many files -> their reports, in several processes where that pays.

A run begins in the process it was started in, and shares the rest out only once it has proved long: most runs are a
hook's few files, and are over before a second process would have read its first.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct, field
from msgspec.structs import replace

from safecall_lint.discovery import Target
from safecall_lint.engine import Linter
from safecall_lint.report import Crash, Report
from safecall_lint.settings import Settings
from safecall_lint.texts import Known
from safecall_lint.trail import Trail

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

ALONE_SECONDS = 0.4
_FEWEST = 8
_CHUNKS_A_LANE = 24
_CHUNK_BYTES = 32_000
Numbered = tuple[int, Report]


class Linters:
    """One linter for each `Settings`. In a process that begins from nothing they begin from nothing too.

    `searches` are those whose answers are known; where they are given, reports come with the trail of what was looked
    at."""

    def __init__(self, searches: Known | None = None) -> None:
        self._searches = searches
        self._linters: dict[Settings, Linter] = {}

    def __reduce__(self) -> tuple[type[Linters], tuple[Known | None]]:
        return Linters, (self._searches,)

    def of(self, settings: Settings) -> Linter:
        """The linter of some settings."""
        if settings not in self._linters:
            trail = Trail(self._searches is not None)
            self._linters[settings] = Linter(settings, trail=trail, searched=self._searches)
        return self._linters[settings]

    def report(self, target: Target) -> Report:
        """What one file gives."""
        linter = self.of(target.settings)
        report = linter.file(target.path)
        return report if self._searches is None else replace(report, trail=linter.project.trail.news())


def reports(targets: Sequence[Target], jobs: int, linters: Linters | None = None) -> Iterator[Numbered]:
    """The reports of files, each with its index in `targets`, as they come in."""
    linters, start = linters or Linters(), time.perf_counter()
    with _uncollected():
        for index, target in enumerate(targets):
            worthwhile = jobs > 1 and len(targets) - index >= _FEWEST
            if worthwhile and time.perf_counter() - start >= ALONE_SECONDS:
                yield from _Crew(targets, linters, min(jobs, len(targets) - index)).run(index)
                return
            yield index, linters.report(target)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: it walks the trees again and again, and they make next to no garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Lane(Struct, eq=False):
    """A worker, the files it has in hand, and the chunks that are kept for it."""

    chunks: deque[range]
    process: BaseProcess
    line: Connection[object, object]
    pending: deque[int] = field(default_factory=deque)


class _Crew:
    """The worker processes of one run.

    Each has a project model of its own, so each goes through one stretch of the tree, where files share modules, and
    takes from the far end of another's when its own is done.
    """

    def __init__(self, targets: Sequence[Target], linters: Linters, size: int) -> None:
        from multiprocessing import get_context

        self.targets = targets
        self.linters = linters
        self.size = size
        self.context: Any = get_context("fork" if _may_fork() else "spawn")
        self.lanes: list[_Lane] = []
        self.processes: list[BaseProcess] = []

    def run(self, first: int) -> Iterator[Numbered]:
        """The reports of the files from `first` on."""
        from multiprocessing.connection import wait

        from safecall_lint.visiting.loading import load_parser

        load_parser()
        gc.freeze()
        try:
            for chunks in _lanes(self.targets, first, self.size):
                self.lanes.append(self._start(chunks))
            while busy := {lane.line: lane for lane in self.lanes if self._give(lane)}:
                for line in wait(list(busy)):
                    yield self._take(next(lane for lane in self.lanes if lane.line is line))
        finally:
            self._stop()
            gc.unfreeze()

    def _start(self, chunks: deque[range]) -> _Lane:
        here, there = self.context.Pipe()
        others = [here, *(lane.line for lane in self.lanes)] if _may_fork() else []
        process = self.context.Process(
            target=_work, args=(there, others, self.targets, self.linters), name="safecall-lint", daemon=True
        )
        with _deaf():
            process.start()
            self.processes.append(process)
        there.close()
        return _Lane(chunks, process, here)

    def _give(self, lane: _Lane) -> bool:
        """Hand a worker its next chunk where it has none; False where there is nothing left to do."""
        if lane.pending:
            return True
        longest = max(self.lanes, key=lambda one: len(one.chunks))
        chunk = lane.chunks.popleft() if lane.chunks else longest.chunks.pop() if longest.chunks else None
        if chunk is None:
            return False
        lane.pending.extend(chunk)
        self._send(lane)
        return True

    def _send(self, lane: _Lane) -> None:
        """A worker that has ended takes nothing; reading from it tells."""
        with suppress(OSError):
            lane.line.send(list(lane.pending))

    def _take(self, lane: _Lane) -> Numbered:
        """The next report of a worker. One that ended does not take the other files along: a new one takes over."""
        index = lane.pending.popleft()
        try:
            report, retires = cast("tuple[Report, bool]", lane.line.recv())
            if retires:
                self._replace(lane)
        except (EOFError, OSError):
            lane.process.join()
            report = Report(crashes=(_ended(self.targets[index].path, lane.process.exitcode),))
            self._replace(lane)
        return index, report

    def _replace(self, lane: _Lane) -> None:
        lane.line.close()
        lane.process.join()
        fresh = self._start(deque())
        lane.process, lane.line = fresh.process, fresh.line
        if lane.pending:
            self._send(lane)

    def _stop(self) -> None:
        for lane in self.lanes:
            lane.line.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.join()


def _may_fork() -> bool:
    """Forking is quick and shares what is loaded; macOS' own libraries do not survive it, nor does a held lock."""
    return sys.platform == "linux" and threading.active_count() == 1


@contextmanager
def _deaf() -> Iterator[None]:
    """Start a process that Ctrl-C does not reach: the one that started it ends it. One that comes now comes later."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(
    line: Connection[object, object],
    others: Sequence[Connection[object, object]],
    targets: Sequence[Target],
    linters: Linters,
) -> None:
    """A worker's life: it ends when the process that started it closes its line, or is gone. One that has grown heavy
    says so and ends too: letting a process go is quicker than freeing what it holds."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in others:
        other.close()
    gc.disable()
    from safecall_lint.semantics.project import heavy

    with suppress(EOFError, OSError):
        while True:
            numbers = line.recv()
            assert isinstance(numbers, list)
            for number in numbers:
                report = linters.report(targets[number])
                retires = heavy()
                line.send((report, retires))
                if retires:
                    os._exit(0)


def _ended(path: str, code: int | None) -> Crash:
    how = f"was killed by signal {-code}" if code and code < 0 else f"ended with code {code}"
    return Crash(path, "", f"the process that checked it {how}")


def _lanes(targets: Sequence[Target], first: int, size: int) -> list[deque[range]]:
    """The files from `first` on in as many stretches of like size as there are workers, each in chunks."""
    sizes = [_size(target.path) for target in targets]
    total = sum(sizes[first:])
    chunks = list(_chunks(targets, sizes, first, max(_CHUNK_BYTES, total // (size * _CHUNKS_A_LANE))))
    lanes: list[deque[range]] = [deque() for _ in range(size)]
    done = 0
    for chunk in chunks:
        lanes[min(size - 1, done * size // max(total, 1))].append(chunk)
        done += sum(sizes[index] for index in chunk)
    return lanes


def _chunks(targets: Sequence[Target], sizes: Sequence[int], first: int, limit: int) -> Iterator[range]:
    """Neighbouring files, some `limit` bytes at a time; a folder is cut only where it is larger than that."""
    start, weight = first, 0
    for index in range(first, len(targets)):
        new_folder = index > start and _folder(targets[index]) != _folder(targets[index - 1])
        if weight >= limit or (new_folder and weight >= limit // 2):
            yield range(start, index)
            start, weight = index, 0
        weight += sizes[index]
    if start < len(targets):
        yield range(start, len(targets))


def _folder(target: Target) -> str:
    return target.path.rpartition("/")[0]


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
