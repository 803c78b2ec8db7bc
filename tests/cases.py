"""Code with marks: `# error` stands on each line that a rule reports, and on no other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from safecall_lint.discovery import discover
from safecall_lint.engine import Linter
from safecall_lint.finding import Finding
from safecall_lint.fixes import fix_source
from safecall_lint.page import Block
from safecall_lint.rulebook import Rule
from safecall_lint.settings import Lookup, Settings
from safecall_lint.source import read

Place = tuple[str, int]
MARK = re.compile(r"[ \t]*#[ ]error\b.*$", re.MULTILINE)
EXAMPLE = "example.py"


@dataclass
class Case:
    """Files that are linted together, and what the fixer makes of some of them: the text, and whether it is safe."""

    line: int
    files: dict[str, str] = field(default_factory=dict)
    fixed: dict[str, tuple[str, bool]] = field(default_factory=dict)

    def takes(self, block: Block) -> bool:
        """Whether a block goes on with this case: another file of a project that no fixed block has ended."""
        return bool(block.file) and EXAMPLE not in self.files and block.file not in self.files and not self.fixed


def cases(blocks: Iterable[Block]) -> list[Case]:
    """The cases of a page."""
    found: list[Case] = []
    section = ""
    for block in blocks:
        if block.fixed:
            found[-1].fixed[block.file or EXAMPLE] = (block.text, "safe" in block.words)
        elif block.file or block.language == "python":
            if not found or section != block.section or not found[-1].takes(block):
                found.append(Case(block.line))
            found[-1].files[block.file or EXAMPLE] = block.text
            section = block.section
    return found


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Lay files out in a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


def marked(files: Mapping[str, str]) -> list[Place]:
    """The lines that carry the mark."""
    return sorted(
        (name, number)
        for name, text in files.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if name.endswith(".py") and MARK.search(line)
    )


def unmarked(text: str) -> str:
    """The code without its marks."""
    return MARK.sub("", text)


def lookup(rule: Rule) -> Lookup:
    """Settings that run one rule, everywhere. The engine's own rules speak about the others, so all of them run."""
    select = ("ALL",) if rule.engine else (rule.name,)
    return Lookup(adjust=lambda settings: replace(settings, select=select, profile="all"))


def reported(rule: Rule, folder: str = ".") -> list[Finding]:
    """What a rule reports in a folder."""
    linters: dict[Settings, Linter] = {}
    findings: list[Finding] = []
    for target in discover([folder], lookup(rule)).targets:
        linter = linters.setdefault(target.settings, Linter(target.settings))
        report = linter.file(target.path)
        assert not report.crashes, report.crashes[0].trace
        findings += [finding for finding in report.findings if finding.name == rule.name]
    return findings


def places(findings: Iterable[Finding]) -> list[Place]:
    """The files and lines of findings."""
    return sorted((finding.path, finding.span.line) for finding in findings)


def fixed(rule: Rule, path: str, unsafe: bool) -> str:
    """What the fixer makes of a file. A fix that the engine takes back fails the test."""
    linter = Linter(lookup(rule).of(Path(path).resolve().parent))
    done = fix_source(read(path), linter.source, unsafe=unsafe)
    assert not done.rejected, [rejected.reason for rejected in done.rejected]
    return done.source.text
