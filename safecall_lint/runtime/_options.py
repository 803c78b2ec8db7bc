"""What one call says about itself, for the call forms that have no room for an argument."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ._gate import Priority
from ._setting import number
from ._single_use import entered_twice, restore

if TYPE_CHECKING:
    from ._slot import Slot


USED = number(least=0, so="the quota would be charged nonsense", give="the tokens that were used, from 0")


@dataclass(slots=True, eq=False)
class CallOptions:
    """Settings of the calls made inside `with policy.options(...)`; see there."""

    owner: object = None
    priority: Priority = Priority.NORMAL
    tokens: float = 0.0
    weight: int = 1
    repeatable: bool = False
    _slot: Slot | None = field(default=None, repr=False)
    _token: Token[CallOptions] | None = field(default=None, repr=False)

    def settle(self, tokens: float) -> None:
        """Tell how many tokens the last call in here really used; the quota gets the difference back.

        Raises:
            TypeError: `tokens` is no number.
            ValueError: `tokens` is negative or not finite.
        """
        USED("settle", "tokens", tokens)
        if self._slot is not None:
            self._slot.settle(tokens)

    def note(self, slot: Slot) -> None:
        """Remember the slot of the latest attempt, for `settle`."""
        self._slot = slot

    def __enter__(self) -> Self:
        if self._token is not None:
            raise entered_twice("set of options", "with policy.options(...)")
        self._token = current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        token, self._token = self._token, None
        if token is not None:
            restore(current, token)


DEFAULT = CallOptions()

current: ContextVar[CallOptions] = ContextVar("safecall_options", default=DEFAULT)


def applying_to(owner: object) -> CallOptions:
    """Return the options of this context as far as they concern `owner`.

    Priority belongs to the work and travels on to every policy below; tokens, weight and repeatability were
    said of one vendor's call and mean nothing to another's.
    """
    options = current.get()
    if options is DEFAULT or options.owner is owner:
        return options
    return CallOptions(owner=owner, priority=options.priority)
