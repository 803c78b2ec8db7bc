"""Cached runs find what uncached ones find, whatever changes in between: `python -m bench.cache_property FOLDER`.

Works on a copy of the folder: changes something, lints all files or some of them with the cache, then without it, and
compares everything that is found. Tells how many files had to be linted again.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from safecall_lint.cache import NAME, Cache
from safecall_lint.cli.workspace import lint
from safecall_lint.discovery import discover
from safecall_lint.settings import Lookup, Settings
from tests.edits import change


def compare(rounds: int, seed: int) -> int:
    """Change, lint and compare in the working directory; give the number of rounds that differed."""
    chance, here, differing = random.Random(seed), Path.cwd(), 0
    for number in range(rounds):
        made = [change(here, chance) for _ in range(chance.choice([1, 1, 1, 3]) if number else 0)]
        targets = discover(["."], Lookup(isolated=True, adjust=_all)).targets
        some = targets if chance.random() < 0.5 else chance.sample(targets, min(len(targets), 5))
        cache = Cache(here / NAME)
        kept = sum(cache.session(some).report(target) is not None for target in some)
        cached, plain = lint(some, 1, cache), lint(some, 1)
        same = cached.findings == plain.findings and len(cached.crashes) == len(plain.crashes)
        differing += not same
        print(f"{number}: {', '.join(made)}: {kept} of {len(some)} known{'' if same else ', DIFFERENT'}", flush=True)
        if not same:
            for one in {*cached.findings} ^ {*plain.findings}:
                print(f"    {one.path}:{one.span.line}: {one.name}: {one.message}")
    return differing


def _all(settings: Settings) -> Settings:
    return Settings(root=settings.root, profile="all")


def main() -> int:
    """Copy the folder and compare there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "project")
        shutil.copytree(
            options.folder, copy, ignore=shutil.ignore_patterns(".git", "node_modules", NAME), symlinks=True
        )
        os.chdir(copy)
        differing = compare(options.rounds, options.seed)
        os.chdir(place)
    print(f"{options.rounds} rounds, {differing} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
