"""What names mean and what functions do: one `Semantics` per project, asked by the visitors.

An analysis is imported when it is first asked for: most files ask for few.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from safecall_lint.semantics.calls import Calls
from safecall_lint.semantics.evaluate import Evaluator
from safecall_lint.semantics.project import Project, SyntaxProblem
from safecall_lint.semantics.triage import Triage

if TYPE_CHECKING:
    from safecall_lint.semantics.admissions import Admissions
    from safecall_lint.semantics.attempts import Attempts
    from safecall_lint.semantics.blocking import Blocking
    from safecall_lint.semantics.counters import Counters
    from safecall_lint.semantics.deadlines import Deadlines
    from safecall_lint.semantics.deployment import Deployment
    from safecall_lint.semantics.endpoints import Endpoints
    from safecall_lint.semantics.entries import Entries
    from safecall_lint.semantics.event_loops import EventLoops
    from safecall_lint.semantics.exceptions import Exceptions
    from safecall_lint.semantics.fanout import FanOuts
    from safecall_lint.semantics.guarding import Guarding
    from safecall_lint.semantics.holding import Holding
    from safecall_lint.semantics.leaks import Leaks
    from safecall_lint.semantics.lifetimes import Lifetimes
    from safecall_lint.semantics.overload import Overload
    from safecall_lint.semantics.pools import Pools
    from safecall_lint.semantics.raising import Raising
    from safecall_lint.semantics.reach import Reach
    from safecall_lint.semantics.refusals import Refusals
    from safecall_lint.semantics.requeues import Requeues
    from safecall_lint.semantics.requirements import Requirements
    from safecall_lint.semantics.responses import Responses
    from safecall_lint.semantics.retries import Retries
    from safecall_lint.semantics.roles import Roles
    from safecall_lint.semantics.shares import Shares
    from safecall_lint.semantics.sharing import Sharing
    from safecall_lint.semantics.solitude import Solitude
    from safecall_lint.semantics.stalls import Stalls
    from safecall_lint.semantics.streams import Streams
    from safecall_lint.semantics.threads import Threads
    from safecall_lint.semantics.timeouts import Timeouts, Uses
    from safecall_lint.semantics.waiting import Waiting

__all__ = ["Project", "Semantics", "SyntaxProblem"]


class Semantics:
    """The semantic model over one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.evaluator = Evaluator(project)
        self.triage = Triage(project)

    @classmethod
    def of(cls, project: Project) -> Semantics:
        """The project's model; the same one until the project lets go of its modules."""
        if not isinstance(project.model, cls):
            project.model = cls(project)
        return project.model

    @cached_property
    def calls(self) -> Calls:
        return Calls(self.evaluator)

    @cached_property
    def blocking(self) -> Blocking:
        from safecall_lint.semantics.blocking import Blocking

        return Blocking(self.calls)

    @cached_property
    def reach(self) -> Reach:
        from safecall_lint.semantics.reach import Reach

        return Reach(self.calls)

    @cached_property
    def retries(self) -> Retries:
        from safecall_lint.semantics.retries import Retries

        return Retries(self.calls, self.reach)

    @cached_property
    def requeues(self) -> Requeues:
        from safecall_lint.semantics.requeues import Requeues

        return Requeues(self.retries)

    @cached_property
    def holding(self) -> Holding:
        from safecall_lint.semantics.holding import Holding

        return Holding(self.calls)

    @cached_property
    def fanouts(self) -> FanOuts:
        from safecall_lint.semantics.fanout import FanOuts
        from safecall_lint.semantics.origins import Origins
        from safecall_lint.semantics.sizes import Sizes

        return FanOuts(
            self.calls, self.reach, self.holding, Sizes(self.calls, self.roles, Origins(self.calls, self.roles))
        )

    @cached_property
    def waiting(self) -> Waiting:
        from safecall_lint.semantics.waiting import Waiting

        return Waiting(self.holding, self.deadlines, self.roles, self.requirements)

    @cached_property
    def leaks(self) -> Leaks:
        from safecall_lint.semantics.leaks import Leaks

        return Leaks(self.calls, self.holding)

    @cached_property
    def solitude(self) -> Solitude:
        from safecall_lint.semantics.solitude import Solitude

        return Solitude(self.calls, self.lifetimes, self.roles)

    @cached_property
    def stalls(self) -> Stalls:
        from safecall_lint.semantics.stalls import Stalls

        return Stalls(self.calls, self.reach, self.retries, self.holding)

    @cached_property
    def deployment(self) -> Deployment:
        from safecall_lint.semantics.deployment import Deployment

        return Deployment(self.project)

    @cached_property
    def counters(self) -> Counters:
        from safecall_lint.semantics.commands import Commands
        from safecall_lint.semantics.counters import Counters

        return Counters(Commands(self.evaluator))

    @cached_property
    def guarding(self) -> Guarding:
        from safecall_lint.semantics.guarding import Guarding

        return Guarding(self.calls, self.reach, self.holding, self.roles.everywhere)

    @cached_property
    def streams(self) -> Streams:
        from safecall_lint.semantics.streams import Streams

        return Streams(self.calls, self.reach)

    @cached_property
    def exceptions(self) -> Exceptions:
        from safecall_lint.semantics.exceptions import Exceptions

        return Exceptions(self.evaluator)

    @cached_property
    def roles(self) -> Roles:
        from safecall_lint.semantics.callers import Callers
        from safecall_lint.semantics.roles import Roles

        return Roles(self.calls, Callers(self.evaluator))

    @cached_property
    def deadlines(self) -> Deadlines:
        from safecall_lint.semantics.deadlines import Deadlines

        return Deadlines(self.evaluator)

    @cached_property
    def entries(self) -> Entries:
        from safecall_lint.semantics.entries import Entries

        return Entries(self.calls, self.roles, self.deadlines)

    @cached_property
    def endpoints(self) -> Endpoints:
        from safecall_lint.semantics.endpoints import Endpoints

        return Endpoints(self.calls, self.reach, self.deadlines, self.entries, self.retries, self.streams, self.threads)

    @cached_property
    def threads(self) -> Threads:
        from safecall_lint.semantics.threads import Threads

        return Threads(self.calls, self.reach)

    @cached_property
    def raising(self) -> Raising:
        from safecall_lint.semantics.raising import Raising

        return Raising(self.calls, self.reach, self.exceptions)

    @cached_property
    def lifetimes(self) -> Lifetimes:
        from safecall_lint.semantics.lifetimes import Lifetimes

        return Lifetimes(self.calls)

    @cached_property
    def event_loops(self) -> EventLoops:
        from safecall_lint.semantics.event_loops import EventLoops

        return EventLoops(self.calls, self.lifetimes)

    @cached_property
    def timeouts(self) -> Timeouts:
        from safecall_lint.semantics.timeouts import Timeouts

        return Timeouts(self.calls)

    @cached_property
    def admissions(self) -> Admissions:
        from safecall_lint.semantics.admissions import Admissions

        return Admissions(self.calls, self.reach, self.deadlines)

    @cached_property
    def uses(self) -> Uses:
        from safecall_lint.semantics.timeouts import Uses

        return Uses(self.calls, self.deadlines, self.roles.everywhere)

    @cached_property
    def shares(self) -> Shares:
        from safecall_lint.semantics.shares import Shares

        return Shares(self.evaluator)

    @cached_property
    def sharing(self) -> Sharing:
        from safecall_lint.semantics.sharing import Sharing

        return Sharing(self.calls, self.lifetimes, self.retries, self.roles)

    @cached_property
    def refusals(self) -> Refusals:
        from safecall_lint.semantics.refusals import Refusals

        return Refusals(self.admissions, self.raising)

    @cached_property
    def responses(self) -> Responses:
        from safecall_lint.semantics.responses import Responses

        return Responses(self.calls)

    @cached_property
    def attempts(self) -> Attempts:
        from safecall_lint.semantics.attempts import Attempts

        return Attempts(self.calls, self.reach, self.exceptions, self.retries)

    @cached_property
    def overload(self) -> Overload:
        from safecall_lint.semantics.overload import Overload
        from safecall_lint.semantics.replies import Replies
        from safecall_lint.semantics.telling import Telling

        return Overload(self.raising, Replies(self.evaluator), Telling(), self.threads, self.entries)

    @cached_property
    def pools(self) -> Pools:
        from safecall_lint.semantics.pools import Pools

        return Pools(self.calls)

    @cached_property
    def requirements(self) -> Requirements:
        from safecall_lint.semantics.requirements import Requirements

        return Requirements(self.project)
