"""A line that says how far a long run is, at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable
from typing import TypeVar

_QUIET_SECONDS = 1.0
_STEP_SECONDS = 0.1
Item = TypeVar("Item")


def tracked(items: Iterable[Item], total: int, verb: str) -> Generator[Item]:
    """The items, counted on standard error once they have taken a second."""
    if not sys.stderr.isatty():
        yield from items
        return
    due, shown = time.monotonic() + _QUIET_SECONDS, False
    for number, item in enumerate(items):
        if time.monotonic() >= due:
            due, shown = time.monotonic() + _STEP_SECONDS, True
            print(f"\r{verb} {number:,} of {total:,} files", end="", file=sys.stderr, flush=True)
        yield item
    if shown:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
