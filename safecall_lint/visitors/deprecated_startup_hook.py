"""SCL503: start-up and shutdown hooks that Starlette has dropped."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import libcst as cst

from safecall_lint.comments import comments
from safecall_lint.finding import Safety
from safecall_lint.semantics.scan import FunctionNode, dotted
from safecall_lint.semantics.values import Constant, Site
from safecall_lint.visiting.rewriting import spelled, with_keyword
from safecall_lint.visiting.visitor import Rewrite, Visitor

if TYPE_CHECKING:
    from safecall_lint.semantics import Semantics
    from safecall_lint.semantics.model import Scope

_EVENTS = frozenset({"startup", "shutdown"})
_KEYWORDS = ("on_startup", "on_shutdown")
_WORDS = re.compile(rb"\bon_(?:event|startup|shutdown)\b|\badd_event_handler\b")
_GONE = "removed in Starlette 1.0; FastAPI keeps `on_event`, deprecated, and only without `lifespan=`"
_HELP = "move both halves into one `lifespan` context manager"


class DeprecatedStartupHook(Visitor):
    needs = (frozenset({".on_event", ".add_event_handler", "app"}),)

    @classmethod
    def worth(cls, semantics: Semantics, scopes: Sequence[Scope]) -> bool:
        return not scopes or _WORDS.search(scopes[0].module.source.utf8) is not None

    def visit_Decorator(self, node: cst.Decorator) -> None:
        if isinstance(node.decorator, cst.Call) and self._registers(node.decorator, "on_event"):
            self._report(node.decorator, "registers a hook that newer Starlette does not have", self._lifespan(node))

    def visit_Call(self, node: cst.Call) -> None:
        if self._registers(node, "add_event_handler"):
            self._report(node, "a method that newer Starlette and FastAPI do not have", None)
        elif self.semantics.calls.kind(self.context.call(node), self.context.scope) == "app":
            for arg in node.args:
                if arg.keyword is not None and arg.keyword.value in _KEYWORDS:
                    self._report(arg, "an argument that newer Starlette does not take", None)

    def _report(self, node: cst.CSTNode, label: str, fix: Rewrite | None) -> None:
        message = "this hook is gone with Starlette 1.0"
        self.report(node, message, label=label, notes=[_GONE], help=_HELP, fix=fix)

    def _registers(self, node: cst.Call, method: str) -> bool:
        """`app.on_event("startup")`: the words tell, unless the object is known to be something else."""
        func = node.func
        if not isinstance(func, cst.Attribute) or func.attr.value != method or not node.args:
            return False
        event = self.context.expr(node.args[0].value)
        if not isinstance(event, ast.Constant) or event.value not in _EVENTS:
            return False
        owners = [value for value in self.context.values(func.value) if not isinstance(value, Constant)]
        kinds = {self.semantics.evaluator.kind(value) for value in owners}
        if "app" in kinds or not owners:
            return True
        return kinds == {""} and not self.semantics.evaluator.callees(self.context.call(node), self.context.scope)

    # -- the lifespan --------------------------------------------------------------------------------------------

    def _lifespan(self, node: cst.Decorator) -> Rewrite | None:
        """All of an app's hooks as one lifespan, offered on the first of them."""
        assert isinstance(node.decorator, cst.Call)
        name = dotted(self.context.call(node.decorator).func).rpartition(".")[0]
        hooks = list(self._hooks(name))
        made = self._made(name)
        manager = spelled("contextlib.asynccontextmanager", self.context.scope)
        twin = self.context.twin(self.context.stack[-2])
        if not hooks or made is None or manager is None or twin is not hooks[0][0]:
            return None
        if any(len(hook.decorator_list) != 1 or hook.args.args or not self._is_global(hook) for hook, _ in hooks):
            return None
        spelling, imports = manager
        text = self._gap(made) + _definition(spelling, hooks) + self._with_lifespan(made)
        dropped = [edit for hook, _ in hooks for edit in self._undecorated(hook)]
        return Rewrite(
            "move the hooks into a `lifespan`",
            Safety.UNSAFE,
            sites=[(Site(self.context.module, made), text), *dropped],
            imports=imports,
            risk="hooks that other modules register on this app no longer run",
        )

    def _hooks(self, app: str) -> Iterator[tuple[FunctionNode, str]]:
        """The functions that the module registers on an app, with the event."""
        for function in self.context.module.all_functions:
            for decorator in function.node.decorator_list:
                if isinstance(decorator, ast.Call) and dotted(decorator.func) == f"{app}.on_event" and decorator.args:
                    event = decorator.args[0]
                    yield function.node, str(event.value) if isinstance(event, ast.Constant) else ""

    def _undecorated(self, hook: FunctionNode) -> Iterator[tuple[Site, str]]:
        """Drop the lines of a hook's decorator; a comment on them goes to the function's own line, or above it."""
        module, decorator = self.context.module, hook.decorator_list[0]
        first, last = decorator.lineno, decorator.end_lineno or decorator.lineno
        notes = [one.text for one in comments(module.source) if first <= one.line <= last]
        header = module.source.lines[hook.lineno - 1].rstrip()
        if len(notes) == 1 and header.endswith(b":"):
            yield Site(module, _place((hook.lineno, len(header)), (hook.lineno, len(header)))), f"  {notes.pop()}"
        yield Site(module, _place((first, 0), (last + 1, 0))), "".join(f"{note}\n" for note in notes)

    def _made(self, app: str) -> ast.Assign | None:
        """The one statement of the module that makes the app, if it has no lifespan yet."""
        rows = self.context.module.lookup(app)
        statement = rows[0][0].statement if len(rows) == 1 else None
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
            return None
        given = {keyword.arg for keyword in statement.value.keywords}
        fits = statement in self.context.module.tree.body and not given & {None, "lifespan", *_KEYWORDS}
        free = not self.context.module.lookup("lifespan")
        return statement if fits and free else None

    def _is_global(self, hook: FunctionNode) -> bool:
        return hook in self.context.module.functions

    def _gap(self, made: ast.Assign) -> str:
        """The line that is missing between a function and one empty line above it."""
        above = [line.strip() for line in self.context.module.source.lines[max(made.lineno - 3, 0) : made.lineno - 1]]
        return "\n" if len(above) == 2 and above[0] and not above[1] else ""

    def _with_lifespan(self, made: ast.Assign) -> str:
        source = self.context.module.source
        code = ast.get_source_segment(source.text, made) or ""
        statement = cst.parse_statement(code)
        assert isinstance(statement, cst.SimpleStatementLine) and isinstance(statement.body[0], cst.Assign)
        call = statement.body[0].value
        assert isinstance(call, cst.Call)
        changed = statement.deep_replace(call, with_keyword(call, "lifespan", "lifespan"))
        assert isinstance(changed, cst.CSTNode)
        return cst.Module([]).code_for_node(changed).rstrip("\n")


def _definition(manager: str, hooks: list[tuple[FunctionNode, str]]) -> str:
    """The lifespan that calls the hooks as Starlette did: in the order they were registered."""
    start = [_called(hook) for hook, event in hooks if event == "startup"]
    stop = [_called(hook) for hook, event in hooks if event == "shutdown"]
    body = [*start, "yield"]
    if stop:
        body = [*start, "try:", "    yield", "finally:", *(f"    {line}" for line in stop)]
    lines = "\n".join(f"    {line}" for line in body)
    return f"@{manager}\nasync def lifespan(_app):\n{lines}\n\n\n"


def _called(hook: FunctionNode) -> str:
    return f"await {hook.name}()" if isinstance(hook, ast.AsyncFunctionDef) else f"{hook.name}()"


def _place(start: tuple[int, int], end: tuple[int, int]) -> ast.AST:
    """A range of the file, by lines and columns, as a place."""
    return ast.Pass(lineno=start[0], col_offset=start[1], end_lineno=end[0], end_col_offset=end[1])
