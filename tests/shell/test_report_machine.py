"""What programs read: JSON, GitHub's annotations, SARIF."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace

from safecall_lint.finding import Confidence, Edit, Finding, Fix, Label, Safety, Severity
from safecall_lint.reporters import Format, render
from safecall_lint.reporters.lines import text_of
from safecall_lint.reporters.sources import Sources
from safecall_lint.source import Source

SOURCE = Source("app/my llm.py", "é = bad()\nslow(\n)\n")
SARIF_SCHEMA = json.loads(Path(__file__).with_name("sarif-subset.schema.json").read_text("utf-8"))
FINDING = Finding(
    path=SOURCE.path,
    span=SOURCE.span(5, 10),
    code="SCL101",
    name="bad-call",
    severity=Severity.ERROR,
    confidence=Confidence.MEDIUM,
    message="100% bad, so: it\nfails",
    label="called here",
    help="call `good`",
    labels=(Label("b.py", SOURCE.span(0, 2), "made here"),),
    notes=("a note",),
    fix=Fix("call `good`", Safety.UNSAFE, (Edit(SOURCE.span(5, 8), "good"),), "it differs"),
)
SECOND = replace(
    FINDING, span=SOURCE.span(11, 18), severity=Severity.INFO, code="SCL202", name="odd-call", labels=(), fix=None
)

UNEDITED = replace(FINDING, fix=Fix("write it anew", Safety.DISPLAY, ()))


def rendered(format: Format, *findings: Finding) -> str:
    return text_of(render(format, findings, Sources({SOURCE.path: SOURCE})))


def test_json_has_everything_about_a_finding() -> None:
    (finding,) = json.loads(rendered(Format.JSON, FINDING))
    assert finding == {
        "code": "SCL101",
        "name": "bad-call",
        "severity": "error",
        "confidence": "medium",
        "message": "100% bad, so: it\nfails",
        "path": "app/my llm.py",
        "line": 1,
        "column": 5,
        "end_line": 1,
        "end_column": 10,
        "label": "called here",
        "labels": [
            {"path": "b.py", "line": 1, "column": 1, "end_line": 1, "end_column": 2, "message": "made here"},
        ],
        "notes": ["a note"],
        "help": "call `good`",
        "fix": {
            "safety": "unsafe",
            "title": "call `good`",
            "risk": "it differs",
            "edits": [{"line": 1, "column": 5, "end_line": 1, "end_column": 8, "text": "good"}],
        },
    }


def test_json_is_an_array_also_where_nothing_was_found() -> None:
    assert json.loads(rendered(Format.JSON)) == []
    assert json.loads(rendered(Format.JSON, SECOND))[0]["fix"] is None


def test_github_gets_one_command_a_finding_with_everything_escaped() -> None:
    first, second = rendered(Format.GITHUB, replace(FINDING, path="a,b:c.py"), SECOND).splitlines()
    assert first == (
        "::error file=a%2Cb%3Ac.py,line=1,col=5,endLine=1,endColumn=10,title=bad-call (SCL101)::"
        "100%25 bad, so: it%0Afails%0Acalled here%0Ab.py:1: made here%0Aa note%0Ahelp: call `good`"
        "%0Afix: unsafe, call `good` (it differs)"
    )
    assert second.startswith("::notice file=app/my llm.py,line=2,endLine=3,title=odd-call (SCL202)::")


def sarif(*findings: Finding) -> Any:
    return json.loads(rendered(Format.SARIF, *findings))


@pytest.mark.parametrize(
    "findings", [(), (FINDING,), (FINDING, SECOND), (replace(FINDING, path="/abs/ä.py"),), (UNEDITED,)]
)
def test_sarif_is_valid(findings: tuple[Finding, ...]) -> None:
    jsonschema.validate(sarif(*findings), SARIF_SCHEMA)


def test_sarif_points_at_the_place_in_characters() -> None:
    result = sarif(FINDING)["runs"][0]["results"][0]
    location = result["locations"][0]["physicalLocation"]
    assert sarif(FINDING)["runs"][0]["columnKind"] == "unicodeCodePoints"
    assert location["region"] == {"startLine": 1, "startColumn": 5, "endLine": 1, "endColumn": 10}
    assert location["artifactLocation"] == {"uri": "app/my%20llm.py", "uriBaseId": "%SRCROOT%"}
    assert result["relatedLocations"][0]["message"] == {"text": "made here"}


@pytest.mark.parametrize(("path", "uri"), [("b\udcff.py", "b%FF.py"), ("ä.py", "%C3%A4.py")])
def test_sarif_names_a_file_by_its_bytes(path: str, uri: str) -> None:
    location = sarif(replace(FINDING, path=path))["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == uri


@pytest.mark.parametrize("format", Format)
def test_a_name_that_is_no_text_costs_no_report(format: Format, here: Path) -> None:
    Path(os.fsdecode(b"b\xff.py")).write_text("import httpx\nx = (\n")
    command = [sys.executable, "-m", "safecall_lint", "--output-format", format.value, "."]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONUTF8": "1"}, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    text = done.stdout.decode("utf-8")
    assert "syntax-error" in text
    assert format not in (Format.JSON, Format.SARIF) or json.loads(text)


def test_sarif_carries_the_fix_and_the_rule_s_page() -> None:
    run = sarif(FINDING, SECOND)["runs"][0]
    (replacement,) = run["results"][0]["fixes"][0]["artifactChanges"][0]["replacements"]
    assert replacement["insertedContent"] == {"text": "good"}
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["SCL101", "SCL202"]
    assert [result["ruleIndex"] for result in run["results"]] == [0, 1]
    assert "Reports a made-up fault." in run["tool"]["driver"]["rules"][0]["help"]["markdown"]
