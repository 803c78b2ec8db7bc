"""A new library is one file: with it in the package, and nothing else touched, the rules know the library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import safecall_lint
from safecall_lint.rulebook import pages_folder

PACKAGE = Path(safecall_lint.__file__).parent
TABLE = """
packages = ["zephyr"]

[symbols."zephyr.AsyncZephyr"]
kind = "client"
style = "async"
calls = ["blow", "*.*"]
timeout-keyword = "patience"
timeout-remedy = "20"
call-timeout = "patience"
retries-keyword = "tries"
retries-default = 3
close = "calm"
timeout-exception = "zephyr.Calm"
status-exception = "zephyr.Refused"
base-exception = "zephyr.Error"
transient = ["zephyr.Calm"]

[symbols."zephyr.Zephyr"]
kind = "client"
style = "sync"
calls = ["blow"]
timeout-default = 5.0

[symbols."zephyr.Gusts"]
kind = "limiter"
value-keyword = "rate"
value-position = 0
waits = ["wait"]

[symbols."zephyr.Vane"]
kind = "gate"
value-keyword = "size"
value-position = 0
waits = ["acquire"]
releases = ["release"]

[symbols."zephyr.pause"]
kind = "sleep"
style = "async"
value-position = 0

[exceptions]
"zephyr.Error" = { bases = ["builtins.Exception"] }
"zephyr.Calm" = { bases = ["zephyr.Error"], means = "timeout" }
"zephyr.Refused" = { bases = ["zephyr.Error"], means = "status" }
"""
CODE = """\
import asyncio
from zephyr import AsyncZephyr, Calm, Gusts, Vane, Zephyr, pause

client = AsyncZephyr()  # SCL103
told = AsyncZephyr(patience=20, tries=0)
still = Zephyr()
gusts = Gusts(5)  # SCL601
vane = Vane(3)


async def fresh(place):
    wind = AsyncZephyr(patience=9)  # SCL104
    return await wind.blow(place)


async def own_vane(place):
    vane = Vane(3)  # SCL201
    async with vane:
        return await told.blow(place)


async def slow(place):
    async with vane:
        await pause(2)  # SCL203
        return await told.blow(place)


async def paced(place):
    async with vane:
        await gusts.wait()  # SCL205
        return await told.blow(place)


async def hurried(place):
    try:
        return await told.winds.blow(place)
    except TimeoutError:  # SCL301
        return None


async def stubborn(place):
    for attempt in range(3):  # SCL405
        try:
            return await client.blow(place)
        except Calm:
            await asyncio.sleep(2**attempt)


async def blocking(place):
    return still.blow(place)  # SCL502
"""
RULES = "SCL103,SCL104,SCL201,SCL203,SCL205,SCL301,SCL405,SCL502,SCL601"


def test_one_file_makes_a_library_known_to_the_rules(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "app.py").write_text(CODE)
    (project / "Procfile").write_text("web: uvicorn app:app --workers 4\n")
    copy = tmp_path / "site" / "safecall_lint"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "runtime", "_rules"))
    shutil.copytree(pages_folder(), copy / "_rules")

    assert _found(copy, project) == []
    (copy / "knowledge" / "zephyr.toml").write_text(TABLE)
    wanted = [(n, line[-6:]) for n, line in enumerate(CODE.splitlines(), start=1) if "# SCL" in line]
    assert _found(copy, project) == wanted


def _found(package: Path, project: Path) -> list[tuple[int, str]]:
    command = [
        *(sys.executable, "-m", "safecall_lint", "--isolated", "--profile", "all"),
        *("--select", RULES, "--output-format", "json", "--exit-zero", "."),
    ]
    environment = {**os.environ, "PYTHONPATH": os.fspath(package.parent)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
    return sorted((row["line"], row["code"]) for row in json.loads(done.stdout))
