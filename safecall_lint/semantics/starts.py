"""What a project's own files say about processes by the commands that start it: Dockerfiles, Procfiles, scripts and
units, gunicorn settings, and Python that runs a server itself. Each is read into rows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from safecall_lint.semantics.scan import dotted

_COMMAND: Final = re.compile(r"(?:--workers[\s=\"',]+|(?<!\S)[\"']?-w[\s\"',]+)[\"']?(\$\{\w+:-)?(\d+)")
_CONCURRENCY: Final = re.compile(r"\bWEB_CONCURRENCY\b[\s=:\"']+(\$\{\w+:-)?(\d+)")
SERVERS: Final = re.compile(r"\b(?:gunicorn|uvicorn|hypercorn|granian|fastapi)\b|--workers\b")
JOBS: Final = re.compile(r"\b(?:rq worker|celery\b.*\bworker|dramatiq|taskiq worker|huey_consumer|arq)\b")
_DEFAULT: Final = "by default"
_RUNS: Final = frozenset({"uvicorn.run", "granian.Granian"})


class Row(NamedTuple):
    """A line that says how many processes run. `pods` tells replicas from workers in one. `bound` is "" where it is
    this number wherever the file is used, else "at least", "up to" or "by default"."""

    line: int
    number: int
    pods: bool
    bound: str = ""


def commands(text: str, shown: str) -> Iterator[Row]:
    """Start commands, line by line; one that goes on in the next line is read as a whole."""
    numbered = enumerate(text.splitlines(), start=1)
    code = [(number, line) for number, line in numbered if not line.lstrip().startswith("#")]
    before = ""
    for number, line in code:
        yield from command(line, number, before)
        before = f"{before} {line[:-1]}" if line.endswith("\\") else ""
    jobs = next((number for number, line in code if _starts(line, JOBS)), 0)
    if jobs and any(_starts(line, SERVERS) for _, line in code):
        yield Row(jobs, 2, True, "at least")


def _starts(line: str, program: re.Pattern[str]) -> bool:
    """Whether a line of a script runs a program, not only speaks of it."""
    found = program.search(line)
    return found is not None and not re.search(r"\b(?:echo|log|info_log|debug_log|printf|install)\b", line)


def command(line: str, number: int, before: str = "") -> Iterator[Row]:
    """What one line says; `before` are the lines that it goes on with."""
    if concurrency := _CONCURRENCY.search(line):
        yield Row(number, int(concurrency[2]), False, _DEFAULT if concurrency[1] else "")
    elif SERVERS.search(before + line) and (workers := _COMMAND.search(line)):
        yield Row(number, int(workers[2]), False, _DEFAULT if workers[1] else "")


def gunicorn(text: str, shown: str) -> Iterator[Row]:
    """The settings of gunicorn, which are Python."""
    for statement in _body(text):
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "workers":
            count = _least(statement.value)
            if count is not None:
                yield Row(statement.lineno, count, False, _bound(statement.value))


def python(text: str, shown: str) -> Iterator[Row]:
    """A program that runs a server itself: `uvicorn.run("app:app", workers=4)`."""
    for node in (part for statement in _body(text) for part in ast.walk(statement)):
        if isinstance(node, ast.Call) and dotted(node.func) in _RUNS:
            for keyword in node.keywords:
                count = _least(keyword.value) if keyword.arg == "workers" else None
                if count is not None:
                    yield Row(keyword.value.lineno, count, False, _bound(keyword.value))


def _bound(expr: ast.expr) -> str:
    return "" if isinstance(expr, ast.Constant) else "at least" if "cpu_count" in ast.unparse(expr) else _DEFAULT


def _body(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return []


def _least(expr: ast.expr) -> int | None:
    """The least number that an expression of settings can be: as if there were one core, and nothing in the
    environment."""
    match expr:
        case ast.Constant(int() as value) if not isinstance(value, bool):
            return value
        case ast.Constant(str() as text) if text.isdecimal():
            return int(text)
        case ast.BinOp(left, (ast.Add() | ast.Mult()) as op, right):
            one, two = _least(left), _least(right)
            if one is None or two is None:
                return None
            return one + two if isinstance(op, ast.Add) else one * two
        case ast.Call(func, args):
            return _least_call(dotted(func).rpartition(".")[2], [_least(arg) for arg in args])
        case ast.BoolOp(ast.Or(), [*_, last]):
            return _least(last)
        case _:
            return None


def _least_call(name: str, given: list[int | None]) -> int | None:
    known = [item for item in given if item is not None]
    match name:
        case "cpu_count" | "process_cpu_count":
            return 1
        case "int" if known:
            return known[0]
        case "getenv" | "get" if len(given) == 2:
            return given[1]
        case "max" if known:
            return max(known)
        case "min" if known and len(known) == len(given):
            return min(known)
        case _:
            return None
