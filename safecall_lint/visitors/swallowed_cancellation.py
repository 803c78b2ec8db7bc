"""SCL305: a handler takes a cancellation and the code goes on."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.finding import Safety
from safecall_lint.semantics.flags import ended_by_flag
from safecall_lint.semantics.flow import following, own_nodes, ways_out
from safecall_lint.semantics.model import Function
from safecall_lint.semantics.raising import always_raise, in_raising_handler, within
from safecall_lint.semantics.values import Symbol, Value
from safecall_lint.visiting.rewriting import before_handler, ending_in_raise, spelled
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Scope
    from safecall_lint.semantics.scan import CallSite, Frame

_CANCELLED = "asyncio.CancelledError"
_EXIT = "builtins.GeneratorExit"
_TELLS = frozenset(
    {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print", "print_exc", "format_exc"}
    | {"sleep", "str", "repr", "type", "format"}
)
_WAITS = frozenset({"gather", "wait", "wait_for", "shield", "wrap_future", "all", "race"})
_GOES_ON = {"loop": "the loop goes on", "value": "the caller gets an answer", "work": "the next work begins"}
_CLEANS = re.compile(r"close|stop|shut|clean|disconnect|release|cancel|remove|terminate|kill|exit|wait")
_KEEPS = frozenset({"set_exception", "append", "put", "put_nowait", "set_result", "throw", "__aexit__", "aclose"})


class SwallowedCancellation(Visitor):
    needs = (frozenset({"except:cancellation", "except:exit", "except:all"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        functions = (scope for scope in scopes if isinstance(scope, Function) and scope.is_async)
        return any(one.is_generator or cls._waits(block.node, one) for one in functions for block in one.scan.tries)

    def visit_Try(self, node: cst.Try) -> None:
        block, function = self.context.twin(node), self.context.function
        if not isinstance(block, ast.Try) or function is None or not function.is_async:
            return
        if function.is_generator:
            self._yields_on(node, block, function)
        handler = self._taking(node, _CANCELLED)
        twin = self.context.twin(handler) if handler else None
        if handler is None or not isinstance(twin, ast.ExceptHandler) or not self._waits(block, function):
            return
        goes_on = "" if in_raising_handler(block, function) else self._goes_on(block, twin, function)
        if goes_on and not self._meant(block, twin, function) and not self._played(function):
            self._tell(node, handler, twin, goes_on)

    def _taking(self, node: cst.Try, raised: str) -> cst.ExceptHandler | None:
        """The handler that takes an exception."""
        for handler in node.handlers:
            caught = self.semantics.exceptions.caught(self.context.expr(handler.type), self.context.scope)
            dynamic = self.context.values(handler.type) if caught is None else ()
            if any(self.semantics.evaluator.kind(value) == "cancellation" for value in dynamic):
                return handler
            if any(self._takes(value, raised) for value in caught or ()):
                return handler
        return None

    def _takes(self, caught: Value, raised: str) -> bool:
        """Whether a class takes an exception; each library's own cancellation stands for asyncio's."""
        exceptions = self.semantics.exceptions
        own = raised == _CANCELLED and exceptions.means(caught) == "cancellation"
        return own or exceptions.covers(caught, raised)

    # -- is there a cancellation to swallow ----------------------------------------------------------------------

    @staticmethod
    def _waits(block: ast.stmt, function: Function) -> bool:
        """Whether the body waits for work of its own. What is only a task may have been cancelled by itself."""
        scan = function.scan
        entered = [item for item in scan.withs if isinstance(item.node, ast.AsyncWith) and within(item.frame, block)]
        iterated = [item for item in scan.loops if isinstance(item.node, ast.AsyncFor) and within(item.frame, block)]
        awaited = [node for node, frame in scan.awaits if within(frame, block) and not _of_task(node)]
        return bool(entered or iterated or awaited)

    def _meant(self, block: ast.Try, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether the code cancels what it waits for, keeps the exception, or asks who was cancelled."""
        for site in function.scan.calls:
            name = getattr(site.node.func, "attr", getattr(site.node.func, "id", ""))
            if name.startswith(("cancel", "_cancel")) and site.node.lineno <= handler.lineno and not _in_callback(site):
                return True
            if name in ("uncancel", "cancelling"):
                return True
        return self._keeps(handler) or self._raised_later(block, handler, function)

    def _played(self, function: Function) -> bool:
        """Whether a test plays a part with this function: what it does when it is cancelled is the case."""
        parent = function.parent
        return isinstance(parent, Function) and (self.semantics.roles.test(parent) or self._played(parent))

    @staticmethod
    def _keeps(handler: ast.ExceptHandler) -> bool:
        for node in own_nodes(handler.body):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _KEEPS:
                names = [item.id for arg in node.args for item in ast.walk(arg) if isinstance(item, ast.Name)]
                if handler.name in names:
                    return True
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id == handler.name:
                return True
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id == handler.name:
                return True
        return False

    @staticmethod
    def _raised_later(block: ast.Try, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether a name that the handler sets decides about a `raise` or the end of a loop further down."""
        set_here = {
            item.id if isinstance(item, ast.Name) else item.attr
            for item in own_nodes(handler.body)
            if isinstance(item, ast.Name | ast.Attribute) and isinstance(item.ctx, ast.Store)
        }
        tests = [item.node.test for item in function.scan.loops if isinstance(item.node, ast.While)]
        tests += [
            node.test
            for node in own_nodes(function.node.body)
            if isinstance(node, ast.If)
            and node.lineno > block.lineno
            and {"raise", "break", "return"} & ways_out(node.body)
        ]
        used = {getattr(item, "id", getattr(item, "attr", "")) for test in tests for item in ast.walk(test)}
        return bool(set_here & used)

    # -- does the code go on -------------------------------------------------------------------------------------

    def _goes_on(self, block: ast.Try, handler: ast.ExceptHandler, function: Function) -> str:
        """What happens after the handler instead of the end: "loop", "value", "work" or "" where nothing does."""
        ways = ways_out(self._left_of(handler, function))
        if not ways - {"raise"} or ("raise" in ways and self._named(handler, function)):
            return ""
        frame = next((item.frame for item in function.scan.tries if item.node is block), None)
        loop = _loop(frame)
        if loop is not None and ended_by_flag(loop, function):
            return ""
        if loop is not None and ("continue" in ways or ("end" in ways and self._turns(block, loop))):
            return "loop"
        if "value" in ways:
            return "value"
        values = any(not _none(item.value) for item in function.scan.returns)
        if values and not self._ends(block, handler, function):
            return "value"
        return "work" if "end" in ways and self._works_on(block, handler, function) else ""

    def _works_on(self, block: ast.Try, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether a handler takes everything, and what follows waits for more work than clean-up."""
        if self._named(handler, function) or self.semantics.roles.once(function):
            return False
        for node in own_nodes(following(block, function.node.body) or []):
            if isinstance(node, ast.AsyncFor | ast.AsyncWith):
                return True
            if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
                func = node.value.func
                if not _CLEANS.search(func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")):
                    return True
        return False

    def _left_of(self, handler: ast.ExceptHandler, function: Function) -> list[ast.stmt]:
        """A handler's body without what it does for other exceptions than a cancellation, which it tells by their
        class: `if isinstance(error, Expected): return`."""
        body = list[ast.stmt]()
        for statement in handler.body:
            if isinstance(statement, ast.If) and self._other(statement.test, handler.name, function):
                body.extend(statement.orelse)
            else:
                body.append(statement)
        return body

    def _other(self, test: ast.expr, name: str | None, function: Function) -> bool:
        for node in test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And) else [test]:
            match node:
                case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=asked), classes]) if asked == name:
                    known = self.semantics.exceptions.caught(classes, function) or ()
                    return not any(self._takes(value, _CANCELLED) for value in known)
        return False

    def _named(self, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether a handler names the cancellation itself, not everything."""
        caught = self.semantics.exceptions.caught(handler.type, function) or ()
        return not any(isinstance(value, Symbol) and value.name == "builtins.BaseException" for value in caught)

    @staticmethod
    def _turns(block: ast.Try, loop: ast.stmt) -> bool:
        """Whether the loop goes round after the `try`."""
        assert isinstance(loop, ast.For | ast.AsyncFor | ast.While)
        after = [statement for statement in loop.body if statement.lineno > (block.end_lineno or block.lineno)]
        return bool({"end", "continue"} & ways_out(after))

    def _ends(self, block: ast.Try, handler: ast.ExceptHandler, function: Function) -> bool:
        """Whether the function was at its end anyway: it raises next, or the body was its loop and nothing is left."""
        rest = following(block, function.node.body) or []
        last = getattr(rest[-1], "value", None) if rest else None
        called = self.semantics.evaluator.callees(last, function) if isinstance(last, ast.Call) else []
        if rest and not ways_out(rest) - ({"raise", "end"} if always_raise(called) else {"raise"}):
            return True
        looped = any(within(item.frame, block) for item in function.scan.loops)
        values = [item for item in function.scan.returns if not _none(item.value)]
        final = block.end_lineno or block.lineno
        if looped and self._named(handler, function):
            return all(isinstance(item, ast.Return) for item in rest)
        return all(item.lineno < block.lineno for item in values) and not any(item.lineno > final for item in values)

    # -- GeneratorExit -------------------------------------------------------------------------------------------

    def _yields_on(self, node: cst.Try, block: ast.Try, function: Function) -> None:
        handler = self._taking(node, _EXIT)
        twin = self.context.twin(handler) if handler else None
        yields = [item for item, frame in function.scan.yields if within(frame, block)]
        if handler is None or not isinstance(twin, ast.ExceptHandler) or not yields:
            return
        again = next((item for item in own_nodes(twin.body) if isinstance(item, ast.Yield)), None)
        if again is not None:
            self.report(
                handler.type or handler,
                "this generator yields when it is told to end: it breaks on close",
                label="also takes the `GeneratorExit` of a reader that has gone",
                help="let `GeneratorExit` through",
                fix=self._through(node, handler, "GeneratorExit"),
            )

    # -- report --------------------------------------------------------------------------------------------------

    def _tell(self, node: cst.Try, handler: cst.ExceptHandler, twin: ast.ExceptHandler, goes_on: str) -> None:
        what = _GOES_ON[goes_on]
        kind = "also takes `CancelledError`" if self._more(twin) else "takes the cancellation"
        self.report(
            handler.type or handler,
            f"cancellation ends here: {what} instead of stopping",
            label=kind,
            help="raise it again after the clean-up",
            notes=("a timeout or a shutdown cancels a task once; what takes the `CancelledError` undoes it",),
            fix=self._fix(node, handler, twin),
        )

    def _more(self, handler: ast.ExceptHandler) -> bool:
        """Whether a handler takes other things as well."""
        caught = self.semantics.exceptions.caught(handler.type, self.context.scope) or ()
        return len(caught) != 1 or self.semantics.exceptions.means(caught[0]) != "cancellation"

    def _fix(self, node: cst.Try, handler: cst.ExceptHandler, twin: ast.ExceptHandler) -> Rewrite | None:
        if self._more(twin):
            if _cleans_up(twin):
                return None
            way = spelled(_CANCELLED, self.context.scope)
            return self._through(node, handler, *way) if way else None
        body = ending_in_raise(handler.body)
        return Rewrite("raise the cancellation again", Safety.SAFE, {handler.body: body}) if body else None

    def _through(self, node: cst.Try, handler: cst.ExceptHandler, name: str, imports: tuple[str, ...] = ()) -> Rewrite:
        handlers = before_handler(node, handler, name)
        title = f"let `{name}` through in front of this handler"
        return Rewrite(title, Safety.SAFE, {node: node.with_changes(handlers=handlers)}, imports=imports)


def _cleans_up(handler: ast.ExceptHandler) -> bool:
    """Whether a handler does more than tell and pause: what it does would not be done for a cancellation any more."""
    calls = [node.func for node in own_nodes(handler.body) if isinstance(node, ast.Call)]
    return any(getattr(func, "attr", getattr(func, "id", "")) not in _TELLS for func in calls)


def _of_task(node: ast.AST) -> bool:
    """Whether an `await` is for a task or for several: a name, or `gather`, `wait_for`, ... of names."""
    value = node.value if isinstance(node, ast.Await) else node
    if isinstance(value, ast.Call):
        func = value.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        plain = all(not isinstance(part, ast.Call) for arg in value.args for part in ast.walk(arg))
        return name in _WAITS and plain
    return True


def _in_callback(site: CallSite) -> bool:
    return site.frame is not None and any(around.section == "lambda" for around in site.frame.chain())


def _loop(frame: Frame | None) -> ast.stmt | None:
    for around in frame.chain() if frame else ():
        if isinstance(around.node, ast.For | ast.AsyncFor | ast.While) and around.section == "body":
            return around.node
    return None


def _none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)
