"""SCL304: asyncio's timeout gives up on a call that runs on, because the client's own timeouts are off."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import libcst as cst
from msgspec.structs import replace

from safecall_lint.finding import Safety
from safecall_lint.semantics.raising import TIMEOUT
from safecall_lint.semantics.values import Constant, FunctionValue, Instance, Site
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics.calls import VendorCall
    from safecall_lint.semantics.deadlines import Deadline
    from safecall_lint.semantics.model import Function
    from safecall_lint.semantics.scan import CallSite, Frame

_THREAD = "the thread runs on until the vendor answers, and keeps its place in the pool"
_LONG = 60.0
_MARGIN = 2.0
_STREAM = "on HTTP/2 cancelling resets no stream, so the vendor goes on with the work"


class TimeoutIsNotTermination(Visitor):
    needs = (frozenset({"with:timeout-scope", "wait-for"}),)

    def leave_FunctionDef(self, node: cst.FunctionDef) -> None:
        twin = self.context.twin(node)
        function = next((item for at, item in self.context.scope.functions.items() if at is twin), None)
        if function is None or self.semantics.roles.test(function):
            return
        for limit in self.semantics.deadlines.of(function):
            for site in function.scan.calls:
                if limit.cuts(site) and self._judge(limit, site, function):
                    break
            else:
                self._repeated(limit, function)

    def _judge(self, limit: Deadline, site: CallSite, function: Function) -> bool:
        vendor = self._in_a_thread(site, function)
        if vendor is not None and self.semantics.deadlines.own(vendor) == math.inf:
            self._tell(limit, site, function, _THREAD, vendor)
            return True
        direct = self.semantics.calls.vendor(site.node, function)
        if direct and self._http2(direct) and self.semantics.deadlines.own(direct) == math.inf:
            self._tell(limit, site, function, _STREAM, direct)
            return True
        return False

    def _repeated(self, limit: Deadline, function: Function) -> None:
        """The call that a limit ended, made again where its timeout is caught, and now without any limit."""
        ended = [site for site in function.scan.calls if limit.cuts(site)]
        limits = self.semantics.deadlines.of(function)
        for site in function.scan.calls:
            if any(other.cuts(site) for other in limits) or not self._caught(limit, site.frame, function):
                continue
            vendor = self.semantics.calls.vendor(site.node, function)
            same = any(ast.dump(site.node) == ast.dump(before.node) for before in ended)
            own = self._left(vendor) if vendor else None
            if same and own is not None and own >= max(_LONG, limit.seconds or 0):
                self._tell_repeated(limit, site, function, own)
                return

    def _left(self, vendor: VendorCall) -> float | None:
        """What bounds a call when asyncio does not. Arguments in `**kwargs` did not end the first one either."""
        call = vendor.node
        named = [item for item in call.keywords if item.arg is not None]
        bare = replace(vendor, node=ast.copy_location(ast.Call(call.func, call.args, named), call))
        own = self.semantics.deadlines.own(bare)
        return own if own is not None else self.semantics.deadlines.inherited(bare)

    def _caught(self, limit: Deadline, frame: Frame | None, function: Function) -> bool:
        """Whether a place stands in a handler of the limit's timeout."""
        for around in frame.chain() if frame else ():
            block = around.node
            if isinstance(block, ast.Try) and around.section == "handler" and limit.raises:
                inside = any(item.node is block and item.section == "body" for item in _chain(limit.frame))
                caught = self.semantics.exceptions.caught(block.handlers[around.position].type, function) or ()
                if inside and any(self.semantics.exceptions.covers(value, TIMEOUT) for value in caught):
                    return True
        return False

    def _tell_repeated(self, limit: Deadline, site: CallSite, function: Function, own: float) -> None:
        left = "nothing ends this one" if own == math.inf else f"the client's own {own:g} s are all that is left"
        self.report(
            Site(function.module, site.node),
            "the call that timed out is made again, now with no limit",
            label=left,
            labels=[(limit.site, "the first one was ended here")],
            help="give the second call a limit as well, or let the timeout go on to the caller",
        )

    def _in_a_thread(self, site: CallSite, function: Function) -> VendorCall | None:
        """The sync vendor call that a call hands to a thread."""
        func = site.node.func
        threaded = isinstance(func, ast.Attribute) and func.attr == "run_in_executor"
        if not threaded and self.semantics.calls.kind(site.node, function) != "executor":
            return None
        given = site.node.args[1 if threaded else 0 :]
        if not given:
            return None
        if isinstance(given[0], ast.Lambda):
            calls = [item for item in ast.walk(given[0].body) if isinstance(item, ast.Call)]
            return next((found for call in calls if (found := self.semantics.calls.vendor(call, function))), None)
        for value in self.semantics.evaluator.values(given[0], function):
            if isinstance(value, FunctionValue):
                chain = self.semantics.reach.vendor(value.function)
                return chain.end if chain else None
        passed = ast.Call(given[0], list(given[1:]), [] if threaded else site.node.keywords)
        return self.semantics.calls.vendor(ast.copy_location(passed, site.node), function)

    def _http2(self, vendor: VendorCall) -> bool:
        client = vendor.client
        if not isinstance(client, Instance) or client.call is None:
            return False
        return any(
            item.arg == "http2" and Constant(True) in self.semantics.evaluator.values(item.value, vendor.scope)
            for item in client.call.keywords
        )

    def _tell(self, limit: Deadline, site: CallSite, function: Function, why: str, vendor: VendorCall) -> None:
        self.report(
            limit.site,
            "this timeout gives up on the call but does not end it",
            label="the only limit there is",
            labels=[(Site(function.module, site.node), "has no timeout of its own")],
            notes=(why,),
            help="give the client a timeout of its own, shorter than this one",
            fix=self._fix(limit, site, vendor),
        )

    def _fix(self, limit: Deadline, site: CallSite, vendor: VendorCall) -> Rewrite | None:
        """A timeout of the call's own, where its text or that of its `to_thread` is in this file."""
        name = vendor.fact.call_timeout or ("" if vendor.client else vendor.fact.timeout_keyword)
        own = any(item.node is vendor.node for item in vendor.scope.scan.calls)
        call = vendor.node if own else site.node
        if not name or not limit.seconds or vendor.scope.module is not self.context.module:
            return None
        if not own and self.semantics.calls.kind(call, self.context.scope) != "executor":
            return None
        text = ast.get_source_segment(self.context.module.source.text, call)
        if text is None or "#" in text or any(item.arg in (None, name) for item in call.keywords):
            return None
        inner = text[:-1].rstrip().removesuffix(",")
        seconds = limit.seconds - 1 if limit.seconds > _MARGIN else limit.seconds / 2
        code = f"{inner}{'' if inner.endswith('(') else ', '}{name}={seconds:g})"
        sites = [(Site(self.context.module, call), code)]
        risk = "an answer that pauses for longer is an error now"
        return Rewrite(f"end the call itself: `{name}={seconds:g}`", Safety.UNSAFE, sites=sites, risk=risk)


def _chain(frame: Frame | None) -> Iterable[Frame]:
    return frame.chain() if frame else ()
