"""How many connections a client may open at once, where the code or the library tells."""

from __future__ import annotations

import ast
import math
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.calls import Calls, has_unpacking, keyword_or_position
from safecall_lint.semantics.values import Constant, Instance, Object, Site

if TYPE_CHECKING:
    from safecall_lint.knowledge import Fact
    from safecall_lint.semantics.model import Scope

_DEPTH = 3


class Pool(Struct, frozen=True):
    """A client's pool. `size` is infinite where nothing caps it; `stated` is the number in the code, None where it is
    the library's default; `client` is the place where the client that has the pool is made."""

    size: float
    fact: Fact
    client: Site
    stated: Site | None


class Pools(Struct, eq=False):
    """Reads the limits of clients."""

    calls: Calls

    def of(self, client: Instance | Object, depth: int = 0) -> Pool | None:
        """The pool of a client; None where its size is unknown."""
        if not isinstance(client, Instance) or client.call is None or client.scope is None or depth > _DEPTH:
            return None
        fact = self.calls.evaluator.fact(client)
        if fact is None or has_unpacking(client.call) or fact.limits_default is None:
            return None
        carrier = self._carrier(client.call, client.scope, fact)
        if carrier is not None:
            inner = [value for value in self._instances(carrier, client.scope) if value.call is not client.call]
            return self.of(inner[0], depth + 1) if len(inner) == 1 else None
        return self._stated(client.call, client.scope, fact)

    def _carrier(self, call: ast.Call, scope: Scope, fact: Fact) -> ast.expr | None:
        """The argument whose own pool is the one that counts: a transport, an SDK's HTTP client, a connector."""
        for name in (fact.overrides_limits, fact.inner_keyword, *fact.transport_keywords):
            given = keyword_or_position(call, name) if name else None
            if given is not None and self.calls.evaluator.values(given, scope) != (Constant(None),):
                return given
        return None

    def _instances(self, expr: ast.expr, scope: Scope) -> list[Instance]:
        return [value for value in self.calls.evaluator.values(expr, scope) if isinstance(value, Instance)]

    def _stated(self, call: ast.Call, scope: Scope, fact: Fact) -> Pool | None:
        here = Site(scope.module, call)
        given = keyword_or_position(call, fact.limits_keyword)
        if given is None:
            return Pool(fact.limits_default or math.inf, fact, here, None)
        direct = self.calls.evaluator.number(given, scope)
        if direct is not None:
            return Pool(direct or math.inf, fact, here, Site(scope.module, given))
        configs = self._instances(given, scope)
        return self._configured(configs[0], fact, here) if len(configs) == 1 else None

    def _configured(self, config: Instance, client: Fact, here: Site) -> Pool | None:
        fact = self.calls.evaluator.fact(config)
        if fact is None or config.call is None or config.scope is None or has_unpacking(config.call):
            return None
        given = keyword_or_position(config.call, fact.limits_keyword)
        if given is None:
            return Pool(fact.limits_default or math.inf, client, here, None)
        size = self.calls.evaluator.number(given, config.scope)
        return Pool(size or math.inf, client, here, Site(config.scope.module, given)) if size is not None else None
