"""The command lines that hooks and people type most, read without typer.

Building typer's parsers costs more than linting a small project does. Paths and plain flags need no parser; whatever
else stands on the command line goes to typer, which alone knows help, values and usage errors.
"""

from __future__ import annotations

from typing import Any

from safecall_lint.cli.options import Options

_FLAGS = {f"--{name.replace('_', '-')}": name for name, kind in Options.__annotations__.items() if kind == "bool"}


def quick(arguments: list[str], commands: tuple[str, ...]) -> Options | None:
    """The options of a command line that has nothing but paths and flags; None for any other."""
    if arguments and arguments[0] in commands:
        return None
    paths = tuple(argument for argument in arguments if argument == "-" or not argument.startswith("-"))
    flags = [argument for argument in arguments if argument not in paths]
    if any(flag not in _FLAGS for flag in flags):
        return None
    set_flags: dict[str, Any] = dict.fromkeys((_FLAGS[flag] for flag in flags), True)
    return Options(paths=paths, **set_flags)
