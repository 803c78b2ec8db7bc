"""How fast a run is: `python bench/speed.py [--only NAME ...] [--peers NAME ...] [--write]`.

The checkout is installed, as users have it, in an environment of its own beside ruff and whatever peers are asked for.
Pinned releases come from the package index, are unpacked in a temporary folder and never run. For each: the whole tree
cold, again from the cache, one changed file in a hook; beside ruff and the start of `typer`; and, for the projects that
`--peers` names, beside flake8-async, pylint, fixit and semgrep, once each. Then how time grows with the size of a tree
and with the number of processes, and where it goes. `--write` puts the tables and the plot into docs/.
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
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cost import Cost, cost, median
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
HERE = Path(__file__).parent
OURS = ("safecall-lint", "--isolated", "--exit-zero")
COLD = (*OURS, "--no-cache")
RUFF = ("ruff", "check", "--isolated", "--no-cache", "--exit-zero", "--select", "ASYNC,S113,RUF006,BLE", ".")
PEERS = {
    "flake8-async": ("flake8", "--isolated", "--select", "ASYNC", "."),
    "pylint": ("pylint", "--disable=all", "--enable=W3101,W0718,W0702", "--recursive=y", "--jobs=0", "."),
    "fixit": ("fixit", "--quiet", "lint", "."),
    "semgrep": ("semgrep", "scan", "--metrics=off", "--quiet", f"--config={HERE / 'semgrep.yaml'}", "."),
}  # fmt: skip
PACKAGES = ("ruff", "flake8", "flake8-async", "pylint", "fixit", "semgrep")


@dataclass(frozen=True)
class Environment:
    """A virtual environment; commands run from it."""

    folder: Path

    def command(self, words: Sequence[str]) -> list[str]:
        """A command line with the environment's own program."""
        return [str(self.folder / "bin" / words[0]), *words[1:]]

    def cost(self, words: Sequence[str], folder: Path) -> Cost:
        """What a command takes once."""
        return cost(self.command(words), folder)

    def typical(self, words: Sequence[str], folder: Path, runs: int) -> Cost:
        """What a command takes, as the median of several runs."""
        return median([self.cost(words, folder) for _ in range(runs)])


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as temporary:
        environment = _environment(Path(temporary) / "environment", PACKAGES if options.peers else PACKAGES[:1])
        trees = {name: _fetched(RELEASES[name], Path(temporary) / name) for name in options.only}
        rows = [row for name, tree in trees.items() for row in _tree(name, tree, environment, options)]
        starts = _starts(environment, max(options.runs, 5))
        scaled = list(_scaled(trees[SCALED], environment)) if SCALED in trees else []
        tree = trees.get("prefect", next(iter(trees.values())))
        jobs = [(count, environment.cost((*COLD, "--jobs", str(count), "."), tree)) for count in _counts()]
        stages = subprocess.run(
            environment.command(("python", str(HERE / "stages.py"), str(tree))),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    text = page(rows, starts, scaled, jobs, _exponent(scaled), stages)
    print(text)
    if options.write:
        _write(text, scaled)


def _write(text: str, scaled: Sequence[tuple[int, float, float]]) -> None:
    docs = HERE.parent / "docs"
    target = docs / "benchmarks.md"
    head, _, rest = target.read_text("utf-8").partition("<!-- speed -->\n")
    rest = rest.partition("<!-- /speed -->\n")[2]
    target.write_text(f"{head}<!-- speed -->\n{text}<!-- /speed -->\n{rest}", "utf-8")
    (docs / "speed.svg").write_text(plot(scaled), "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="runs of each command; the median counts")
    parser.add_argument("--only", nargs="*", default=list(RELEASES), choices=list(RELEASES))
    parser.add_argument("--peers", nargs="*", default=[], choices=list(RELEASES), help="where the slow peers run too")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md and docs/speed.svg")
    return parser.parse_args()


def _environment(folder: Path, packages: Sequence[str]) -> Environment:
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, str(HERE.parent), *packages], check=True)
    return Environment(folder)


