"""The fix of unbounded fan-outs: each call goes through a policy of the runtime, which holds the slots."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.calls import keyword_or_position
from safecall_lint.semantics.values import Constant, Instance
from safecall_lint.visiting.rewriting import expression, fresh_name, with_first
from safecall_lint.visiting.toward_runtime import from_runtime, price
from safecall_lint.visiting.visitor import Rewrite

if TYPE_CHECKING:
    from safecall_lint.semantics.fanout import FanOut
    from safecall_lint.semantics.model import Function
    from safecall_lint.visiting.context import Context

_SLOTS: Final = 50
_PATIENCE: Final = 600
_HOST: Final = re.compile(r"https?://([\w.-]+\w)")
_POLICY: Final = """{name} = {policy}(
    "{vendor}",
    max_concurrency={slots},
    max_queue=100_000,
    queue_timeout={patience},
    call_timeout={patience},
    deadline={whole},
    retry={retry}(attempts=1),
    breaker=None,
)"""


def through_policy(found: FanOut, node: cst.FunctionDef, function: Function, context: Context) -> Rewrite | None:
    """`policy.call(price, symbol)` in place of `price(symbol)`: through the module's policy for that vendor, else a new
    one that does nothing but hold the slots and lets a whole collection wait for them."""
    call = context.written(found.started, node)
    if call is None or not _may_queue(found.started, function, context):
        return None
    vendor = _vendor(found, context)
    known = _policy_of(vendor, function, context)
    made = ("", (), []) if known else _new_policy(vendor, function, context)
    if made is None:
        return None
    name, imports, head = made
    name = known or name
    changed = with_first(call, call.func).with_changes(func=expression(f"{name}.call"))
    risk = f"{_SLOTS} calls run at once, the others wait, and one that waits or runs for {_PATIENCE} s is given up"
    if known:
        risk = f"the calls wait for the slots of `{name}` and are held to its limits"
    risk += price(context.semantics, function.module)
    return Rewrite(
        f"send each call through `{name}`", Safety.UNSAFE, {call: changed}, imports=imports, head=head, risk=risk
    )


def _may_queue(call: ast.Call, function: Function, context: Context) -> bool:
    """Whether a started call may wait for a slot: it is one of a coroutine, and nothing below it starts others that
    would wait for the slot which it holds."""
    semantics = context.semantics
    if semantics.calls.vendor(call, function):
        return True
    callees = semantics.evaluator.callees(call, function)
    if not callees or not all(callee.is_async and not callee.is_generator for callee in callees):
        return False
    below = [inner for callee in callees for inner in semantics.reach.below(callee)]
    return not any(semantics.fanouts.of(inner) or _uses_policy(inner, context) for inner in below)


def _uses_policy(function: Function, context: Context) -> bool:
    owners = (site.node.func.value for site in function.scan.calls if isinstance(site.node.func, ast.Attribute))
    return any(context.semantics.evaluator.of_kind(owner, function, "policy") for owner in owners)


def _vendor(found: FanOut, context: Context) -> str:
    """Who is called: the host of a URL in the call or its client, else the SDK's library."""
    call = found.vendor.node
    scope = next((row for rows in found.vendor.module.call_sites.values() for row in rows if row[0].node is call), None)
    vendor = context.semantics.calls.vendor(call, scope[1]) if scope and isinstance(call, ast.Call) else None
    if vendor is None:
        return "vendor"
    made = vendor.client.call if isinstance(vendor.client, Instance) else None
    texts = [part.value for one in (call, made) if one for part in ast.walk(one) if isinstance(part, ast.Constant)]
    host = next((match[1] for text in texts if isinstance(text, str) and (match := _HOST.match(text))), "")
    return host or ("vendor" if vendor.fact.parses else vendor.fact.library)


def _policy_of(vendor: str, function: Function, context: Context) -> str:
    """The name of the module's policy for a vendor, "" where it has none."""
    module, evaluator = function.module, context.semantics.evaluator
    for name, rows in module.scan.bindings.items():
        if len(rows) == 1 and isinstance(rows[0].value, ast.Call) and len(function.lookup(name)) == 1:
            if evaluator.of_kind(rows[0].value, module, "policy"):
                stated = evaluator.values(keyword_or_position(rows[0].value, "name", 0), module)
                if stated == (Constant(vendor),) or vendor == "vendor":
                    return name
    return ""


def _new_policy(vendor: str, function: Function, context: Context) -> tuple[str, tuple[str, ...], list[str]] | None:
    policy, retry = (from_runtime(name, function.module, context.semantics) for name in ("CallPolicy", "Retry"))
    if policy is None or retry is None:
        return None
    name = fresh_name(re.sub(r"\W", "_", f"{vendor}_calls"), function)
    code = _POLICY.format(
        name=name,
        policy=policy[0],
        vendor=vendor,
        slots=_SLOTS,
        patience=_PATIENCE,
        whole=2 * _PATIENCE,
        retry=retry[0],
    )
    return name, (*policy[1], *retry[1]), [code]
