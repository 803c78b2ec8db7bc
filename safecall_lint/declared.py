"""What a project says about its own code, in the same words as the knowledge tables."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Declared(Struct, frozen=True):
    """Dotted names of a project's own functions and classes, by what they are."""

    clients: Annotated[tuple[str, ...], Meta(description="Classes and factories whose value opens connections.")] = ()
    gates: Annotated[tuple[str, ...], Meta(description="Classes and factories that bound concurrent calls.")] = ()
    limiters: Annotated[tuple[str, ...], Meta(description="Classes and factories that bound calls per time.")] = ()
    retries: Annotated[tuple[str, ...], Meta(description="Decorators and wrappers that call again on failure.")] = ()
    blocking: Annotated[tuple[str, ...], Meta(description="Functions that block the thread they are called in.")] = ()
