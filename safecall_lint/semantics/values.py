"""What an expression can be: the answers of the evaluator."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Class, Function, Module, Scope


class Site(Struct, frozen=True):
    """A place in a module, for labels."""

    module: Module
    node: ast.AST


class Symbol(Struct, frozen=True):
    """A name from outside the project, by its dotted name: `httpx.AsyncClient`, `builtins.TimeoutError`."""

    name: str


class Instance(Struct, frozen=True):
    """What calling a `Symbol` gives, or a value annotated with it (`call` is None: how it was made is unknown).

    `scope` is where the call stands, so that its arguments can be evaluated.
    """

    name: str
    call: ast.Call | None = None
    scope: Scope | None = None

    @property
    def site(self) -> Site | None:
        return Site(self.scope.module, self.call) if self.call is not None and self.scope is not None else None


class Member(Struct, frozen=True):
    """An attribute chain on an instance of a library type: `client.chat.completions.create`."""

    owner: Instance | Object
    path: tuple[str, ...]


class Result(Struct, frozen=True):
    """What a call of a `Member` gives: the response of `client.get(...)`."""

    of: Member
    call: ast.Call
    scope: Scope


class ModuleValue(Struct, frozen=True):
    """An imported first-party module."""

    module: Module


class ClassValue(Struct, frozen=True):
    """A first-party class itself."""

    cls: Class


class FunctionValue(Struct, frozen=True):
    """A first-party function; `receiver` is the object it is bound to."""

    function: Function
    receiver: Object | ClassValue | None = None


class LambdaValue(Struct, frozen=True):
    """A lambda, with the scope that it stands in."""

    node: ast.Lambda
    scope: Scope


class Object(Struct, frozen=True):
    """An instance of a first-party class. `call` is the constructor call where it is known."""

    cls: Class
    call: ast.Call | None = None
    scope: Scope | None = None

    @property
    def site(self) -> Site | None:
        return Site(self.scope.module, self.call) if self.call is not None and self.scope is not None else None


class Container(Struct, frozen=True):
    """A collection; `elements` are what it may hold. `size` is its length when the code spells it out."""

    elements: tuple[Value, ...]
    size: int | None = None


class Constant(Struct, frozen=True):
    """A literal, or arithmetic on literals."""

    value: object


Value = (
    Symbol
    | Instance
    | Member
    | Result
    | ModuleValue
    | ClassValue
    | FunctionValue
    | LambdaValue
    | Object
    | Container
    | Constant
)
