"""The shape of a module as `ast` sees it: modules, classes, functions, and what each name is bound to.

Everything is built lazily: a body is scanned when somebody asks about it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from safecall_lint.semantics.exports import listed
from safecall_lint.semantics.scan import Binding, CallSite, FunctionNode, Scan, dotted
from safecall_lint.semantics.scanner import scan_body, scan_function

if TYPE_CHECKING:
    from safecall_lint.source import Source


class Module(Struct, eq=False, dict=True, weakref=True):
    """A parsed file. `file` is its absolute path."""

    source: Source
    tree: ast.Module
    file: str = ""
    is_package: bool = False

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def module(self) -> Module:
        return self

    @cached_property
    def scan(self) -> Scan:
        return scan_body(self.tree.body)

    @cached_property
    def functions(self) -> dict[FunctionNode, Function]:
        """Functions defined at module level, each by its node."""
        return {node: Function(node, self, None, None) for node in self.scan.functions}

    @cached_property
    def classes(self) -> dict[ast.ClassDef, Class]:
        return {node: Class(node, self, None) for node in self.scan.classes}

    @cached_property
    def scopes(self) -> list[Module | Class | Function]:
        """Every scope of the file, outermost first."""
        found: list[Module | Class | Function] = [self]
        for scope in found:
            found.extend(scope.classes.values())
            found.extend(scope.functions.values())
        return found

    @cached_property
    def all_functions(self) -> list[Function]:
        return [scope for scope in self.scopes if isinstance(scope, Function)]

    @cached_property
    def call_sites(self) -> dict[str, list[tuple[CallSite, Module | Class | Function]]]:
        """Every call of the file by the last name of what is called, with the scope that makes it."""
        found: dict[str, list[tuple[CallSite, Module | Class | Function]]] = {}
        for scope in self.scopes:
            for site in scope.scan.calls:
                func = site.node.func
                name = func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""
                found.setdefault(name, []).append((site, scope))
        return found

    @cached_property
    def globals(self) -> dict[str, list[tuple[Binding, Module | Class | Function]]]:
        """Module names with every binding of theirs, also those made in functions under `global`."""
        result: dict[str, list[tuple[Binding, Module | Class | Function]]] = {}
        for name, rows in self.scan.bindings.items():
            result[name] = [(binding, self) for binding in rows]
        if b"global " in self.source.utf8:
            for function in self.all_functions:
                for name in function.scan.global_names:
                    rows = function.scan.bindings.get(name, [])
                    result.setdefault(name, []).extend((binding, function) for binding in rows)
        return result

    @cached_property
    def exported(self) -> frozenset[str] | None:
        """The names in `__all__`, None where that is not spelled out."""
        return listed(self.scan)

    def gives(self, name: str) -> bool:
        """Whether a star import of the module may bring a name."""
        return not name.startswith("_") if self.exported is None else name in self.exported

    def lookup(self, name: str) -> list[tuple[Binding, Module | Class | Function]]:
        return self.globals.get(name, [])


class Class(Struct, eq=False, dict=True):
    """A class statement. `parent` is the scope it stands in when that is not the module."""

    node: ast.ClassDef
    module: Module
    parent: Class | Function | None

    @cached_property
    def scan(self) -> Scan:
        return scan_body(self.node.body)

    @cached_property
    def functions(self) -> dict[FunctionNode, Function]:
        return {node: Function(node, self.module, self, self) for node in self.scan.functions}

    @cached_property
    def classes(self) -> dict[ast.ClassDef, Class]:
        return {node: Class(node, self.module, self) for node in self.scan.classes}

    @cached_property
    def methods(self) -> dict[str, Function]:
        return {function.name: function for function in self.functions.values()}

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def qualname(self) -> str:
        return f"{self.parent.qualname}.{self.name}" if self.parent else self.name

    @cached_property
    def attributes(self) -> dict[str, list[tuple[Binding, Class | Function]]]:
        """What `self.<name>` and `cls.<name>` are bound to in this class's own methods and body."""
        found: dict[str, list[tuple[Binding, Class | Function]]] = {}
        for name, rows in self.scan.bindings.items():
            found.setdefault(name, []).extend((row, self) for row in rows if row.form != "def")
        for method in self.functions.values():
            first = method.first_parameter
            for path, rows in method.scan.attributes.items():
                owner, _, name = path.rpartition(".")
                if owner and owner in (first, self.name):
                    found.setdefault(name, []).extend((row, method) for row in rows)
        return found

    def lookup(self, name: str) -> list[tuple[Binding, Module | Class | Function]]:
        """A name used in the class body: the body's own bindings, then the scope around the class."""
        own = self.scan.bindings.get(name)
        if own:
            return [(binding, self) for binding in own]
        return outer_lookup(self.parent, self.module, name)


