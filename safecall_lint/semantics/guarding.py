"""What a limiter stands in front of: the functions that wait for it, in its own module and in others."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.values import FunctionValue, Member, Object

if TYPE_CHECKING:
    from safecall_lint.semantics.callers import Callers
    from safecall_lint.semantics.calls import Calls
    from safecall_lint.semantics.holding import Holding
    from safecall_lint.semantics.model import Function, Module
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.values import Instance


class Guarding(Struct, eq=False):
    """Answers for limiters."""

    calls: Calls
    reach: Reach
    holding: Holding
    everywhere: Callers

    def vendor(self, limiter: Instance | Object, name: str, module: Module) -> bool:
        """Whether vendor calls wait for a limiter that `module` makes and calls `name`, anywhere in its project."""
        return any(self._waits(limiter, user) for user in self._users(name, module))

    def weighs(self, limiter: Instance | Object, name: str, module: Module) -> bool:
        """Whether a wait for a limiter, anywhere in its project, says how much it takes."""
        for user in self._users(name, module):
            for function in user.all_functions:
                for site in function.scan.calls:
                    if not (site.node.args or site.node.keywords) or self.calls.admission(site.node, function) is None:
                        continue
                    if any(owner.call is limiter.call for owner in self._owners(site.node, function)):
                        return True
        return False

    def _users(self, name: str, module: Module) -> Iterator[Module]:
        """The module itself, and those that speak of the name and of the module."""
        yield module
        if name:
            stem = os.path.basename(os.path.dirname(module.file) if module.is_package else module.file)
            words = (name, stem.removesuffix(".py"))
            first, second = (re.compile(rb"\b" + re.escape(word.encode()) + rb"\b") for word in words)
            yield from (user for user in self.everywhere.modules(first, second, module) if user is not module)

    def _waits(self, limiter: Instance | Object, module: Module) -> bool:
        if self._given(limiter, module):
            return True
        waiting = (
            function
            for function in module.all_functions
            if any(one.call is limiter.call for one in self._waited(function))
        )
        return any(self.reach.vendor(function) is not None for function in waiting)

    def _given(self, limiter: Instance | Object, module: Module) -> bool:
        """Whether a vendor's client is built with this limiter."""
        sites = (row for rows in module.call_sites.values() for row in rows)
        clients = (row for row in sites if self.calls.kind(row[0].node, row[1]) == "client")
        return any(
            made.call is limiter.call
            for site, scope in clients
            for keyword in site.node.keywords
            for made in self.calls.evaluator.of_kind(keyword.value, scope, "limiter")
        )

    def _waited(self, function: Function) -> Iterator[Instance | Object]:
        """The limiters that a function waits for, or asks whether it may go on: everything that those may be."""
        for hold in self.holding.holds(function, "limiter"):
            yield hold.taken.value
            yield from self.calls.evaluator.of_kind(hold.taken.node, function, "limiter")
        for site in function.scan.calls:
            wait = self.calls.admission(site.node, function)
            if (wait is not None and wait.kind == "limiter") or self.calls.asked(site.node, function) is not None:
                yield from self._owners(site.node, function)

    def _owners(self, call: ast.Call, function: Function) -> Iterator[Instance | Object]:
        """Whose method a call is."""
        for value in self.calls.evaluator.values(call.func, function):
            match value:
                case Member(owner) | FunctionValue(_, Object() as owner):
                    yield owner
                case _:
                    pass
