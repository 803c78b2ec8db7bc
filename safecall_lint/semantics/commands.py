"""Commands that a function sends to a store that processes share: to which, about which key, and what goes as one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field
from msgspec.structs import replace

from safecall_lint.semantics.scan import CallSite, dotted
from safecall_lint.semantics.values import Constant, FunctionValue, Instance, Member, Object, Value

if TYPE_CHECKING:
    from safecall_lint.semantics.evaluate import Evaluator
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.scan import Binding

COUNTS: Final = frozenset({"incr", "incrby", "incrbyfloat", "hincrby"})
EXPIRES: Final = frozenset({"expire", "pexpire", "expireat", "pexpireat"})
READS: Final = frozenset({"get", "hget", "hgetall", "hmget"})
WRITES: Final = frozenset({"set", "setex", "psetex", "hset", "hmset"})
SIZES: Final = frozenset({"zcard", "zcount", "llen", "scard"})
ADDS: Final = frozenset({"zadd", "lpush", "rpush", "sadd"})
COMMANDS: Final = COUNTS | EXPIRES | READS | WRITES | SIZES | ADDS
_SPEAKS: Final = re.compile(rf"\.(?:{'|'.join(sorted(COMMANDS))})\(")
_NAMED: Final = ("redis", "valkey")
_HOPS: Final = 3
_DEPTH: Final = 2


class Batch(Struct, frozen=True):
    """The commands that one `execute()` of a pipeline sends. `whole`: as a transaction, with nothing in between.
    `made` is the call that opens the pipeline, `sent` the one that sends, where it stands in the same function."""

    made: ast.Call
    number: tuple[int, int]
    whole: bool
    sent: CallSite | None


class Command(Struct, frozen=True):
    """A command: its `name`, the `store` and `key` that it is about as the asking function would write them, and the
    `batch` that it goes with. `site` is a call of the asking function: the command itself, or a call of the function
    `owner` that sends it as `node`."""

    name: str
    site: CallSite
    node: ast.Call
    owner: Function
    store: str
    key: str
    batch: Batch | None

    def result(self) -> CallSite:
        """The call that gives the asking function the command's answer."""
        return self.batch.sent if self.batch is not None and self.batch.sent is not None else self.site

    def before(self, other: Command) -> bool:
        """Whether this command is sent in front of another one, in whose arguments it may stand."""
        return place(self.site) < place(other.site)

    def goes_with(self, other: Command, *, whole: bool = False) -> bool:
        """Whether the two are sent at once; `whole` where only a transaction will do."""
        if self.site is other.site:
            return True
        return self.batch is not None and self.batch == other.batch and (self.batch.whole or not whole)


class Commands(Struct, eq=False):
    """Answers for functions."""

    evaluator: Evaluator
    _known: dict[tuple[Function, int], list[Command]] = field(default_factory=dict)

    def of(self, function: Function, depth: int = _DEPTH) -> list[Command]:
        """The commands of a function in the order that it writes them, those of the functions that it calls among
        them."""
        if (function, depth) not in self._known:
            self._known[function, depth] = []
            found = [command for site in function.scan.calls for command in self._at(site, function, depth)]
            self._known[function, depth] = sorted(found, key=lambda command: place(command.site))
        return self._known[function, depth]

    def _at(self, site: CallSite, function: Function, depth: int) -> Iterator[Command]:
        func = site.node.func
        if isinstance(func, ast.Attribute) and func.attr in COMMANDS and site.node.args:
            own = self._own(site, func, function)
            if own is not None:
                yield own
                return
        if depth:
            yield from self._lifted(site, function, depth - 1)

    def _own(self, site: CallSite, func: ast.Attribute, function: Function) -> Command | None:
        key = spelled(site.node.args[0], function)
        batch = _batch(func.value, site, function)
        if batch is not None:
            return Command(func.attr, site, site.node, function, self._store(batch.made.func, function), key, batch)
        if not self._is_store(func, function):
            return None
        return Command(func.attr, site, site.node, function, self._store(func, function), key, None)

    def _is_store(self, func: ast.Attribute, function: Function) -> bool:
        """Whether a method is one of a store: of a client that the tables know, or, where nothing is known of it and
        the command says enough, of what is called after one."""
        values = [value for value in self.evaluator.values(func, function) if not isinstance(value, Constant)]
        if any(isinstance(value, Member) and self._owned(value) for value in values):
            return True
        known = [value for value in values or self.evaluator.values(func.value, function) if not _is_outline(value)]
        named = dotted(func.value).rpartition(".")[2].lower()
        return not known and func.attr not in READS and any(word in named for word in _NAMED)

    def _owned(self, value: Member) -> bool:
        fact = self.evaluator.fact(value.owner) if isinstance(value.owner, Instance) else None
        return fact is not None and fact.kind == "store" and len(value.path) == 1

    def _store(self, func: ast.expr, function: Function) -> str:
        """One text for one store: the call that makes it where that is known, else the words for it."""
        made = {
            id(value.owner.call)
            for value in self.evaluator.values(func, function)
            if isinstance(value, Member) and isinstance(value.owner, Instance) and value.owner.call is not None
        }
        owner = func.value if isinstance(func, ast.Attribute) else func
        return f"#{made.pop()}" if len(made) == 1 else spelled(owner, function)

    def _lifted(self, site: CallSite, function: Function, depth: int) -> Iterator[Command]:
        """The commands of the functions that a call runs, in the words of the caller."""
        for callee in self.evaluator.callees(site.node, function):
            if callee is function or not _SPEAKS.search(callee.module.source.text):
                continue
            given = _arguments(site.node, callee, function)
            for command in self.of(callee, depth):
                store = command.store if command.store.startswith("#") else _renamed(command.store, given, callee)
                key = _renamed(command.key, given, callee)
                yield replace(command, site=site, store=store, key=key, batch=None)


