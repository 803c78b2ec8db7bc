"""How fast a run is: `python bench/speed.py [--peers] [--only NAME ...] [--write]`.

Pinned releases come from the package index, are unpacked in a temporary folder and never run. For each: the whole tree
cold, again from the cache, and one changed file; beside ruff, the start of `typer` and, with `--peers`, flake8-async
and pylint. Then how time grows with the size of a tree, and with the number of processes. `--write` puts the tables
and the plot into docs/.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from speed_page import page, plot

RELEASES = {
    "litellm": "litellm==1.109.1",
    "openai": "openai==3.54.0",
    "prefect": "prefect==3.9.1",
    "llama-index-core": "llama-index-core==0.14.25",
    "docling-serve": "docling-serve==1.38.2",
}
SCALED = "llama-index-core"
SIZES = (1, 2, 4, 8, 16)
OURS = ("safecall-lint", "--isolated", "--exit-zero", "--output-format", "concise")
PEERS = {
    "ruff": ("ruff", "check", "--isolated", "--no-cache", "--exit-zero", "--select", "ASYNC,S113,RUF006,BLE", "."),
    "pylint": ("pylint", "--disable=all", "--enable=W3101,W0718,W0702", "--recursive=y", "--jobs=0", "."),
    "flake8-async": ("flake8", "--isolated", "--select", "ASYNC", "."),
}
_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of wall and CPU time, megabytes of all its processes at their peak."""

    wall: float
    cpu: float
    peak: float


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as temporary:
        trees = {name: _fetched(RELEASES[name], Path(temporary) / name) for name in options.only}
        rows = [row for name, tree in trees.items() for row in _tree(name, tree, options)]
        starts = _starts(options.runs)
        scaled = list(_scaled(trees[SCALED])) if SCALED in trees else []
        jobs = list(_jobs(next(iter(trees.values()))))
    text = page(rows, starts, scaled, jobs, _exponent(scaled))
    print(text)
    if options.write:
        docs = Path(__file__).parent.parent / "docs"
        target = docs / "benchmarks.md"
        head, _, rest = target.read_text("utf-8").partition("<!-- speed -->\n")
        rest = rest.partition("<!-- /speed -->\n")[2]
        target.write_text(f"{head}<!-- speed -->\n{text}<!-- /speed -->\n{rest}", "utf-8")
        (docs / "speed.svg").write_text(plot(scaled), "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="runs of each command; the median counts")
    parser.add_argument("--only", nargs="*", default=list(RELEASES), choices=list(RELEASES))
    parser.add_argument("--peers", action="store_true", help="time the slow peers too, once")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and docs/speed.svg")
    return parser.parse_args()


def _fetched(release: str, folder: Path) -> Path:
    """A release's files, unpacked."""
    folder.mkdir()
    tree = folder / "tree"
    for form in (["--no-binary", ":all:"], []):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            *form,
            release,
            "--dest",
            str(folder),
        ]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            break
    archive = next(path for path in folder.iterdir() if path.suffix in (".gz", ".whl"))
    if archive.suffix == ".whl":
        shutil.unpack_archive(archive, tree, "zip")
    else:
        shutil.unpack_archive(archive, tree, "gztar", filter="data")
    return tree


