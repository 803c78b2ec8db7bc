"""`rules/*.md` -> `Rule`: the only place that knows codes, names, severities and profiles."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.finding import Safety, Severity

if TYPE_CHECKING:
    from safecall_lint.page import Page

HEADINGS = ("What it does", "Why is this bad?", "Example", "Fix", "When not to use it", "Evidence")
_HEADER = re.compile(r"\A# (?P<name>[a-z0-9-]+)\n+```toml\n(?P<header>.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE_PREFIX = re.compile(r"SCL\d*")


class RulebookError(Exception):
    """A page whose header cannot be read."""


class Rule(Struct, frozen=True, dict=True):
    """One rule, as its page describes it. The header is read at once, the body only when it is asked for.

    `tests` is false for a rule that gives errors, but none that a test file is told of by default.
    """

    name: str
    code: str
    summary: str
    group: str
    severity: Severity
    profile: str
    since: str
    text: str
    tests: bool = True

    @cached_property
    def page(self) -> Page:
        """The page's sections and blocks."""
        from safecall_lint.page import Page

        return Page.parse(self.text)

    @property
    def engine(self) -> bool:
        """Whether the engine reports it, so that no visitor stands beside the page."""
        return self.group == "linter"

    @cached_property
    def fixable(self) -> Safety | None:
        """The safest fix that the page shows, or None where it shows none."""
        words = {word for block in self.page.blocks if block.fixed for word in block.words}
        return next((safety for safety in Safety if safety.value in words), None)


@cache
def rulebook() -> Mapping[str, Rule]:
    """Every rule by name, in the order of their codes."""
    rules = [_read(page) for page in pages_folder().glob("*.md")]
    return {rule.name: rule for rule in sorted(rules, key=lambda rule: rule.code)}


def pages_folder() -> Path:
    """Where the pages lie: inside an installed package, beside the package in a checkout."""
    packaged = Path(__file__).parent / "_rules"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "rules"


def find(text: str) -> list[Rule]:
    """The rules that a name, a code, a prefix of codes (`SCL2`) or `ALL` stands for."""
    rules = rulebook()
    if text in rules:
        return [rules[text]]
    prefix = "SCL" if text == "ALL" else text.upper()
    if not _CODE_PREFIX.fullmatch(prefix):
        return []
    return [rule for rule in rules.values() if rule.code.startswith(prefix)]


def exactly(text: str) -> Rule | None:
    """The one rule that has this name or this whole code."""
    return next((rule for rule in find(text) if text in (rule.name, rule.code)), None)


def nearest(text: str) -> str | None:
    """The known name or code that is spelled most like `text`."""
    from difflib import get_close_matches

    known = [word for rule in rulebook().values() for word in (rule.name, rule.code)]
    return next(iter(get_close_matches(text, known, n=1)), None)


def _read(path: Path) -> Rule:
    import tomli

    text = path.read_text("utf-8")
    head = _HEADER.match(text)
    if not head or head["name"] != path.stem:
        raise RulebookError(f"{path.name}: the page opens with `# {path.stem}` and a toml block")
    try:
        header = tomli.loads(head["header"])
        severity = Severity(header.pop("severity"))
        return Rule(name=path.stem, severity=severity, text=text, **header)
    except (tomli.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise RulebookError(f"{path.name}: {error}") from None
