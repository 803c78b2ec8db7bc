"""What a setting may be, and what is said of one that cannot work: the fact, its consequence, one thing to do.

A setting states its check once, beside the others of its owner: `"window": seconds("30")`. A check takes the owner, the
setting's name and the value, and raises TypeError for a wrong type and ValueError for a wrong value. True is no number
here, and neither NaN nor infinity is one to count with.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Mapping
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


def number(
    *, so: str, give: str, least: float = -_LARGEST, beyond: bool = False, most: float = _LARGEST, whole: bool = False
) -> Check:
    """Finite numbers within bounds.

    Args:
        so: the consequence of a number that is out of bounds.
        give: what to give instead.
        least: the smallest number.
        beyond: the smallest number itself is out.
        most: the largest number.
        whole: no fractions.
    """
    kinds = int if whole else (int, float)
    excluded = least if beyond else math.nan
    bounds = ["finite"] if most == _LARGEST and not whole else []
    if least > -_LARGEST:
        bounds.append(f"{'above' if beyond else 'at least'} {least:g}")
    if most < _LARGEST:
        bounds.append(f"at most {most:g}")
    fact = f"is not {' and '.join(bounds) or 'a number'}, so {so}: give {give}"

    def check(owner: str, name: str, value: Any) -> None:
        if not isinstance(value, kinds) or value is True or value is False:
            text = f"is of type {type(value).__name__}, which cannot be counted with: give {give}"
            raise refusal(TypeError, owner, name, value, text)
        if not least <= value <= most or value == excluded:
            raise refusal(ValueError, owner, name, value, fact)

    return check


def seconds(example: str, so: str = "the limit fires at once or never") -> Check:
    """A time that ends: above 0 and finite."""
    return number(least=0, beyond=True, so=so, give=f"a number of seconds above 0, such as {example}")


def pause(example: str, so: str = "the wait has no meaning or no end") -> Check:
    """A wait, which may be none."""
    return number(least=0, so=so, give=f"a number of seconds from 0, such as {example}")


def count(least: int, so: str) -> Check:
    """How many of something there are."""
    return number(least=least, whole=True, so=so, give=f"a whole number from {least}")


def share(so: str, *, of_none: bool = False) -> Check:
    """A part of a whole: up to 1, and above 0 unless it may be a share `of_none`."""
    give = "a share, such as 0.5 for 50 %"
    return number(least=0, beyond=not of_none, most=1, so=so, give=give)


def instance(kinds: type | tuple[type, ...], so: str, give: str) -> Check:
    """Instances of certain classes."""

    def check(owner: str, name: str, value: Any) -> None:
        if not isinstance(value, kinds):
            text = f"is of type {type(value).__name__}, so {so}: give {give}"
            raise refusal(TypeError, owner, name, value, text)

    return check


def having(methods: tuple[str, ...], so: str, give: str) -> Check:
    """Objects, not classes, that have certain methods."""

    def check(owner: str, name: str, value: Any) -> None:
        missing = [method for method in methods if not callable(getattr(value, method, None))]
        if missing or isinstance(value, type):
            fact = "is a class and not an instance" if isinstance(value, type) else f"has no {missing[0]}()"
            raise refusal(TypeError, owner, name, value, f"{fact}, so {so}: give {give}")

    return check


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
        for place, value in enumerate(values):
            check(owner, f"{name}[{place}]", value)

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