def place(site: CallSite) -> tuple[int, int]:
    """Where a call ends: in a function, calls are made in that order."""
    return site.node.end_lineno or 0, site.node.end_col_offset or 0


def spelled(expr: ast.expr, function: Function) -> str:
    """The code of an expression, with the names that a function binds once in the place of what they stand for."""
    return ast.unparse(_Spelling(function, _HOPS).visit(deepcopy(expr)))


class _Spelling(ast.NodeTransformer):
    def __init__(self, function: Function, hops: int) -> None:
        self.function = function
        self.hops = hops

    def visit_Name(self, node: ast.Name) -> ast.expr:
        rows = self.function.scan.bindings.get(node.id, [])
        if len(rows) != 1 or rows[0].form not in ("assign", "annotation") or rows[0].value is None or not self.hops:
            return node
        inner = _Spelling(self.function, self.hops - 1)
        found: ast.expr = inner.visit(deepcopy(rows[0].value))
        return found


class _Naming(ast.NodeTransformer):
    def __init__(self, given: Mapping[str, ast.expr], callee: Function) -> None:
        self.given = given
        self.callee = callee

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.given:
            return self.given[node.id]
        foreign = node.id in self.callee.scan.bindings
        return ast.Name(f"{node.id}__of_{id(self.callee)}", ast.Load()) if foreign else node


def _renamed(text: str, given: Mapping[str, ast.expr], callee: Function) -> str:
    """What a callee writes, in the words of its caller; its own names are nobody else's."""
    return ast.unparse(_Naming(given, callee).visit(ast.parse(text, mode="eval").body))


def _arguments(call: ast.Call, callee: Function, caller: Function) -> dict[str, ast.expr]:
    """What a call gives for the parameters of a function of the project, spelled out; `self` among them."""
    found = dict(zip(callee.parameters, call.args, strict=False))
    found |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    if callee.first_parameter and isinstance(call.func, ast.Attribute):
        found[callee.first_parameter] = call.func.value
    return {name: _Spelling(caller, _HOPS).visit(deepcopy(value)) for name, value in found.items()}


def _is_outline(value: Value) -> bool:
    """Whether a value says nothing, or no more than which methods there are: a `Protocol`, or a method of one."""
    match value:
        case Instance("typing.Any") | Member(Instance("typing.Any")):
            return True
        case Object(cls) | FunctionValue(_, Object(cls)):
            return any(dotted(base).rpartition(".")[2] == "Protocol" for base in cls.node.bases)
        case _:
            return False


def _batch(expr: ast.expr, site: CallSite, function: Function) -> Batch | None:
    """The batch that what is put on a pipeline at `site` goes with, where `expr` is one."""
    if not isinstance(expr, ast.Name):
        return None
    rows = [row for row in function.scan.bindings.get(expr.id, ()) if _start(row) <= site.node.lineno]
    last = rows[-1] if rows else None
    made = last.value.value if last is not None and isinstance(last.value, ast.Await) else last.value if last else None
    if last is None or not (isinstance(made, ast.Call) and isinstance(made.func, ast.Attribute)):
        return None
    if made.func.attr != "pipeline":
        return None
    sends = [
        other
        for other in function.scan.calls
        if isinstance(other.node.func, ast.Attribute)
        and other.node.func.attr == "execute"
        and ast.dump(other.node.func.value) == ast.dump(expr)
        and other.node.lineno >= _start(last)
    ]
    earlier = [other for other in sends if place(other) < place(site)]
    later = [other for other in sends if other not in earlier]
    number = (_start(last), len(earlier))
    return Batch(made, number, _is_transaction(made), later[0] if later else None)


def _is_transaction(made: ast.Call) -> bool:
    """Whether a pipeline is a transaction, as it is unless it is told otherwise."""
    said = [keyword.value for keyword in made.keywords if keyword.arg == "transaction"] or made.args[:1]
    return not any(isinstance(value, ast.Constant) and value.value is False for value in said)


def _start(row: Binding) -> int:
    return getattr(row.statement, "lineno", 0)
