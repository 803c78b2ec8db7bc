"""Puts the rulebook on the site: one page per rule from `rules/`, their index and what stands behind them, computed."""

from __future__ import annotations

from pathlib import Path

from coverage_page import table
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from safecall_lint.rulebook import rulebook
from safecall_lint.settings.describe import schema

ROOT = Path(__file__).parents[2]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages; take out what is no page."""
    for file in list(files):
        if file.src_uri.startswith("build/") or file.src_uri.endswith(".toml"):
            files.remove(file)
    for path in sorted((ROOT / "rules").glob("*.md")):
        files.append(File.generated(config, f"rules/{path.name}", content=path.read_text("utf-8")))
    files.append(File.generated(config, "rules/index.md", content=index()))
    files.append(File.generated(config, "coverage.md", content=table()))
    files.append(File.generated(config, "settings.md", content=settings()))
    return files


def index() -> str:
    """The table of all rules."""
    lines = ["# Rules", "", "| code | name | severity | profile | fix | |", "|---|---|---|---|---|---|"]
    for rule in sorted(rulebook().values(), key=lambda rule: rule.code):
        fix = rule.fixable or "-"
        link = f"[{rule.name}]({rule.name}.md)"
        lines.append(f"| {rule.code} | {link} | {rule.severity} | {rule.profile} | {fix} | {rule.summary} |")
    return "\n".join(lines) + "\n"


def settings() -> str:
    """The settings page, from where they are declared."""
    lines = [
        "# Settings",
        "",
        "In `[tool.safecall-lint]` of the nearest `pyproject.toml`, or at the top level of `safecall-lint.toml`.",
        "`safecall-lint --show-settings` prints what holds for a path, `safecall-lint schema` the JSON schema.",
        "",
        "| key | default | meaning |",
        "|---|---|---|",
    ]
    properties = schema()["properties"]
    assert isinstance(properties, dict)
    for key, row in properties.items():
        lines.append(f"| `{key}` | `{row.get('default', '')}` | {row['description']} |")
    return "\n".join(lines) + "\n"
