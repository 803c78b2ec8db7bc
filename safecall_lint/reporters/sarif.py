"""Findings as SARIF 2.1.0, for code scanning."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

from safecall_lint.finding import Edit, Finding, Fix, Label, Severity, Span
from safecall_lint.reporters.lines import Line, plain
from safecall_lint.reporters.sources import Sources
from safecall_lint.rulebook import Rule, rulebook

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
Json = dict[str, object]


def lines(findings: Iterable[Finding], sources: Sources) -> Iterator[Line]:
    """One run with the rules that it names."""
    found = list(findings)
    rules = sorted({finding.name for finding in found}, key=lambda name: rulebook()[name].code)
    run: Json = {
        "tool": {"driver": {"name": "safecall-lint", "rules": [_rule(rulebook()[name]) for name in rules]}},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"%SRCROOT%": {"uri": f"{Path.cwd().as_uri()}/"}},
        "results": [_result(finding, rules) for finding in found],
    }
    yield plain(json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2))


def _rule(rule: Rule) -> Json:
    help = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in rule.page.sections.items())
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": rule.page.sections["What it does"]},
        "help": {"text": help, "markdown": help},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": [rule.group], "precision": "high" if rule.profile == "default" else "medium"},
    }


def _result(finding: Finding, rules: list[str]) -> Json:
    result: Json = {
        "ruleId": finding.code,
        "ruleIndex": rules.index(finding.name),
        "level": _LEVELS[finding.severity],
        "message": {"text": "\n".join(filter(None, [finding.message, finding.label, *finding.notes, finding.help]))},
        "locations": [_location(finding.path, finding.span)],
    }
    if finding.labels:
        result["relatedLocations"] = [_related(number, label) for number, label in enumerate(finding.labels, start=1)]
    if finding.fix and finding.fix.edits:
        result["fixes"] = [_fix(finding.path, finding.fix)]
    return result


def _related(number: int, label: Label) -> Json:
    return {"id": number, **_location(label.path, label.span), "message": {"text": label.message}}


def _location(path: str, span: Span) -> Json:
    return {"physicalLocation": {"artifactLocation": _artifact(path), "region": _region(span)}}


def _fix(path: str, fix: Fix) -> Json:
    change = {"artifactLocation": _artifact(path), "replacements": [_replacement(edit) for edit in fix.edits]}
    return {"description": {"text": fix.title}, "artifactChanges": [change]}


def _replacement(edit: Edit) -> Json:
    return {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}


def _artifact(path: str) -> Json:
    """Below the working directory a path is relative to it; elsewhere it is a whole URI."""
    if Path(path).is_absolute():
        return {"uri": Path(path).as_uri()}
    return {"uri": quote(os.fsencode(path)), "uriBaseId": "%SRCROOT%"}


def _region(span: Span) -> Json:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
