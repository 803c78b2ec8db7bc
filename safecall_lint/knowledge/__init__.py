"""Facts about libraries: what a name is, what it defaults to, what it raises. Data lives in the TOML files beside.

One file per library. `[symbols."pkg.Name"]` tables become `Fact`s, `[exceptions]` rows become `ExceptionFact`s and
`[aliases]` map other public spellings to the canonical one. `also` in a row names more symbols with the same facts. A
file may say `like = "httpx"` to take over another
library's tables under its own package name: that is how twins and forks stay in step.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import tomli
from msgspec import Struct


class Fact(Struct, frozen=True):
    """What one public name of a library is. Durations are seconds; counts are calls or connections.

    `kind` is the vocabulary of the rules: client, gate, limiter, retry, sleep, timeout-scope, ... Every other field
    is documented in `docs/knowledge.md`.
    """

    name: str
    library: str
    kind: str
    style: str = ""
    stack: str = ""
    calls: tuple[str, ...] = ()
    async_calls: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    fluent: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    upgrades: tuple[str, ...] = ()
    timeout_keyword: str = ""
    timeout_position: int = -1
    timeout_default: float | None = None
    timeout_scale: float = 1.0
    timeout_remedy: str = ""
    gap_default: float | None = None
    call_timeout: str = ""
    none_is_default: bool = False
    zero_is_none: bool = False
    inner_keyword: str = ""
    phases: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    complete: bool = False
    limits_keyword: str = ""
    limits_default: int | None = None
    store_keywords: tuple[str, ...] = ()
    store_position: int = -1
    shared_store: tuple[str, ...] = ()
    sharded: bool = False
    host_keyword: str = ""
    overrides_limits: str = ""
    loses_slots: bool = False
    accepts: tuple[str, ...] = ()
    stack_since: str = ""
    stack_before: str = ""
    pins: tuple[str, ...] = ()
    trust_keyword: str = ""
    keepalive_default: int | None = None
    transport_keywords: tuple[str, ...] = ()
    retries_keyword: str = ""
    retries_default: int = 0
    retries_first: bool = False
    retry_method: str = ""
    composes: bool = False
    close: str = ""
    collected: bool = False
    shares: bool = False
    brief: bool = False
    value_keyword: str = ""
    value_position: int = -1
    value_default: float | None = None
    value_least: float | None = None
    waits: tuple[str, ...] = ()
    waits_keyword: str = ""
    asks: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    attempts_keyword: str = ""
    attempts_default: int | None = None
    wait_keyword: str = ""
    wait_default: str = ""
    on_keyword: str = ""
    on_position: int = -1
    on_default: tuple[str, ...] = ()
    but_keyword: str = ""
    form: tuple[str, ...] = ()
    callable_position: int = -1
    returns: str = ""
    timeout_exception: str = ""
    overload_exception: str = ""
    status_exception: str = ""
    base_exception: str = ""
    lift: str = ""
    transient: tuple[str, ...] = ()
    status_names: tuple[str, ...] = ()
    parses: tuple[str, ...] = ()
    hook_keywords: tuple[str, ...] = ()

    def style_of(self, path: tuple[str, ...]) -> str:
        """Whether a member of a client with methods for both worlds is awaited: its style "both" is neither."""
        if self.style != "both":
            return self.style
        dotted = ".".join(path)
        return "async" if any(fnmatchcase(dotted, pattern) for pattern in self.async_calls) else "sync"


class ExceptionFact(Struct, frozen=True):
    """An exception class: its direct bases and what it means ("timeout", "overload", "status", "transport", "").
    `status` is the one status that it stands for, `headers` where it has the headers of the answer."""

    name: str
    bases: tuple[str, ...] = ()
    means: str = ""
    status: int = 0
    headers: str = ""


class Knowledge(Struct, frozen=True):
    """Every fact, by canonical dotted name."""

    facts: Mapping[str, Fact]
    exceptions: Mapping[str, ExceptionFact]
    aliases: Mapping[str, str]
    packages: frozenset[str]

    def canonical(self, name: str) -> str:
        """The name the tables use for `name`: an alias is followed, private submodules are skipped."""
        if name in self.facts or name in self.exceptions:
            return name
        if name in self.aliases:
            return self.aliases[name]
        parts = name.split(".")
        if len(parts) > 2 and parts[0] in self.packages:
            short = f"{parts[0]}.{parts[-1]}"
            short = self.aliases.get(short, short)
            if short in self.facts or short in self.exceptions:
                return short
        return name

    def fact(self, name: str) -> Fact | None:
        return self.facts.get(name) or self.facts.get(self.canonical(name))

    def knows(self, name: str) -> bool:
        """Whether the tables have a row for `name`."""
        canonical = self.canonical(name)
        return canonical in self.facts or canonical in self.exceptions

    def ancestors(self, name: str) -> tuple[str, ...]:
        """`name` and every class above it, nearest first."""
        seen: dict[str, None] = {}
        queue = [self.canonical(name)]
        while queue:
            current = queue.pop(0)
            if current not in seen:
                seen[current] = None
                row = self.exceptions.get(current)
                queue.extend(row.bases if row else ())
        return tuple(seen)


class KnowledgeError(Exception):
    """A knowledge table that does not follow the schema."""


TABLES = ("packages", "like", "symbols", "aliases", "exceptions")

_LISTS = frozenset(name for name, kind in Fact.__annotations__.items() if kind.startswith("tuple"))
_KEYS = frozenset(Fact.__struct_fields__) - {"name", "library"}
_EXCEPTION_KEYS = frozenset(ExceptionFact.__struct_fields__) - {"name"}


def _fact(name: str, library: str, row: Mapping[str, Any]) -> Fact:
    keys: dict[str, Any] = {
        key.replace("-", "_"): tuple(value) if isinstance(value, list) else value for key, value in row.items()
    }
    unknown = set(keys) - _KEYS
    if unknown or "kind" not in keys:
        raise KnowledgeError(f"{library}: {name}: unknown keys {sorted(unknown)} or no kind")
    for key in _LISTS & set(keys):
        if not isinstance(keys[key], tuple):
            raise KnowledgeError(f"{library}: {name}: {key} takes a list")
    return Fact(name, library, **keys)


def _exception(name: str, library: str, row: Mapping[str, Any]) -> ExceptionFact:
    if unknown := set(row) - _EXCEPTION_KEYS:
        raise KnowledgeError(f"{library}: {name}: unknown keys {sorted(unknown)}")
    return ExceptionFact(**{**row, "name": name, "bases": tuple(row.get("bases", ()))})


def _renamed(value: Any, old: str, new: str) -> Any:
    """A table of library `old` as it reads for its twin `new`."""
    if isinstance(value, str):
        return new + value[len(old) :] if value == old or value.startswith(old + ".") else value
    if isinstance(value, list):
        return [_renamed(item, old, new) for item in value]
    if isinstance(value, dict):
        return {_renamed(key, old, new): _renamed(item, old, new) for key, item in value.items()}
    return value


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    rows = dict(base.get("symbols", {}))
    for name, row in own.get("symbols", {}).items():
        rows[name] = {**rows.get(name, {}), **row}
    tables = {table: {**base.get(table, {}), **own.get(table, {})} for table in ("exceptions", "aliases")}
    return {**own, **tables, "symbols": rows}


def assemble(documents: Mapping[str, Mapping[str, Any]]) -> Knowledge:
    """Parsed TOML documents by library name -> `Knowledge`.

    Raises:
        KnowledgeError: a table is unknown, has an unknown key or lacks its kind.
    """
    facts: dict[str, Fact] = {}
    exceptions: dict[str, ExceptionFact] = {}
    aliases: dict[str, str] = {}
    packages: set[str] = set()
    for library, own in documents.items():
        document = own
        if unknown := set(own) - set(TABLES):
            raise KnowledgeError(f"{library}: unknown tables {sorted(unknown)}")
        if like := own.get("like"):
            document = _merged(_renamed(documents[like], like, library), own)
        packages.update(document.get("packages", [library]))
        for name, row in document.get("symbols", {}).items():
            own_row = {key: value for key, value in row.items() if key != "also"}
            for spelled in (name, *row.get("also", ())):
                facts[spelled] = _fact(spelled, library, own_row)
        for name, row in document.get("exceptions", {}).items():
            exceptions[name] = _exception(name, library, row)
        aliases.update(document.get("aliases", {}))
    return Knowledge(facts, exceptions, aliases, frozenset(packages))


@cache
def knowledge() -> Knowledge:
    """The facts that ship with the linter."""
    folder = Path(__file__).parent
    return assemble({path.stem: tomli.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.toml"))})
