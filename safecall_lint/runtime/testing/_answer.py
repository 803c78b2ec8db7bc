"""Text answers that the vendors' own SDKs understand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from .._setting import text as a_text
from ._behaviour import Step, check, reply, stream
from ._dialects import anthropic, google, openai
from ._dialects._spoken import Spoken, Wanted, wanted
from ._traffic import Received

_DIALECTS: Mapping[str, Callable[[Wanted], Spoken]] = {
    "/chat/completions": openai.chat,
    "/responses": openai.responses,
    "/messages": anthropic.messages,
    ":generateContent": google.whole_content,
    ":streamGenerateContent": google.streamed_content,
}


def answer(
    text: str = "Hello from the loopback vendor",
    *,
    gap: float = 0.0,
    latency: float = 0.0,
    drop_after: int | None = None,
    stall_after: int | None = None,
) -> Callable[[Received], list[Step]]:
    """Answer with `text` in the format of the vendor whose path was asked for, streamed if the request wants that.

    It speaks OpenAI (chat completions, responses), Anthropic (messages), Mistral (chat) and google-genai
    (generateContent, streamGenerateContent). Tokens are counted as a quarter of the request's bytes and one a word.

    Args:
        text: the answer; a stream sends it word by word.
        gap: seconds before each word of a stream.
        latency: seconds before the headers.
        drop_after: cut a stream after so many words.
        stall_after: let a stream fall silent after so many words.

    Raises:
        TypeError: an argument of a wrong type.
        ValueError: a number that is out of bounds, or both `drop_after` and `stall_after`.
    """
    a_text("answer", "text", text)
    check("answer", gap=gap, latency=latency, drop_after=drop_after, stall_after=stall_after)

    def behaviour(request: Received) -> list[Step]:
        speak = _dialect(request.path)
        if speak is None:
            return reply(404, {"error": {"message": f"{request.path}: none of {[*_DIALECTS]}"}})
        spoken = speak(wanted(text, request.body, _body(request)))
        if not spoken.streams:
            return reply(200, spoken.whole, latency=latency)
        first, *others = spoken.words
        chunks = [spoken.opening + first, *others, spoken.closing]
        return stream(chunks, gap=gap, latency=latency, drop_after=drop_after, stall_after=stall_after)

    return behaviour


def _dialect(path: str) -> Callable[[Wanted], Spoken] | None:
    return next((speak for ending, speak in _DIALECTS.items() if path.endswith(ending)), None)


def _body(request: Received) -> Mapping[str, Any]:
    try:
        body = request.json()
    except json.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
