"""A linter with three made-up rules, so that these tests speak about the shell and not about any real rule."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from safecall_lint import rulebook as rulebook_module
from safecall_lint import settings, visiting
from safecall_lint.finding import Confidence, Edit, Finding, Fix, Safety, Span
from safecall_lint.rulebook import rulebook
from safecall_lint.semantics.project import Project, parse
from safecall_lint.source import Source
from safecall_lint.visiting import RuleCrash

PAGE = """# {name}

```toml
code = "{code}"
summary = "a made-up fault"
group = "made-up"
severity = "{severity}"
profile = "{profile}"
since = "0.1.0"
```

## What it does

Reports a made-up fault.
"""
RULES = [
    ("bad-call", "SCL101", "error", "default"),
    ("slow-call", "SCL201", "warning", "default"),
    ("odd-call", "SCL202", "info", "strict"),
]
CALLS = {
    "bad": ("bad-call", "good", Safety.SAFE),
    "slow": ("slow-call", "fast", Safety.UNSAFE),
    "odd": ("odd-call", "", None),
    "weird": ("slow-call", "", None),
    "shown": ("slow-call", "good", Safety.DISPLAY),
    "broken": ("bad-call", "good((", Safety.SAFE),
    "stubborn": ("bad-call", "stubborn ", Safety.SAFE),
    "worse": ("bad-call", "slow", Safety.SAFE),
    "foreign": ("bad-call", "gut_\u00fc", Safety.SAFE),
    "odder": ("bad-call", "odd", Safety.SAFE),
    "chain": ("bad-call", "bad", Safety.UNSAFE),
}
OWN_FIXES = ("needs", "eraser", "idle", "first")
IMPORT = "import x\n"


@pytest.fixture(autouse=True)
def made_up_rules(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the rulebook by the made-up rules and the engine's own, and the visitors by a function."""
    own = [rule for rule in rulebook().values() if rule.engine]
    folder = tmp_path_factory.mktemp("rules")
    for name, code, severity, profile in RULES:
        page = PAGE.format(name=name, code=code, severity=severity, profile=profile)
        (folder / f"{name}.md").write_text(page, "utf-8")
    for rule in own:
        (folder / f"{rule.name}.md").write_text(rule.text, "utf-8")
    monkeypatch.setattr(rulebook_module, "pages_folder", lambda: folder)
    monkeypatch.setattr(visiting, "check", check)
    rulebook.cache_clear()
    settings.select.cache_clear()
    yield
    rulebook.cache_clear()
    settings.select.cache_clear()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def check(source: Source, project: Project, rules: Collection[str], lenient: object = ()) -> list[Finding]:
    """The made-up visitors: each call of a name in `CALLS` is a fault."""
    tree = parse(source)
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    return [
        finding
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        for finding in _call(source, node, node.func, _innermost(statements, node), rules)
    ]


def _innermost(statements: list[ast.stmt], node: ast.expr) -> ast.stmt:
    around = [one for one in statements if one.lineno <= node.lineno and (one.end_lineno or 0) >= node.lineno]
    return max(around, key=lambda one: (one.lineno, one.col_offset))


def _call(
    source: Source, node: ast.Call, func: ast.Name, statement: ast.stmt, rules: Collection[str]
) -> Iterator[Finding]:
    if func.id == "crash" and "bad-call" in rules:
        raise RuleCrash("bad-call", node.lineno, ValueError("made up"))
    if func.id == "deep":
        raise RecursionError
    if func.id == "fails":
        raise ValueError("made up")
    name = CALLS[func.id][0] if func.id in CALLS else "bad-call" if func.id in OWN_FIXES else ""
    if name not in rules:
        return
    span = source.span_at(node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0)
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if body else statement.end_lineno or 0
    yield Finding(
        path=source.path,
        span=span,
        code=rulebook()[name].code,
        name=name,
        severity=rulebook()[name].severity,
        confidence=Confidence.HIGH,
        message=f"`{func.id}` is called",
        label="called here",
        help="call something else",
        fix=_fix(source, func, statement, span),
        where=(statement.lineno, max(last, statement.lineno)),
        strict=func.id == "weird",
    )


def _fix(source: Source, func: ast.Name, statement: ast.stmt, call: Span) -> Fix | None:
    span = source.span_at(func.lineno, func.col_offset, func.end_lineno or 0, func.end_col_offset or 0)
    if func.id == "needs":
        top = () if source.text.startswith(IMPORT) else (Edit(source.span(0, 0), IMPORT),)
        return Fix("import x", Safety.SAFE, (*top, Edit(span, "x.good")))
    if func.id == "eraser":
        first, last = source.line_starts[statement.lineno - 1], source.line_starts[statement.end_lineno or 0]
        return Fix("delete the line", Safety.SAFE, (Edit(source.span(first, last), ""),))
    if func.id == "idle":
        return Fix("call `good` without arguments", Safety.SAFE, (Edit(call, "good()"),))
    if func.id == "first":
        return Fix("call `good`", Safety.SAFE, (Edit(span, "bad" if "bad(" in source.text else "good"),))
    _, text, safety = CALLS[func.id]
    return (
        Fix(f"call `{text}`", safety, (Edit(span, text),), "" if safety is Safety.SAFE else "it differs")
        if safety
        else None
    )


def lines_of(findings: Collection[Finding]) -> list[tuple[str, int]]:
    """Names and lines."""
    return [(finding.name, finding.span.line) for finding in findings]
