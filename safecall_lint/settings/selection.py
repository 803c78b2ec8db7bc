"""Which rules are on: profile, select, ignore, and the more exact word outweighs the wider one."""

from __future__ import annotations

from functools import cache

from msgspec import Struct
from msgspec.structs import replace

from safecall_lint.finding import Severity
from safecall_lint.rulebook import Rule, find, rulebook
from safecall_lint.settings.model import Profile, Settings

_EXACT = 100
_PROFILE = 1


class Selection(Struct, frozen=True):
    """`rules` run. `strict` says whether findings that belong to the strict profile are shown; those of the rules in
    `exact`, which were selected by their own name or code, always are. `errors_only` hides what is less than one."""

    rules: frozenset[str]
    exact: frozenset[str]
    strict: bool
    errors_only: bool = False

    def shows_strict(self, name: str) -> bool:
        """Whether a strict finding of this rule is shown."""
        return self.strict or name in self.exact

    @property
    def lenient(self) -> frozenset[str]:
        """The rules whose strict findings are not shown."""
        return frozenset() if self.strict else self.rules - self.exact

    def without(self, ignored: frozenset[str]) -> Selection:
        """The selection in a file where some rules are off."""
        return replace(self, rules=self.rules - ignored)

    def for_tests(self) -> Selection:
        """The selection in a test file: the rules that can give errors there. No rule gives a graver finding than its
        page says."""
        return replace(self.without(_mild()), errors_only=True)


def _mild() -> frozenset[str]:
    errors = (rule.name for rule in rulebook().values() if rule.severity is Severity.ERROR and rule.tests)
    return frozenset(rulebook()).difference(errors)


@cache
def select(settings: Settings) -> Selection:
    """The rules that these settings turn on."""
    wanted = (*settings.select, *settings.extend_select)
    rules = frozenset(rule.name for rule in rulebook().values() if _is_on(rule, settings, wanted))
    exact = frozenset(rule.name for word in wanted for rule in find(word) if _weight(word, rule) == _EXACT)
    return Selection(rules, exact, settings.profile != Profile.DEFAULT)


def _is_on(rule: Rule, settings: Settings, wanted: tuple[str, ...]) -> bool:
    on = max((_weight(word, rule) for word in wanted), default=0)
    if not settings.select and (settings.profile != Profile.DEFAULT or rule.profile == Profile.DEFAULT):
        on = max(on, _PROFILE)
    return on > max((_weight(word, rule) for word in settings.ignore), default=0)


def _weight(word: str, rule: Rule) -> int:
    if rule not in find(word):
        return 0
    return _EXACT if word in (rule.name, rule.code) else 1 + len(word.removeprefix("ALL"))
