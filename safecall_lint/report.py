"""What linting one file gave."""

from __future__ import annotations

from msgspec import Struct

from safecall_lint.finding import Finding
from safecall_lint.trail import Trail

TOO_DEEP = "the code is nested too deeply to be analysed"


class Crash(Struct, frozen=True):
    """A mistake of ours: the rule that failed on a file, where it is known, and why. Without a path the rule fails on
    every file."""

    path: str
    rule: str
    cause: str
    trace: str = ""

    def __str__(self) -> str:
        check = f"the check of `{self.rule}` failed" if self.rule else "the check failed"
        return f"{self.path}: {check}: {self.cause}" if self.path else f"{check}: {self.cause}"

    @classmethod
    def of(cls, error: Exception, path: str, rule: str = "") -> Crash:
        """What is told about an error that nobody expected."""
        from traceback import format_exception

        lines = str(error).splitlines()
        cause = f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
        return cls(path, rule, cause, "".join(format_exception(error)))


class Report(Struct, frozen=True):
    """What one file gave. `trail` has what was looked at for it, and for whichever files came before it and are not
    told of yet."""

    findings: tuple[Finding, ...] = ()
    crashes: tuple[Crash, ...] = ()
    trail: Trail | None = None
