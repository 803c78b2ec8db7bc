"""What a vendor's rate headers say is left of its quota, in every dialect we know.

| vendor | headers | reset |
|---|---|---|
| OpenAI, Groq | `x-ratelimit-remaining-requests`, `-tokens` | a duration, `6m0s`: the quota refills all the time |
| Anthropic | `anthropic-ratelimit-requests-remaining`, `-tokens-`, `-input-tokens-` | RFC 3339; refills as well |
| Azure OpenAI | `x-ratelimit-remaining-requests`, `-tokens` | often none |
| Mistral | `x-ratelimit-remaining-req-minute`, `-tokens-minute` | none, but the window is in the name |
| GitHub and many others | `x-ratelimit-remaining` | epoch seconds or seconds |
| IETF draft-ietf-httpapi-ratelimit-headers | `RateLimit: "default";r=50;t=30`, `RateLimit-Remaining` | seconds |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Counted: TypeAlias = Literal["calls", "tokens"]
Moment: TypeAlias = Callable[[str | None], float | None]

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_WINDOWS = {"second": 1.0, "minute": _MINUTE, "hour": _HOUR, "day": _DAY, "month": 30 * _DAY}
_FAMILY = frozenset({"x", "anthropic", "ratelimit", "ratelimitbysize", "tokenlimit", "remaining"})
_CALLS = frozenset({"req", "request", "requests"})
_PART_OF_A_CALL = frozenset({"input", "output", "prompt", "generated"})
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_DRAFT_LEFT = re.compile(r"(?:^|[;,\s])(?:r|remaining)=(\d+)")
_DRAFT_RESET = re.compile(r"(?:^|[;,\s])(?:t|reset)=(\d+)")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of one quota of the vendor.

    Attributes:
        name: the header, which tells one quota of a vendor from another.
        counts: what is counted, or None where it is neither calls nor tokens.
        remaining: how many may still come.
        limit: how many may come in a whole window, where that is said.
        reset: seconds until the quota is whole again, where that is said.
        refills: it comes back little by little until then, not all at once.
    """

    name: str
    counts: Counted | None
    remaining: float
    limit: float | None
    reset: float | None
    refills: bool


def allowances(found: Mapping[str, str], moment: Moment) -> list[Allowance]:
    """Return every quota that a response tells about.

    Args:
        found: the response's headers, names in lower case.
        moment: reads a reset time as seconds from now.
    """
    told: list[Allowance] = []
    for name, text in found.items():
        if "limit" in name:
            told += _draft(name, text) if name == "ratelimit" else _classic(name, text, found, moment)
    return told


def _classic(name: str, text: str, found: Mapping[str, str], moment: Moment) -> Iterator[Allowance]:
    words = name.split("-")
    remaining = _number(text)
    if "remaining" not in words or remaining is None or _FAMILY.isdisjoint(words[:2]):
        return
    reset_text = found.get(name.replace("remaining", "reset"))
    reset = moment(reset_text)
    if reset is None:
        reset = next((_WINDOWS[word] for word in words if word in _WINDOWS), None)
    refills = words[0] == "anthropic" or bool(reset_text and _DURATION.fullmatch(reset_text))
    limit = _number(found.get(name.replace("remaining", "limit")))
    yield Allowance(name, _counted(words), remaining, limit, reset, refills)


def _counted(words: list[str]) -> Counted | None:
    """What a header counts; a call declares its tokens in one sum, so a share of them tells it nothing."""
    if not _PART_OF_A_CALL.isdisjoint(words):
        return None
    if {"ratelimitbysize", "tokenlimit"} & {*words} or any(word.startswith("token") for word in words):
        return "tokens"
    rest = {*words} - _FAMILY - {*_WINDOWS}
    return "calls" if not rest or rest & _CALLS else None


def _draft(name: str, text: str) -> Iterator[Allowance]:
    """Read the structured field of the later drafts, or the list `limit=10, remaining=5, reset=3` of the earlier."""
    for part in [text] if "remaining=" in text else text.split(","):
        left, reset = _DRAFT_LEFT.search(part), _DRAFT_RESET.search(part)
        if left is not None:
            seconds = None if reset is None else float(reset[1])
            label = part.partition(";")[0].strip().strip('"')
            yield Allowance(f"{name} {label}", "calls", float(left[1]), None, seconds, refills=False)


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text) else None
