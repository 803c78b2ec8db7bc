"""What an expression can be: the answers of the evaluator."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Class, Function, Module, Scope


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a module, for labels."""

    module: Module
    node: ast.AST


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name from outside the project, by its dotted name: `httpx.AsyncClient`, `builtins.TimeoutError`."""

    name: str


@dataclass(frozen=True, slots=True)
class Instance:
    """What calling a `Symbol` gives, or a value annotated with it (`call` is None: how it was made is unknown).

    `scope` is where the call stands, so that its arguments can be evaluated.
    """

    name: str
    call: ast.Call | None = None
    scope: Scope | None = None

    @property
    def site(self) -> Site | None:
        return Site(self.scope.module, self.call) if self.call is not None and self.scope is not None else None


@dataclass(frozen=True, slots=True)
class Member:
    """An attribute chain on an instance of a library type: `client.chat.completions.create`."""

    owner: Instance | Object
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What a call of a `Member` gives: the response of `client.get(...)`."""

    of: Member
    call: ast.Call
    scope: Scope


@dataclass(frozen=True, slots=True)
class ModuleValue:
    """An imported first-party module."""

    module: Module


@dataclass(frozen=True, slots=True)
class ClassValue:
    """A first-party class itself."""

    cls: Class


@dataclass(frozen=True, slots=True)
class FunctionValue:
    """A first-party function; `receiver` is the object it is bound to."""

    function: Function
    receiver: Object | ClassValue | None = None


@dataclass(frozen=True, slots=True)
class LambdaValue:
    """A lambda, with the scope that it stands in."""

    node: ast.Lambda
    scope: Scope


@dataclass(frozen=True, slots=True)
class Object:
    """An instance of a first-party class. `call` is the constructor call where it is known."""

    cls: Class
    call: ast.Call | None = None
    scope: Scope | None = None

    @property
    def site(self) -> Site | None:
        return Site(self.scope.module, self.call) if self.call is not None and self.scope is not None else None


@dataclass(frozen=True, slots=True)
class Container:
    """A collection; `elements` are what it may hold. `size` is its length when the code spells it out."""

    elements: tuple[Value, ...]
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Constant:
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
