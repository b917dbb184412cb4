"""A model that reads the request: it counts as far as it is asked to, obeys limits and stops, and has quirks on demand.

The quirks are named in the model's name: `behaving`, `behaving:one-piece`, `behaving:ignores-stop+usage-groq`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.support.upstream.script import (
    DONE,
    At,
    Part,
    Script,
    chunk,
    counts,
    document,
    error,
    event,
    html,
    stream,
    text_chunk,
)

BEHAVING = "behaving"
PROMPT_TOKENS = 15
TOKEN_SECONDS = 0.001
WHOLE_SECONDS = 0.25
LATE_SECONDS = 0.75
"""Far enough from each other that a busy machine doesn't mix them up."""
LIMITS = ("max_tokens", "max_completion_tokens")
RATE_LIMITS = {"x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499", "X-Other": "no"}

QUIRKS = frozenset(
    {
        "no-chat", "no-completions", "html", "wrong-key",
        "no-whole", "no-stream", "whole", "one-piece", "lumps", "cut",
        "usage-finish", "usage-every", "usage-groq", "usage-choice", "usage-never", "usage-wrong",
        "refuses-usage", "tells-unasked", "refuses-max-tokens", "refuses-other-limit", "refuses-limit", "ignores-limit",
        "other-limit",
        "refuses-stop", "ignores-stop", "returns-stop",
        "thinks", "thinks-opened", "empty", "limits", "busy",
    }
)  # fmt: skip


def behave(path: str, body: Mapping[str, Any]) -> Script:
    """What becomes of one request."""
    quirks = frozenset(str(body["model"]).partition(":")[2].split("+")) - {""}
    assert quirks <= QUIRKS, quirks - QUIRKS
    is_legacy = not path.endswith("/chat/completions")
    refusal = _refusal(quirks, body, is_legacy)
    if refusal is not None:
        return refusal
    texts, finish = _answer(quirks, body, is_legacy)
    prompt = PROMPT_TOKENS + (50 if "usage-wrong" in quirks else 0)
    usage = counts(prompt, len(texts) * (2 if "usage-wrong" in quirks else 1))
    headers = RATE_LIMITS if "limits" in quirks else {}
    if not body.get("stream") or "whole" in quirks:
        return _whole(quirks, texts, finish, usage, headers, is_legacy)
    return _streamed(quirks, texts, finish, usage, headers, is_legacy, bool(body.get("stream_options")))


def _refusal(quirks: frozenset[str], body: Mapping[str, Any], is_legacy: bool) -> Script | None:
    """The error that the request is answered with, if it is."""
    if "wrong-key" in quirks:
        return error(401, "Incorrect API key provided.", code="invalid_api_key")
    if "busy" in quirks:
        return error(429, "Slow down.", code="rate_limit_exceeded")
    if "html" in quirks:
        return html()
    if ("no-completions" if is_legacy else "no-chat") in quirks:
        return error(404, "Not Found", type="not_found_error")
    if body.get("stream") and "no-stream" in quirks:
        return error(400, "This server can't stream.", type="invalid_request_error")
    if not body.get("stream") and "no-whole" in quirks:
        return error(400, "This server only streams.", type="invalid_request_error")
    refused = {
        "refuses-usage": ("stream_options",),
        "tells-unasked": ("stream_options",),
        "refuses-max-tokens": LIMITS[:1],
        "refuses-other-limit": LIMITS[1:],
        "refuses-limit": LIMITS,
        "refuses-stop": ("stop",),
    }
    for quirk, names in refused.items():
        for name in names:
            if quirk in quirks and name in body:
                return error(400, f"Unsupported parameter: '{name}'.", type="invalid_request_error")
    return None


def _answer(quirks: frozenset[str], body: Mapping[str, Any], is_legacy: bool) -> tuple[list[str], str]:
    """The numbers, a token each, and why it ends there."""
    prompt = str(body.get("prompt") if is_legacy else body["messages"][-1]["content"])
    asked = re.search(r"to (\d+)", prompt)
    tokens = [token for number in range(1, int(asked[1]) + 1 if asked else 4) for token in (str(number), ",", " ")][:-2]
    tokens = [] if "empty" in quirks else tokens
    if "thinks" in quirks:
        tokens = ["<think>", "Hm", ".", "</think>", *tokens]
    if "thinks-opened" in quirks:
        tokens = ["Hm", ".", "</think>", *tokens]
    finish = "stop"
    stops = body.get("stop") or []
    if stops and "ignores-stop" not in quirks:
        at = next((place for place, token in enumerate(tokens) if token in stops), len(tokens))
        tokens = tokens[: at + ("returns-stop" in quirks)]
    known = {"ignores-limit": (), "other-limit": LIMITS[1:]}
    names = next((names for quirk, names in known.items() if quirk in quirks), LIMITS)
    limit = next((body[name] for name in names if name in body), None)
    if limit is not None and len(tokens) > limit:
        tokens, finish = tokens[:limit], "length"
    return tokens, finish


def _whole(
    quirks: frozenset[str],
    texts: list[str],
    finish: str,
    usage: dict[str, int],
    headers: Mapping[str, str],
    is_legacy: bool,
) -> Script:
    text = "".join(texts)
    said = {"text": text} if is_legacy else {"message": {"role": "assistant", "content": text}}
    value: dict[str, Any] = {"model": BEHAVING, "choices": [{"index": 0, **said, "finish_reason": finish}]}
    if "usage-never" not in quirks:
        value["usage"] = usage
    return (At(WHOLE_SECONDS), *document(value, headers=headers))


def _streamed(
    quirks: frozenset[str],
    texts: list[str],
    finish: str,
    usage: dict[str, int],
    headers: Mapping[str, str],
    is_legacy: bool,
    is_asked: bool,
) -> Script:
    ways = ("finish", "every", "groq", "choice", "never")
    place = next((way for way in ways if f"usage-{way}" in quirks), "own" if is_asked else "never")
    place = "finish" if "tells-unasked" in quirks else place
    parts: list[Part] = []
    for number, text in enumerate(texts, start=1):
        one = text_chunk(text) if is_legacy else chunk(text, model=BEHAVING)
        if place == "every":
            one["usage"] = counts(usage["prompt_tokens"], number)
        parts += [At(number * TOKEN_SECONDS), one]
    end = text_chunk("", finish) if is_legacy else chunk(finish=finish, model=BEHAVING)
    if place in ("finish", "every"):
        end["usage"] = usage
    elif place == "groq":
        end["x_groq"] = {"usage": usage}
    elif place == "choice":
        end["choices"][0]["usage"] = usage
    parts.append(end)
    if place == "own":
        parts.append(chunk(choices=[], model=BEHAVING) | {"usage": usage})
    parts.append(DONE)
    names = {"Content-Type": "text/event-stream", **headers}
    late = LATE_SECONDS if len(texts) > 20 else 0.0
    if "one-piece" in quirks:
        body = b"".join(event(part) for part in parts if isinstance(part, dict)) + DONE
        return stream(At(late), body, headers=names)
    if "lumps" in quirks:
        events = [event(part) for part in parts if isinstance(part, dict)]
        half = len(events) // 2
        first, second = b"".join(events[:half]), b"".join(events[half:]) + DONE
        return stream(At(2 * late), first, At(2 * late + 0.07), second, headers=names)
    return stream(*parts[: len(texts)], headers=names) if "cut" in quirks else stream(*parts, headers=names)
