"""What is entered by one task at a time."""

from __future__ import annotations


def entered_twice(what: str, form: str) -> RuntimeError:
    """Return what is raised when `what` is entered while somebody is inside it; `form` is how each makes its own."""
    text = f"this {what} is in use already and belongs to who entered it first: make a new one each time: {form}"
    return RuntimeError(text)
