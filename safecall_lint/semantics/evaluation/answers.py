"""The answers that questions have got, and what becomes of a question that leads back to itself.

Inside a cycle a question's answer is cut short: it holds only under the question that the cycle was entered by, and is
forgotten with it. The answer of that question itself is what anybody outside of the cycle would get, so it is kept,
with the questions of the cycle: while one of those is open, it would come out otherwise, and is not used. So no answer
depends on what was asked before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Generic, TypeVar

from msgspec import Struct, field

_DEEPEST = 40
_NEVER = sys.maxsize
_TOO_DEEP = -1
Answer = TypeVar("Answer")
_Question = tuple[str, int]
_Identity = tuple[str, int, int]
_Cycle = frozenset[_Question]


class Answers(Struct, Generic[Answer]):
    """Answers by question. `cuts` grows whenever an answer is not the whole one, or hangs on a cycle."""

    nothing: Answer
    cuts: int = 0
    _known: dict[_Identity, tuple[object, Answer]] = field(default_factory=dict)
    _entered: dict[_Identity, tuple[object, Answer, _Cycle]] = field(default_factory=dict)
    _partial: dict[_Identity, tuple[object, Answer, int]] = field(default_factory=dict)
    _top: dict[_Identity, tuple[object, Answer]] = field(default_factory=dict)
    _open: dict[_Question, int] = field(default_factory=dict)
    _cycles: list[_Cycle] = field(default_factory=list)
    _provisional: list[_Identity] = field(default_factory=list)
    _joint: dict[_Cycle, _Cycle] = field(default_factory=dict)
    _lowest: int = _NEVER

    @property
    def idle(self) -> bool:
        """Whether no question is half answered."""
        return not self._open

    def once(self, what: str, key: object, scope: object, work: Callable[[], Answer]) -> Answer:
        """Do `work` once for `key` in `scope`, and never inside itself: there the answer is nothing."""
        identity = (what, id(key), id(scope))
        if known := self._known.get(identity):
            return known[1]
        question = (what, id(key))
        if partial := self._partial.get(identity):
            return self._cut(partial[2], partial[1])
        if question in self._open:
            return self._cut(self._open[question], self.nothing)
        if (entered := self._entered.get(identity)) and entered[2].isdisjoint(self._open):
            self.cuts += 1
            self._cycles.append(entered[2])
            return entered[1]
        if not self._open and (top := self._top.get(identity)):
            return self._cut(_TOO_DEEP, top[1])
        if len(self._open) > _DEEPEST:
            return self._cut(_TOO_DEEP, self.nothing)
        return self._answer(identity, question, (key, scope), work)

    def _cut(self, lowest: int, answer: Answer) -> Answer:
        """An answer that holds only below the open question at a depth."""
        self.cuts += 1
        self._lowest = min(self._lowest, lowest)
        return answer

    def _answer(self, identity: _Identity, question: _Question, kept: object, work: Callable[[], Answer]) -> Answer:
        depth, outer = len(self._open), self._lowest
        cycles, provisional = len(self._cycles), len(self._provisional)
        self._open[question], self._lowest = depth, _NEVER
        try:
            answer = work()
        except BaseException:
            self._close()
            raise
        finally:
            del self._open[question]
            lowest, self._lowest = self._lowest, outer if self._open else _NEVER
        if lowest < depth:
            self._lowest = min(self._lowest, lowest)
            self._keep_partial(identity, question, (kept, answer, lowest))
        elif len(self._cycles) == cycles:
            self._known[identity] = (kept, answer)
        else:
            self._leave_cycle(identity, question, (kept, answer), cycles, provisional, on_it=lowest == depth)
        if not self._open:
            self._close()
        return answer

    def _keep_partial(self, identity: _Identity, question: _Question, row: tuple[object, Answer, int]) -> None:
        if self._open:
            self._partial[identity] = row
            self._provisional.append(identity)
            self._cycles.append(frozenset((question,)))
        else:
            self._top[identity] = row[:2]

    def _leave_cycle(
        self, identity: _Identity, question: _Question, row: tuple[object, Answer], cycles: int, provisional: int,
        *, on_it: bool,
    ) -> None:  # fmt: skip
        """The question that a cycle was entered by is answered: what was found inside goes with it."""
        for inner in self._provisional[provisional:]:
            self._partial.pop(inner, None)
        del self._provisional[provisional:]
        cycle = self._union(self._cycles[cycles:])
        self._cycles[cycles:] = [cycle | {question} if on_it else cycle]
        self._entered[identity] = (*row, self._cycles[cycles])

    def _union(self, cycles: list[_Cycle]) -> _Cycle:
        """All questions of some cycles; one object however often the same ones meet, because they are many."""
        if all(cycle is cycles[0] for cycle in cycles):
            return cycles[0]
        joint = frozenset[_Question]().union(*cycles)
        return self._joint.setdefault(joint, joint)

    def _close(self) -> None:
        self._partial.clear()
        self._provisional.clear()
        self._cycles.clear()