class Function(Struct, eq=False, dict=True):
    """A function or method. `cls` is the class whose method it is; `parent` the scope it stands in, if not the
    module."""

    node: FunctionNode
    module: Module
    cls: Class | None
    parent: Class | Function | None

    @cached_property
    def scan(self) -> Scan:
        return scan_function(self.node)

    @cached_property
    def functions(self) -> dict[FunctionNode, Function]:
        return {node: Function(node, self.module, None, self) for node in self.scan.functions}

    @cached_property
    def classes(self) -> dict[ast.ClassDef, Class]:
        return {node: Class(node, self.module, self) for node in self.scan.classes}

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def qualname(self) -> str:
        return f"{self.parent.qualname}.{self.name}" if self.parent else self.name

    @property
    def is_async(self) -> bool:
        return isinstance(self.node, ast.AsyncFunctionDef)

    @property
    def is_generator(self) -> bool:
        return bool(self.scan.yields)

    @cached_property
    def decorator_names(self) -> tuple[str, ...]:
        """The last name of each decorator, called or not."""
        names = []
        for decorator in self.node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            names.append(dotted(target).rpartition(".")[2])
        return tuple(names)

    @property
    def first_parameter(self) -> str:
        """The name of `self` or `cls` in a method, else ""."""
        args = self.node.args
        every = [*args.posonlyargs, *args.args]
        return every[0].arg if self.cls and every and "staticmethod" not in self.decorator_names else ""

    @cached_property
    def parameters(self) -> list[str]:
        """Parameter names in call order, without `self`."""
        args = self.node.args
        names = [arg.arg for arg in (*args.posonlyargs, *args.args)]
        return names[1:] if self.first_parameter else names

    def lookup(self, name: str) -> list[tuple[Binding, Module | Class | Function]]:
        """Where a name used in this function gets its value, by Python's scoping: own, enclosing functions, module."""
        scan = self.scan
        if name in scan.global_names:
            return self.module.lookup(name)
        own: list[tuple[Binding, Module | Class | Function]] = [(row, self) for row in scan.bindings.get(name, ())]
        if name in scan.nonlocal_names or not own:
            return own + outer_lookup(self.parent, self.module, name)
        return own + self._rebound_inside(name)

    def _rebound_inside(self, name: str) -> list[tuple[Binding, Module | Class | Function]]:
        inner = (function for function in self.functions.values() if name in function.scan.nonlocal_names)
        return [(row, function) for function in inner for row in function.scan.bindings.get(name, ())]


Scope = Module | Class | Function


def outer_lookup(parent: Class | Function | None, module: Module, name: str) -> list[tuple[Binding, Scope]]:
    """Look a name up from the scope around a function or class: class bodies are skipped, as Python does."""
    while isinstance(parent, Class):
        parent = parent.parent
    return parent.lookup(name) if parent else module.lookup(name)


def enclosing(scope: Scope) -> Iterator[Scope]:
    """`scope` and the scopes around it, innermost first, module last."""
    current: Scope | None = scope
    while current is not None and not isinstance(current, Module):
        yield current
        current = current.parent
    yield scope.module
