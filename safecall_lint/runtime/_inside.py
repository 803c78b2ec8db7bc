"""Who is inside a policy, so that it is not called inside itself."""

from __future__ import annotations

import asyncio


class Inside:
    """The tasks that are inside a call of one policy or hold its slot.

    A task that one of them starts is not inside: it may well run on after the slot was given back, and nobody can know
    whether somebody waits for it. So a context variable, which it would inherit, says nothing here.

    Args:
        name: the policy's name.

    Attributes:
        tasks: those that are inside now.
        leave: forget a task.
    """

    __slots__ = ("_name", "leave", "tasks")

    def __init__(self, name: str) -> None:
        self._name = name
        self.tasks: set[asyncio.Task[object]] = set()
        self.leave = self.tasks.discard

    def enter(self) -> asyncio.Task[object]:
        """Note the current task, and return it.

        Raises:
            RuntimeError: there is none, or it is inside already.
        """
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError(f"{self._name}: a call needs a task to time: run it inside asyncio.run() or a task")
        if task in self.tasks:
            raise RuntimeError(
                f"{self._name}: this call is made inside a call or a slot of the same policy and would wait for its own"
                " slot: use the policy's transport or its call forms, not one inside the other"
            )
        self.tasks.add(task)
        return task