def _tree(name: str, tree: Path, options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """The rows of one project."""
    files = list(tree.rglob("*.py"))
    size = sum(path.stat().st_size for path in files) / 1e6
    cache = tree.parent / "cache"
    kept = (*OURS, "--cache-dir", str(cache))
    cold = _median([_cost([*OURS, "--no-cache", "."], tree) for _ in range(options.runs)])
    _cost([*kept, "."], tree)
    warm = _median([_cost([*kept, "."], tree) for _ in range(options.runs)])
    noisy, quiet = _changed(tree)
    ruff = _median([_cost(PEERS["ruff"], tree) for _ in range(options.runs)])
    yield name, f"{len(files):,}", f"{size:.1f}", "safecall-lint, cold", *_cells(cold, cold)
    yield name, "", "", "safecall-lint, from the cache", *_cells(warm, cold)
    for label, one in (("one file with findings", noisy), ("one file without", quiet)):
        if one:
            cost = _median([_cost([*OURS, "--no-cache", one], tree) for _ in range(options.runs)])
            yield name, "", "", f"safecall-lint, {label}", *_cells(cost, cold)
    yield name, "", "", "ruff", *_cells(ruff, cold)
    for peer in ("pylint", "flake8-async") if options.peers else ():
        yield name, "", "", peer, *_cells(_cost(PEERS[peer], tree), cold)


def _changed(tree: Path) -> tuple[str, str]:
    """A file with findings and one without any that names a client library."""
    done = subprocess.run(_command([*OURS, "--no-cache", "."]), cwd=tree, capture_output=True, text=True, check=True)
    noisy = [line.partition(":")[0] for line in done.stdout.splitlines() if ".py:" in line]
    texts = {str(path.relative_to(tree)): path.read_text("utf-8", "replace") for path in sorted(tree.rglob("*.py"))}
    quiet = (path for path, text in texts.items() if path not in noisy and "import httpx" in text)
    return (noisy[len(noisy) // 2] if noisy else ""), next(quiet, "")


def _starts(runs: int) -> list[tuple[str, float]]:
    """Seconds that a Python needs to begin."""
    found = []
    for code in ("import typer", "import libcst, typer"):
        cost = _median([_cost([sys.executable, "-c", code], Path.cwd()) for _ in range(max(runs, 5))])
        found.append((f'python -c "{code}"', cost.wall))
    return found


def _scaled(tree: Path) -> Iterator[tuple[int, float, float]]:
    """Copies, megabytes and CPU seconds of ever more copies of one tree, each a project of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        for size in SIZES:
            for number in range(len(list(Path(temporary).iterdir())), size):
                copy = Path(temporary) / f"copy{number:02}"
                shutil.copytree(tree, copy)
                (copy / "setup.py").touch()
            weight = sum(path.stat().st_size for path in Path(temporary).rglob("*.py")) / 1e6
            cost = _cost([*OURS, "--no-cache", "--jobs", "1", "."], Path(temporary))
            yield size, weight, cost.cpu


def _jobs(tree: Path) -> Iterator[tuple[int, Cost]]:
    for jobs in sorted({1, 2, os.cpu_count() or 1}):
        yield jobs, _cost([*OURS, "--no-cache", "--jobs", str(jobs), "."], tree)


def _exponent(rows: Sequence[tuple[int, float, float]]) -> float:
    """The slope of log time over log size beyond the start, by least squares."""
    points = [(math.log(weight), math.log(seconds)) for _, weight, seconds in rows]
    if len(points) < 2:
        return math.nan
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _cells(cost: Cost, cold: Cost) -> tuple[str, ...]:
    return f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.peak:.0f}", f"{cost.wall / cold.wall:.2f}"


def _median(costs: Sequence[Cost]) -> Cost:
    middle = statistics.median
    return Cost(middle(one.wall for one in costs), middle(one.cpu for one in costs), max(one.peak for one in costs))


def _command(command: Sequence[str]) -> list[str]:
    found = shutil.which(command[0], path=f"{_BIN}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        sys.exit(f"{command[0]} is not installed: pip install ruff flake8 flake8-async pylint")
    return [found, *command[1:]]


def _cost(command: Sequence[str], folder: Path) -> Cost:
    start = time.perf_counter()
    process = subprocess.Popen(_command(command), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peaks = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peaks), daemon=True)
    watcher.start()
    _, _, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = 0
    alone = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024 * 1024)
    return Cost(wall, usage.ru_utime + usage.ru_stime, max(*peaks, alone))


def _watch(root: int, peaks: list[float]) -> None:
    """The megabytes of a process and its children, each shared page counted once; on Linux only."""
    while sys.platform == "linux":
        total = sum(map(_proportional, [root, *_children(root)]))
        if not total:
            return
        peaks.append(total / 1024)
        time.sleep(0.02)


def _children(root: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{root}/task/{root}/children").read_text().split()]
    except OSError:
        return []


def _proportional(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
