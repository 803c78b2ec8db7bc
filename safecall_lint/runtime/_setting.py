"""What a setting may be, and what is said of one that cannot work: the fact, its consequence, one thing to do.

A setting states its check once, beside the others of its owner: `"window": seconds("30")`. A check takes the owner, the
setting's name and the value, and raises TypeError for a wrong type and ValueError for a wrong value. True is no number
here, and neither NaN nor infinity is one to count with.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

Check: TypeAlias = Callable[[str, str, Any], None]

_LARGEST = sys.float_info.max
_LONGEST_TEXT = 60


class Unstated(float):
    """The default of a number: it gives way to what is stated beside it, so a default is in conflict with nothing."""


class UnstatedCount(int):
    """The default of a whole number, as `Unstated`."""


def is_stated(value: float) -> bool:
    """Whether somebody chose this number."""
    return not isinstance(value, (Unstated, UnstatedCount))


def verify(owner: str, settings: object, checks: Mapping[str, Check]) -> None:
    """Refuse the first attribute of `settings` that its check refuses; `owner` is who the message speaks of."""
    for name, check in checks.items():
        check(owner, name, getattr(settings, name))


def refusal(kind: type[Exception], owner: str, name: str, value: object, text: str) -> Exception:
    """Return the exception that says what is wrong with a value."""
    shown = repr(value)
    if len(shown) > _LONGEST_TEXT:
        shown = f"{shown[:_LONGEST_TEXT]}..."
    return kind(f"{owner}: {name}={shown} {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Finite numbers within bounds.

    Args:
        so: the consequence of a number that is out of bounds.
        give: what to give instead.
        least: the smallest number.
        beyond: the smallest number itself is out.
        most: the largest number.
        whole: no fractions.
    """

    so: str
    give: str
    least: float = -_LARGEST
    beyond: bool = False
    most: float = _LARGEST
    whole: bool = False

    def __call__(self, owner: str, name: str, value: Any) -> None:
        kind = type(value)
        if kind is not int and (self.whole or kind is not float):
            self._check_type(owner, name, value)
        if not self.least <= value <= self.most or (self.beyond and value == self.least):
            raise refusal(ValueError, owner, name, value, f"is not {self._bounds()}, so {self.so}: give {self.give}")

    def _check_type(self, owner: str, name: str, value: Any) -> None:
        """Subclasses of numbers are numbers too."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            text = f"is of type {type(value).__name__}, which cannot be counted with: give {self.give}"
            raise refusal(TypeError, owner, name, value, text)

    def _bounds(self) -> str:
        bounds = ["finite"] if self.most == _LARGEST and not self.whole else []
        if self.least > -_LARGEST:
            bounds.append(f"{'above' if self.beyond else 'at least'} {self.least:g}")
        if self.most < _LARGEST:
            bounds.append(f"at most {self.most:g}")
        return " and ".join(bounds) or "a number"


def seconds(example: str, so: str = "the limit fires at once or never") -> Number:
    """A time that ends: above 0 and finite."""
    return Number(least=0, beyond=True, so=so, give=f"a number of seconds above 0, such as {example}")


def pause(example: str, so: str = "the wait has no meaning or no end") -> Number:
    """A wait, which may be none."""
    return Number(least=0, so=so, give=f"a number of seconds from 0, such as {example}")


def count(least: int, so: str) -> Number:
    """How many of something there are."""
    return Number(least=least, whole=True, so=so, give=f"a whole number from {least}")


def share(so: str, *, of_none: bool = False) -> Number:
    """A part of a whole: up to 1, and above 0 unless it may be a share `of_none`."""
    give = "a share, such as 0.5 for 50 %"
    return Number(least=0, beyond=not of_none, most=1, so=so, give=give)


@dataclass(frozen=True, slots=True)
class Kind:
    """Instances of certain classes.

    Args:
        kinds: the classes.
        so: the consequence of another object.
        give: what to give instead.
    """

    kinds: type | tuple[type, ...]
    so: str
    give: str

    def __call__(self, owner: str, name: str, value: Any) -> None:
        if not isinstance(value, self.kinds):
            text = f"is of type {type(value).__name__}, so {self.so}: give {self.give}"
            raise refusal(TypeError, owner, name, value, text)


@dataclass(frozen=True, slots=True)
class Methods:
    """Objects, not classes, that have certain methods.

    Args:
        names: the methods.
        so: the consequence of an object without them.
        give: what to give instead.
    """

    names: tuple[str, ...]
    so: str
    give: str

    def __call__(self, owner: str, name: str, value: Any) -> None:
        missing = [method for method in self.names if not callable(getattr(value, method, None))]
        if missing or isinstance(value, type):
            fact = "is a class and not an instance" if isinstance(value, type) else f"has no {missing[0]}()"
            raise refusal(TypeError, owner, name, value, f"{fact}, so {self.so}: give {self.give}")


def flag(owner: str, name: str, value: object) -> None:
    """True or False, and no text, of which each would count as true."""
    if not isinstance(value, bool):
        text = f"is of type {type(value).__name__}, and any text is true: give True or False"
        raise refusal(TypeError, owner, name, value, text)


def text(owner: str, name: str, value: object) -> None:
    """A text with something in it."""
    if not isinstance(value, str):
        raise refusal(TypeError, owner, name, value, f"is of type {type(value).__name__}, not a text: give a str")
    if not value:
        raise refusal(ValueError, owner, name, value, "is empty, so it says nothing: give a text")


def choice(words: Any, so: str) -> Check:
    """One word of a `Literal`."""
    allowed: tuple[str, ...] = get_args(words)
    listed = ", ".join(map(repr, allowed))

    def check(owner: str, name: str, value: object) -> None:
        if value not in allowed:
            kind = ValueError if isinstance(value, str) else TypeError
            raise refusal(kind, owner, name, value, f"is none of {listed}, so {so}: give one of these")

    return check


def function(so: str, give: str) -> Check:
    """Something that can be called and returns at once: nobody would await what a coroutine function returns."""

    def check(owner: str, name: str, value: Any) -> None:
        if not callable(value) or isinstance(value, type):
            fact = "is a class" if isinstance(value, type) else "cannot be called"
            raise refusal(TypeError, owner, name, value, f"{fact}, so {so}: give {give}")
        if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(getattr(value, "__call__", None)):  # noqa: B004
            raise refusal(TypeError, owner, name, value, f"is a coroutine function, which nobody awaits: give {give}")

    return check


def unless(kinds: type | tuple[type, ...], check: Check) -> Check:
    """Instances of `kinds`, and whatever `check` lets through."""

    def either(owner: str, name: str, value: Any) -> None:
        if not isinstance(value, kinds):
            check(owner, name, value)

    return either


def optional(check: Check) -> Check:
    """None, and whatever `check` lets through."""
    return unless(type(None), check)


def each(check: Check) -> Check:
    """A tuple or list of what `check` lets through."""

    def check_all(owner: str, name: str, values: Any) -> None:
        for number, value in enumerate(values):
            check(owner, f"{name}[{number}]", value)

    return check_all


def called_later(owner: str, name: str, value: Any) -> None:
    """What is called for an awaitable or a stream, and was not called yet."""
    if not callable(value):
        text = "cannot be called: give the function itself and its arguments, and do not call it"
        raise refusal(TypeError, owner, name, value, text)


def coroutine_function(owner: str, name: str, value: Any) -> None:
    """A coroutine function, as far as can be seen: a client's method may be a plain one that returns an awaitable."""
    called_later(owner, name, value)
    plain = inspect.unwrap(value)
    if isinstance(plain, type) or (inspect.isfunction(plain) and not inspect.iscoroutinefunction(plain)):
        text = "is no coroutine function, so there is nothing to await: make it an `async def`"
        raise refusal(TypeError, owner, name, value, text)
