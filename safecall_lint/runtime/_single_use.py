"""What is entered by one task at a time, and left by whoever comes to close it."""

from __future__ import annotations

from contextvars import ContextVar, Token
from typing import TypeVar

T = TypeVar("T")


def restore(variable: ContextVar[T], token: Token[T]) -> None:
    """Undo a `set`; in another context, where an abandoned generator may be closed, there is nothing to undo."""
    try:
        variable.reset(token)
    except ValueError:
        return


def entered_twice(what: str, form: str) -> RuntimeError:
    """Return what is raised when `what` is entered while somebody is inside it; `form` is how each makes its own."""
    text = f"this {what} is in use already and belongs to who entered it first: make a new one each time: {form}"
    return RuntimeError(text)
