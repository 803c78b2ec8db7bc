"""Every measurement of the runtime in one run: `python bench/runtime/all.py [--write] [--also PYTHON ...]`.

It prints the tables of docs/runtime/benchmarks.md, and with `--write` puts them there, between the two markers. Takes
less than ten minutes on two quiet cores; figures of a busy machine are worth nothing. The peers come from the
environment, and those that are missing are named: tenacity, aiolimiter, purgatory, aiobreaker, pyresilience,
interlock-cb[tenacity], limits, throttled-py, pyrate-limiter.

Other interpreters are measured for conservation only; they need nothing but anyio.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "runtime" / "benchmarks.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
SCRIPTS = ("overhead", "limiters", "waiting", "recovery", "outage", "streams", "goodput", "conservation")
CLIENTS = ("httpx", "httpx2")
PEERS = (
    "tenacity", "aiolimiter", "purgatory", "aiobreaker", "pyresilience", "interlock-cb", "limits", "throttled-py",
    "pyrate-limiter",
)  # fmt: skip
CONSERVATION = """\
## Nothing is lost

100,000 calls in 20 runs, failed, timed out, repeated and cancelled at random, with fewer retries allowed than wanted.
Afterwards every slot, token, probe and retry of the budget is looked for (`conservation.py`):

| Python | calls ended as | retries | runs with something missing |
|---|---|---|---|"""


def installed(name: str) -> str | None:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return None


def environment() -> str:
    """What was measured, and what was not there to be measured."""
    there = ", ".join(filter(None, map(installed, (*CLIENTS, *PEERS))))
    missing = [name for name in (*CLIENTS, *PEERS) if installed(name) is None]
    lines = [
        f"CPython {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start.",
        there + ".",
    ]
    if missing:
        lines.append(f"Missing peers: {', '.join(missing)}.")
    return "\n".join(lines) + "\n"


def output_of(name: str, python: str) -> str:
    """Run one script, showing what it prints while it runs."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])}
    command = [python, str(HERE / f"{name}.py")]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit status {process.returncode}")
    return "".join(lines)


def measured(also: list[str]) -> str:
    """Every table, in the order of the page."""
    parts = [environment()]
    print(parts[0])
    for name in SCRIPTS:
        if name != "conservation":
            parts.append(output_of(name, sys.executable))
            print()
            continue
        print(CONSERVATION)
        rows = "".join(output_of(name, python) for python in (sys.executable, *also))
        parts.append(f"{CONSERVATION}\n{rows}")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/runtime/benchmarks.md")
    parser.add_argument("--also", nargs="*", default=[], metavar="PYTHON", help="other interpreters, for conservation")
    options = parser.parse_args()
    start = time.perf_counter()
    tables = measured(options.also)
    print(f"\n{time.perf_counter() - start:.0f} s in all", file=sys.stderr)
    if options.write:
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        PAGE.write_text(before + BEGIN + "\n" + tables + "\n" + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
