"""Whose turn it is at a quota that several gates share: else a large amount never finds room beside small ones."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Claimant(Protocol):
    """A gate whose head may have to wait for the quota."""

    def admit(self) -> None:
        """Let in whoever may go; say to the turns whether the quota was in the way."""
        ...

    def claim(self) -> tuple[int, float]:
        """Return the calls and the tokens of the head of the queue."""
        ...


class Turns:
    """The gates of one policy and one event loop that wait for the quota, in the order in which they began to.

    Attributes:
        line: those gates.
    """

    __slots__ = ("_passing", "line")

    def __init__(self) -> None:
        self.line: deque[Claimant] = deque()
        self._passing = False

    def may_take(self, gate: Claimant) -> bool:
        """Whether no other gate waits for the quota before this one."""
        return not self.line or self.line[0] is gate

    def wait(self, gate: Claimant) -> None:
        """Stand in line, at the place where the gate stands already if it does."""
        if gate not in self.line:
            self.line.append(gate)

    def leave(self, gate: Claimant) -> None:
        """Stand in line no more."""
        if self.line and gate in self.line:
            self.line.remove(gate)

    def ahead(self, gate: Claimant) -> tuple[int, float]:
        """Return the calls and the tokens of the other gates that stand in line."""
        claims = [other.claim() for other in self.line if other is not gate]
        return sum(calls for calls, _ in claims), sum(tokens for _, tokens in claims)

    def proceed(self) -> None:
        """Let the first in line try the quota, and the next ones for as long as there is room."""
        if self._passing:
            return
        self._passing = True
        try:
            while self.line:
                gate = self.line[0]
                gate.admit()
                if self.line and self.line[0] is gate:
                    break
        finally:
            self._passing = False
