"""Whether a request asks for a stream, before it is sent."""

from __future__ import annotations

import json
import re
from typing import Any

_EVENTS = "text/event-stream"
_STREAM_KEY = re.compile(rb'(?<!\\)"stream"\s*:\s*true')


def asks_for_stream(request: Any) -> bool:
    """Whether the answer will be a stream, going by what OpenAI, Anthropic, Mistral and Google are asked with.

    That is `"stream": true` at the top of a JSON body, a path that ends in `:streamGenerateContent`, or an `Accept`
    header that begins with `text/event-stream`.
    """
    if request.headers.get("accept", "").startswith(_EVENTS) or request.url.path.endswith(":streamGenerateContent"):
        return True
    try:
        body = request.content
    except RuntimeError:  # the body is itself a stream, of which nothing can be read ahead
        return False
    return bool(_STREAM_KEY.search(body)) and _is_set_at_the_top(body)


def _is_set_at_the_top(body: bytes) -> bool:
    """The key may also stand inside, such as in the description of a tool."""
    try:
        parsed = json.loads(body)
    except ValueError:
        return False
    return isinstance(parsed, dict) and parsed.get("stream") is True
