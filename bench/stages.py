"""Where the CPU time of a run goes: `python bench/stages.py FOLDER` lints it in one process and says so by stage.

A stage's own time is without the stages that it leads to: what a rule asks of the semantic model counts as the rule's,
and a module that must be parsed for it as parsing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from typing import Any

import libcst

from safecall_lint.cli import run
from safecall_lint.semantics import project, scanner
from safecall_lint.semantics.marks import Marks
from safecall_lint.semantics.triage import Triage
from safecall_lint.visiting import inspect, walker

_STAGES: tuple[tuple[Any, str, str], ...] = (
    (project, "parse", "ast.parse"),
    (project, "forget", "letting go of modules"),
    (scanner, "scan_function", "scanning functions"),
    (scanner, "scan_body", "scanning modules and classes"),
    (Triage, "matters", "triage"),
    (Marks, "fitting", "which rules fit a piece"),
    (inspect, "_worth", "whether a rule is worth it"),
    (libcst, "parse_module", "LibCST's parser"),
    (walker, "walk", "walks of the rules"),
    (inspect, "_finding", "findings, spans and fixes"),
)


class Clock:
    """Exclusive process time by stage."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._open: list[str] = ["the rest"]
        self._since = time.process_time()

    def enter(self, stage: str) -> None:
        self._book()
        self._open.append(stage)

    def leave(self) -> None:
        self._book()
        self._open.pop()

    def _book(self) -> None:
        now = time.process_time()
        self.spent[self._open[-1]] += now - self._since
        self._since = now


def timed(clock: Clock, stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with its time booked."""

    @wraps(work)
    def inner(*args: Any, **kwargs: Any) -> Any:
        clock.enter(stage)
        try:
            return work(*args, **kwargs)
        finally:
            clock.leave()

    return inner


def main() -> None:
    clock = Clock()
    for owner, name, stage in _STAGES:
        original = getattr(owner, name)
        replacement = timed(clock, stage, original)
        setattr(owner, name, replacement)
        for module in [module for key, module in sys.modules.items() if key.startswith("safecall_lint")]:
            if getattr(module, name, None) is original:
                setattr(module, name, replacement)
    os.chdir(sys.argv[1])
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        run(["--isolated", "--no-cache", "--exit-zero", "--jobs", "1", "--output-format", "concise", "."])
    clock.leave()
    total = sum(clock.spent.values())
    print("| stage | CPU s | share |\n|---|---|---|")
    for stage, seconds in sorted(clock.spent.items(), key=lambda row: -row[1]):
        print(f"| {stage} | {seconds:.2f} | {seconds / total:.0%} |")


if __name__ == "__main__":
    main()
