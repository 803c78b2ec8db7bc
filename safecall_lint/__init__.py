"""Static analysis that keeps services alive when they call other people's APIs."""

from __future__ import annotations

import os
import sys


def _here() -> str:
    """The working directory, "" where it is gone."""
    try:
        return os.getcwd()
    except OSError:
        return ""


# `python -m` looks for modules in the working directory first, where a project may have a `typing.py` of its own. This
# is the first code of ours that such a run comes to, before `__main__`: whatever is imported from here on is Python's
# own. Where we were found there ourselves it stays.
if (
    sys.argv[:1] == ["-m"]
    and sys.orig_argv[-len(sys.argv)].endswith("safecall_lint")
    and not sys.flags.safe_path
    and sys.path[0] == _here() != os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
):
    del sys.path[0]

from typing import TYPE_CHECKING  # noqa: E402 - not before the path is in order

if TYPE_CHECKING:
    from safecall_lint.finding import Finding
    from safecall_lint.settings import Settings

__all__ = ["fix", "lint"]


def lint(source: str, settings: Settings | None = None) -> list[Finding]:
    """The findings in a module's text, in the order of their positions."""
    from safecall_lint.api import lint_text

    return lint_text(source, settings)


def fix(source: str, settings: Settings | None = None) -> str:
    """A module's text with every safe fix carried out."""
    from safecall_lint.api import fix_text

    return fix_text(source, settings)
