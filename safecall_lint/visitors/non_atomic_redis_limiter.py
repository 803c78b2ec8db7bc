"""SCL603: a limiter in Redis whose check and count are two commands."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.semantics.model import Function, Scope
from safecall_lint.semantics.scan import CallSite, dotted
from safecall_lint.semantics.values import Constant, Instance, Member, Site
from safecall_lint.visiting.visitor import Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics

_COUNTS = frozenset({"incr", "incrby", "incrbyfloat", "hincrby"})
_EXPIRES = frozenset({"expire", "pexpire", "expireat", "pexpireat"})
_READS = frozenset({"get", "hget"})
_WRITES = frozenset({"set", "setex", "hset", "psetex"})
_SIZES = frozenset({"zcard", "zcount", "llen", "scard"})
_ADDS = frozenset({"zadd", "lpush", "rpush", "sadd"})
_FAMILY = {"z": "z", "l": "l", "r": "l", "s": "s"}

_STUCK = "a crash between the two leaves a counter that never ends"
_RACE = "two callers read the same count, and both pass"
_SCRIPT = "send both in one Lua script (`register_script`), where nothing comes in between"
_PIPELINE = "send both in one `pipeline(transaction=True)`, or count in a Lua script"


class NonAtomicRedisLimiter(Visitor):
    needs = (frozenset(f".{name}" for name in _EXPIRES | _WRITES | _ADDS),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return any(_pairs(semantics, scope) for scope in scopes if isinstance(scope, Function))

    def visit_FunctionDef(self, node: cst.FunctionDef) -> None:
        twin = self.context.twin(node)
        function = self.context.scope.functions.get(twin) if twin else None  # type: ignore[call-overload]
        for first, second in _pairs(self.semantics, function) if function else ():
            self._report(first, second)

    def _report(self, first: CallSite, second: CallSite) -> None:
        counts = _method(first) in _COUNTS
        self.report(
            Site(self.context.module, first.node),
            _STUCK if counts else _RACE,
            label="counts, and is on its own" if counts else "reads the count",
            labels=[(Site(self.context.module, second.node), "ends it later" if counts else "counts later")],
            notes=["each command is a round trip of its own: other callers, a timeout or a crash come in between"],
            help=_PIPELINE if counts else _SCRIPT,
        )


Pair = tuple[CallSite, CallSite]


def _pairs(semantics: Semantics, function: Function) -> list[Pair]:
    """Commands of a function that belong together and are sent apart."""
    sent = [site for site in function.scan.calls if isinstance(site.node.func, ast.Attribute) and site.node.args]
    methods = {_method(site) for site in sent}
    if not (methods & (_COUNTS | _SIZES | _READS) and methods & (_EXPIRES | _WRITES | _ADDS)) or _locked(function):
        return []
    return list(_found(semantics, function, sent))


def _found(semantics: Semantics, function: Function, sent: list[CallSite]) -> Iterator[Pair]:
    for first in sent:
        seconds = [site for site in sent if _later(first, site) and _same(first, site, semantics, function)]
        second = next((site for site in seconds if _belongs(first, site, function)), None)
        if second is not None and not (_method(first) in _COUNTS and _made_with_end(first, sent)):
            yield first, second


def _belongs(first: CallSite, second: CallSite, function: Function) -> bool:
    one, two = _method(first), _method(second)
    if one in _COUNTS:
        return two in _EXPIRES
    if one in _SIZES:
        return two in _ADDS and _FAMILY[one[0]] == _FAMILY[two[0]] and _is_tested(first, function)
    alike = one in _READS and two in _WRITES and (one == "hget") == (two == "hset")
    return alike and _counts_on(first, second, function)


def _same(first: CallSite, second: CallSite, semantics: Semantics, function: Function) -> bool:
    """Whether two commands go to one store, about one key."""
    one, two = first.node.func, second.node.func
    assert isinstance(one, ast.Attribute) and isinstance(two, ast.Attribute)
    if ast.dump(one.value) != ast.dump(two.value) or ast.dump(first.node.args[0]) != ast.dump(second.node.args[0]):
        return False
    values = [value for value in semantics.evaluator.values(one, function) if not isinstance(value, Constant)]
    if any(isinstance(value, Member) and _is_store(semantics, value) for value in values):
        return True
    known = values or semantics.evaluator.values(one.value, function)
    return not known and one.attr not in _READS and "redis" in dotted(one.value).rpartition(".")[2].lower()


def _is_store(semantics: Semantics, value: Member) -> bool:
    fact = semantics.evaluator.fact(value.owner) if isinstance(value.owner, Instance) else None
    return fact is not None and fact.kind == "store" and len(value.path) == 1


def _method(site: CallSite) -> str:
    return site.node.func.attr if isinstance(site.node.func, ast.Attribute) else ""


def _later(first: CallSite, second: CallSite) -> bool:
    return (second.node.lineno, second.node.col_offset) > (first.node.lineno, first.node.col_offset)


def _locked(function: Function) -> bool:
    """Whether the function takes a lock of the store around what it does."""
    items = (item for block in function.scan.withs for item in getattr(block.node, "items", ()))
    return any("lock" in ast.unparse(item.context_expr).lower() for item in items)


def _made_with_end(first: CallSite, sent: list[CallSite]) -> bool:
    """Whether the counter gets its end where it is made: `set(key, 0, ex=60, nx=True)`."""
    for site in sent:
        words = {keyword.arg for keyword in site.node.keywords}
        if _method(site) == "set" and {"nx"} & words and {"ex", "px"} & words and _later(site, first):
            return True
    return False


def _names_of(site: CallSite) -> set[str]:
    statement = site.statement
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _is_tested(site: CallSite, function: Function) -> bool:
    """Whether a size is compared with something."""
    names = _names_of(site)
    for node in ast.walk(function.node):
        if isinstance(node, ast.Compare):
            inside = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            if names & inside or site.node in set(ast.walk(node)):
                return True
    return False


def _counts_on(first: CallSite, second: CallSite, function: Function) -> bool:
    """Whether what is written is what was read plus something."""
    known = _names_of(first)
    for name, rows in function.scan.bindings.items():
        for row in rows:
            if row.value is not None and known & {n.id for n in ast.walk(row.value) if isinstance(n, ast.Name)}:
                known = known | {name}
    for argument in second.node.args[1:]:
        for node in ast.walk(argument):
            if isinstance(node, ast.BinOp) and known & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}:
                return True
    return False