def _fetched(release: str, folder: Path) -> Path:
    """A release's files, unpacked."""
    folder.mkdir()
    tree = folder / "tree"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", release, "--dest", str(folder)]
    for form in (["--no-binary", ":all:"], []):
        if subprocess.run([*pip, *form], capture_output=True, check=False).returncode == 0:
            break
    archive = next(path for path in folder.iterdir() if path.suffix in (".gz", ".whl"))
    if archive.suffix == ".whl":
        shutil.unpack_archive(archive, tree, "zip")
    else:
        shutil.unpack_archive(archive, tree, "gztar", filter="data")
    return tree


def _tree(name: str, tree: Path, environment: Environment, options: argparse.Namespace) -> Iterator[tuple[str, ...]]:
    """The rows of one project."""
    files = list(tree.rglob("*.py"))
    size = sum(path.stat().st_size for path in files) / 1e6
    noisy, quiet = _examples(tree, environment)
    cold = environment.typical((*COLD, "."), tree, options.runs)
    environment.cost((*OURS, "."), tree)
    rows = [
        ("safecall-lint, cold", cold),
        ("safecall-lint, nothing changed", environment.typical((*OURS, "."), tree, options.runs)),
    ]
    for label, file in (("a changed file with findings", noisy), ("a changed file without", quiet)):
        if file:
            rows.append((f"safecall-lint, {label}", _changed(tree, file, environment, options.runs)))
    rows.append(("ruff", environment.typical(RUFF, tree, options.runs)))
    if name in options.peers:
        rows += [(peer, environment.cost(words, tree)) for peer, words in PEERS.items()]
    for number, (label, one) in enumerate(rows):
        yield name, f"{len(files):,}" * (not number), f"{size:.1f}" * (not number), label, *_cells(one, cold)


def _examples(tree: Path, environment: Environment) -> tuple[str, str]:
    """A file with findings, and one that names httpx and has none."""
    words = environment.command((*COLD, "--output-format", "concise", "."))
    done = subprocess.run(words, cwd=tree, capture_output=True, text=True, check=True)
    noisy = list(dict.fromkeys(line.partition(":")[0] for line in done.stdout.splitlines() if ".py:" in line))
    texts = {str(path.relative_to(tree)): path.read_text("utf-8", "replace") for path in sorted(tree.rglob("*.py"))}
    quiet = [path for path, text in texts.items() if path not in noisy and "import httpx" in text]
    return _middle(noisy), _middle(quiet)


def _middle(found: Sequence[str]) -> str:
    return found[len(found) // 2] if found else ""


def _changed(tree: Path, file: str, environment: Environment, runs: int) -> Cost:
    """A hook's run on one file that has changed since the whole tree was linted."""
    costs = []
    for number in range(runs):
        with (tree / file).open("a", encoding="utf-8") as text:
            text.write(f"\n# change {number}\n")
        costs.append(environment.cost((*OURS, file), tree))
    return median(costs)


def _starts(environment: Environment, runs: int) -> list[tuple[str, float]]:
    """Seconds that a Python needs to begin."""
    found = []
    for code in ("import typer", "import libcst, typer"):
        wall = environment.typical(("python", "-c", code), Path.cwd(), runs).wall
        found.append((f'python -c "{code}"', wall))
    return found


def _scaled(tree: Path, environment: Environment) -> Iterator[tuple[int, float, float]]:
    """Copies, megabytes and CPU seconds of ever more copies of one tree, each a project of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        for size in SIZES:
            for number in range(len(list(Path(temporary).iterdir())), size):
                copy = Path(temporary) / f"copy{number:02}"
                shutil.copytree(tree, copy)
                (copy / "setup.py").touch()
            weight = sum(path.stat().st_size for path in Path(temporary).rglob("*.py")) / 1e6
            yield size, weight, environment.cost((*COLD, "--jobs", "1", "."), Path(temporary)).cpu


def _counts() -> list[int]:
    return sorted({1, 2, os.cpu_count() or 1})


def _exponent(rows: Sequence[tuple[int, float, float]]) -> float:
    """The slope of log time over log size beyond the start, by least squares."""
    points = [(math.log(weight), math.log(seconds)) for _, weight, seconds in rows]
    if len(points) < 2:
        return math.nan
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _cells(cost: Cost, cold: Cost) -> tuple[str, ...]:
    return f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.peak:.0f}", f"{cost.wall / cold.wall:.2f}"


if __name__ == "__main__":
    main()
