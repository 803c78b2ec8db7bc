"""Limits in a store whose two halves are apart: a count and its end, or a question and what is counted for it."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from safecall_lint.semantics.commands import (
    ADDS,
    COMMANDS,
    COUNTS,
    EXPIRES,
    READS,
    SIZES,
    WRITES,
    Command,
    Commands,
    place,
    spelled,
)
from safecall_lint.semantics.flow import ways_out
from safecall_lint.semantics.model import Function

if TYPE_CHECKING:
    from safecall_lint.semantics.scan import Binding, CallSite, Frame

_FAMILY: Final = {"z": "z", "l": "l", "r": "l", "s": "s"}
_OF_HASHES: Final = frozenset({"hget", "hgetall", "hmget", "hset", "hmset", "hincrby"})
_TIMES: Final = frozenset({"ttl", "pttl"})
_ASKS: Final = COMMANDS | {"exists"}
_ORDER: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_SILENT: Final = COMMANDS | _TIMES | {"exists", "execute", "pipeline", "delete", "zremrangebyscore", "time", "decode"}
_LOGS: Final = frozenset({"debug", "info", "warning", "error", "exception"})


class Apart(Struct, frozen=True):
    """Two commands that belong together. `harm` is "stuck" where a counter may never end, "late" where only the next
    call ends it, "race" where two callers may read the same count. `limits`: the count is used, so that somebody can be
    shut out by it."""

    first: Command
    second: Command
    harm: str
    limits: bool = True


class Counters(Struct, eq=False):
    """Answers for functions."""

    commands: Commands

    def of(self, function: Function) -> list[Apart]:
        """The pairs of a function, each by its first command."""
        named = {site.node.func.attr for site in function.scan.calls if isinstance(site.node.func, ast.Attribute)}
        if not named & (EXPIRES | WRITES | ADDS | COUNTS) or _keeps_apart(function, named):
            return []
        sent = self.commands.of(function)
        return [found for first in sent if (found := self._apart(first, sent, function)) is not None]

    def _apart(self, first: Command, sent: list[Command], function: Function) -> Apart | None:
        about = [other for other in sent if other.store == first.store and other.key == first.key]
        later = [
            other
            for other in about
            if first.before(other) and not first.goes_with(other, whole=True) and _meet(first.site, other.site)
        ]
        if first.name in COUNTS:
            return None if _made_with_end(first, about) else _counted(first, later, function)
        second = next((other for other in later if self._races(first, other, function)), None)
        return Apart(first, second, "race") if second is not None else None

    def _races(self, first: Command, second: Command, function: Function) -> bool:
        one, two = first.name, second.name
        if one in SIZES:
            return two in ADDS and _FAMILY[one[0]] == _FAMILY[two[0]] and self._is_tested(first, function)
        if one not in READS or (one in _OF_HASHES) != (two in _OF_HASHES):
            return False
        if two in WRITES:
            sure = one not in _OF_HASHES and _counts_on(first, second, function, set())
            changed = set() if sure else _changed(first, function)
            return sure or (_counts_on(first, second, function, changed) and self._is_tested(first, function))
        return two in COUNTS and self._is_tested(first, function) and _at_once(first, second, function)

    def _is_tested(self, command: Command, function: Function) -> bool:
        """Whether a count is compared with a limit: where it arrives, or by the function that asks for it."""
        if _compares([command.result()], function):
            return True
        if command.owner is function:
            return False
        own = (inner for inner in self.commands.of(command.owner) if inner.node is command.node)
        return any(_compares([inner.result()], command.owner) for inner in own)


def _counted(first: Command, later: list[Command], function: Function) -> Apart | None:
    """A count that gets its end by a later command."""
    ends = [other for other in later if other.name in EXPIRES]
    if not ends or any(first.goes_with(other) for other in ends):
        return None
    tests = [list(_tests(other.site.frame)) for other in ends]
    timed = _bound_from((site for site in function.scan.calls if _method(site) in _TIMES), function)
    if any(_speaks(test, timed, _TIMES) for rows in tests for test in rows):
        return None
    asking = [first.result(), *(site for site in function.scan.calls if _method(site) in _ASKS)]
    asked = _bound_from(asking, function)
    always = [
        other
        for other, rows in zip(ends, tests, strict=True)
        if not any(_speaks(test, asked, _ASKS) or first.node in ast.walk(test) for test in rows)
    ]
    return Apart(first, (always or ends)[0], "late" if always else "stuck", _is_used(first, function))


def _is_used(command: Command, function: Function) -> bool:
    """Whether a count is compared with a limit, leaves the function, or is read by another function of the module."""
    counted = [command.result()]
    names = _bound_from(counted, function)
    leaving = (row.value for row in function.scan.returns if row.value is not None)
    given = (arg for site in function.scan.calls if site is not counted[0] for arg in site.node.args)
    if _compares(counted, function) or any(_holds(node, counted, names) for node in (*leaving, *given)):
        return True
    reads = (row for name in READS for row in function.module.call_sites.get(name, ()) if row[0].node.args)
    return any(
        isinstance(scope, Function) and spelled(site.node.args[0], scope) == command.key for site, scope in reads
    )


def _meet(first: CallSite, second: CallSite) -> bool:
    """Whether one way through the function passes both: they are in no two branches of a test, nor the first in one
    that leaves."""
    inside = {(one.node, one.section) for one in second.frame.chain()} if second.frame is not None else set()
    for one in first.frame.chain() if first.frame is not None else ():
        if isinstance(one.node, ast.If) and one.section in ("body", "orelse") and (one.node, one.section) not in inside:
            branch = one.node.body if one.section == "body" else one.node.orelse
            if "end" not in ways_out(branch) or any(node is one.node for node, _ in inside):
                return False
    return True


def _tests(frame: Frame | None) -> Iterator[ast.expr]:
    """The conditions under which a place is reached."""
    for one in frame.chain() if frame is not None else ():
        if isinstance(one.node, ast.If) and one.section in ("body", "orelse"):
            yield one.node.test


def _speaks(test: ast.expr, names: set[str], methods: frozenset[str]) -> bool:
    """Whether a condition is about one of `names`, or about the answer of a method that it calls itself."""
    for node in ast.walk(test):
        if isinstance(node, ast.Name) and node.id in names:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
            return True
    return False


def _method(site: CallSite) -> str:
    return site.node.func.attr if isinstance(site.node.func, ast.Attribute) else ""


def _keeps_apart(function: Function, named: set[str]) -> bool:
    """Whether the function lets nobody else in between: by a lock of the store, or because it watches the key."""
    items = (item for block in function.scan.withs for item in getattr(block.node, "items", ()))
    return "watch" in named or any("lock" in ast.unparse(item.context_expr).lower() for item in items)


def _made_with_end(first: Command, about: Iterable[Command]) -> bool:
    """Whether the counter gets its end where it is made: `set(key, 0, ex=60, nx=True)`."""
    for other in about:
        words = {keyword.arg for keyword in other.node.keywords}
        if other.name == "set" and {"nx"} & words and {"ex", "px"} & words and other.before(first):
            return True
    return False


def _bound_from(sites: Iterable[CallSite], function: Function) -> set[str]:
    """The names that hold what calls have given, or something made of it."""
    asked, known = list(sites), set[str]()
    rows = [(name, _source(row)) for name, found in function.scan.bindings.items() for row in found]
    for _ in range(3):
        known |= {name for name, value in rows if value is not None and _holds(value, asked, known)}
    return known


def _source(row: Binding) -> ast.AST | None:
    """What a name gets its value from, where several names share it as well."""
    return getattr(row.statement, "value", None) if row.form == "unpack" else row.value


def _compares(sites: list[CallSite], function: Function) -> bool:
    """Whether what calls have given is compared with a limit: with more than nothing at all."""
    names = _bound_from(sites, function)
    return any(
        isinstance(node, ast.Compare)
        and any(isinstance(op, _ORDER) for op in node.ops)
        and not any(isinstance(side, ast.Constant) and not side.value for side in (node.left, *node.comparators))
        and _holds(node, sites, names)
        for node in ast.walk(function.node)
    )


def _counts_on(first: Command, second: Command, function: Function, changed: set[str]) -> bool:
    """Whether what is written is what was read plus something, or one of the names that such a sum is `changed` to."""
    read = first.result()
    known = _bound_from([read], function)
    given = [*second.node.args[1:], *(keyword.value for keyword in second.node.keywords)]
    for node in (part for value in given for part in ast.walk(value)):
        if isinstance(node, ast.BinOp) and _holds(node, [read], known):
            return True
        if isinstance(node, ast.Name) and node.id in changed:
            return True
    return False


def _changed(first: Command, function: Function) -> set[str]:
    """The names that hold what was read plus something."""
    known = _bound_from([first.result()], function)
    return {name for name in known if any(map(_is_sum, function.scan.bindings[name]))}


def _is_sum(row: Binding) -> bool:
    """Whether a name is bound to something that is computed."""
    source = _source(row)
    sums = source is not None and any(isinstance(node, ast.BinOp) for node in ast.walk(source))
    return sums or isinstance(row.statement, ast.AugAssign)


def _holds(node: ast.AST, sites: Iterable[CallSite], names: set[str]) -> bool:
    """Whether code has one of some calls in it, or one of some names."""
    calls = {site.node for site in sites}
    return any(part in calls or (isinstance(part, ast.Name) and part.id in names) for part in ast.walk(node))


def _at_once(first: Command, second: Command, function: Function) -> bool:
    """Whether nothing of weight runs between two commands, so that what was asked is what is counted: between the
    question whether somebody may try and the count of those who failed there is the trial."""
    start, end = place(first.site), place(second.site)
    between = (site for site in function.scan.calls if start < place(site) < end)
    return all(_is_light(site) for site in between)


def _is_light(site: CallSite) -> bool:
    func = site.node.func
    if isinstance(site.statement, ast.Return | ast.Raise):
        return True
    if isinstance(func, ast.Name):
        return hasattr(builtins, func.id)
    return isinstance(func, ast.Attribute) and func.attr in _SILENT | _LOGS
