"""Which call in a `try` may be an attempt at a vendor where no library that the tables know is called there.

Loops that count attempts go around much that is no vendor: processes and files of this machine, the project's own
database, clicks in a browser, the reading of an answer. Words tell them apart as far as words can, so what is found
here is for the strict profile only.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from safecall_lint.semantics.rounds import entered, plain, tail_name, within
from safecall_lint.semantics.scan import CallSite, dotted

if TYPE_CHECKING:
    from safecall_lint.semantics.model import Function

_HERE = re.compile(
    r"^_*(\w+_)?(db|database|sql|sqlite|postgres|mysql|mongo|cursor|page|locator|frame|keyboard|mouse|cdp|driver"
    r"|element|proc|process|subprocess|container|os|shutil|json|re|path|fs|lock|cache|kernel|kc|expect|pool|conn|connection|cur)(_storage)?$"
)
_QUICK = frozenset(
    {
        "loads", "load", "dumps", "dump", "parse", "validate", "model_validate", "model_dump", "compile", "split",
        "strip", "join", "append", "lower", "replace", "open", "unlink", "remove", "rename", "mkdir", "exists",
        "write_text", "acquire", "release", "commit", "rollback", "flush", "click", "fill", "press", "evaluate",
        "communicate", "isinstance", "hasattr", "getattr", "setattr", "cast", "get_running_loop", "time", "monotonic",
        "perf_counter", "iscoroutinefunction", "with_suffix", "cleanup", "rmtree",
    }
)  # fmt: skip
_READING = re.compile(r"^_*(parse|validate|format|decode|encode|normali[sz]e|clean)(_|$)|^_*get_?conn(ection)?$")
_CLICKING = frozenset({"click", "fill", "press", "wait_for_selector", "drag_and_drop", "scroll_into_view_if_needed"})
_STARTING = frozenset({"create_subprocess_exec", "create_subprocess_shell", "Popen", "check_output", "check_call"})


def outward(block: ast.Try, function: Function) -> list[CallSite]:
    """The calls in the body of a `try` that may leave this process, in source order; in a coroutine something waits
    for each of them."""
    inside = [site for site in function.scan.calls if within(site, block, "body")]
    if any(tail_name(site.node) in _STARTING or dotted(site.node.func).startswith("subprocess.") for site in inside):
        return []
    return [site for site in inside if not plain(site) and not _here(site) and (not function.is_async or _waits(site))]


def by_hand(block: ast.Try, function: Function) -> bool:
    """Whether the body of a `try` works a browser: then each attempt is another try at a page, whatever else is asked
    below."""
    return any(
        within(site, block, "body") and dotted(site.node.func).rpartition(".")[2] in _CLICKING
        for site in function.scan.calls
    )


def picks(function: Function) -> bool:
    """Whether a function takes one of several things by chance or off a pile: then each attempt is at another one."""
    taken = (dotted(site.node.func) for site in function.scan.calls)
    return any(name in ("random.choice", "random.sample", "choice") or name.endswith(".popleft") for name in taken)


def _here(site: CallSite) -> bool:
    """Whether a call stays on this machine, by its words."""
    owners, last = dotted(site.node.func).lower().split(".")[:-1], tail_name(site.node).lower()
    return last in _QUICK or bool(_READING.match(last)) or any(_HERE.match(word) for word in owners)


def _waits(site: CallSite) -> bool:
    """Whether a coroutine waits for what a call gives."""
    frame = site.frame
    read = frame is not None and isinstance(frame.node, ast.AsyncFor) and frame.section == "items"
    return site.awaited or entered(site) or read or (site.outer is not None and _waits(site.outer))
