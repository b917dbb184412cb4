"""Parse chunks of a chat completion: text, reasoning, finish, usage, errors.

Does no I/O. Turns upstream's JSON into the events of base.py, and checks the type of every value it reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from chat.codes import Code
from chat.finish_reasons import meaning_of
from chat.providers.base import Event, FinishReported, ModelNamed, ProviderError, TextDelta, UsageReported, Warned
from chat.providers.errors import stream_complaint, stream_failure
from chat.providers.redaction import word_of
from chat.providers.think_tags import ThinkTags

MAX_COUNT = 10**9
MAX_TOOLS = 20
TOOL_NAME_LENGTH = 64
REASON_LENGTH = 100
_CUMULATIVE_STREAK = 3

_HIGH = re.compile(r"[\ud800-\udbff]\Z")
_ANY_SURROGATE = re.compile(r"[\ud800-\udfff]")


class ChunkMeaning:
    """Turns decoded chunks into events and keeps the state of the stream.

    deltas          the number of non-empty deltas
    progress        the number of deltas, finish_reasons and usages; keep-alives don't count
    finish_reason   the last non-empty one
    finish_doubted  whether content followed a finish_reason: such upstreams put one in every chunk
    failure         the error that a chunk reported; to be raised after the events of that chunk
    """

    def __init__(self, secrets: Sequence[str] = (), think_tags: ThinkTags | None = None) -> None:
        self.deltas = 0
        self.progress = 0
        self.finish_reason = ""
        self.finish_doubted = False
        self.failure: ProviderError | None = None
        self._secrets = secrets
        self._text = Surrogates()
        self._reasoning = Surrogates()
        self._think_tags = think_tags
        self._model = ""
        self._usage: UsageReported | None = None
        self._tools: set[str] = set()
        self._warned: set[str] = set()
        self._previous = ""
        self._streak = 0
        self._events: list[Event] = []

    def take(self, chunk: object, *, escaped: bool = True) -> list[Event]:
        """Return the events of one decoded JSON value. `escaped`: whether its text had `\\u` escapes."""
        complaint = stream_complaint(chunk)
        if isinstance(chunk, dict):
            choices = chunk.get("choices")
            if not isinstance(choices, list):
                choices = ()
            self._name(chunk)
            for position, choice in enumerate(choices):
                if isinstance(choice, dict):
                    self._choose(choice, position, escaped, failed=complaint is not None)
            if complaint is None:
                self._count(chunk, choices)
        elif complaint is None:
            self.warn("unexpected_data")
        if complaint is not None:
            self.failure = stream_failure(complaint, self._secrets)
        return self.taken()

    def flush(self) -> None:
        """Emit a held back part of a character or tag as a delta, because nothing will complete it."""
        text, reasoning = self._text.flush(), self._reasoning.flush()
        if text or reasoning:
            self.warn("lone_surrogate")
        if self._think_tags is not None:
            text, thought = self._think_tags.split(text)
            held, held_thought = self._think_tags.flush()
            text, reasoning = text + held, reasoning + thought + held_thought
        if text or reasoning:
            self._events.append(TextDelta(text, reasoning))

    def warn(self, what: str) -> None:
        """Emit a warning, at most once for each kind."""
        if what not in self._warned:
            self._warned.add(what)
            self._events.append(Warned(what))

    def expect(self, what: str) -> None:
        """Suppress a warning, because the portal requested the behaviour."""
        self._warned.add(what)

    def taken(self) -> list[Event]:
        """Remove and return the pending events."""
        events, self._events = self._events, []
        return events

    def _name(self, chunk: Mapping[str, Any]) -> None:
        if self._model:
            return
        model = chunk.get("model")
        if model and isinstance(model, str):
            self._model = word_of(model)
            self._events.append(ModelNamed(self._model))

    def _choose(self, choice: Mapping[str, Any], position: int, escaped: bool, failed: bool) -> None:
        index = choice.get("index")
        if (index if isinstance(index, int) else position) != 0:
            self.warn("unexpected_choice")
            return
        self._read(choice, escaped)
        reason = choice.get("finish_reason")
        if reason and not failed:
            self._finish(reason)

    def _read(self, choice: Mapping[str, Any], escaped: bool) -> None:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            message = choice.get("message")
            # Together sends `text`, and Perplexity a cumulative `message`, beside a delta: both count only without one.
            delta = message if isinstance(message, dict) else {"content": choice.get("text")}
        text, reasoning = _texts(delta)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self.warn("refusal")
            text += refusal
        if "tool_calls" in delta or "function_call" in delta:
            text += self._tools_asked(delta, after_text=bool(self.deltas or text))
        if escaped or self._text.held or self._reasoning.held:
            text, lone_text = self._text.join(text)
            reasoning, lone_reasoning = self._reasoning.join(reasoning)
            if lone_text or lone_reasoning:
                self.warn("lone_surrogate")
        if self._think_tags is not None:
            text, thought = self._think_tags.split(text)
            reasoning += thought
        if text or reasoning:
            self._add(text, reasoning)

    def _add(self, text: str, reasoning: str) -> None:
        self.deltas += 1
        self.progress += 1
        if self.finish_reason:
            self.finish_doubted = True
            self.warn("content_after_finish")
        if len(text) > len(self._previous) > 0 and text.startswith(self._previous):
            self._streak += 1
            if self._streak == _CUMULATIVE_STREAK:
                self.warn("cumulative?")
        else:
            self._streak = 0
        self._previous = text
        self._events.append(TextDelta(text, reasoning))

    def _finish(self, reason: object) -> None:
        if not isinstance(reason, str) or reason == "null":
            return
        self.progress += 1
        if meaning_of(reason) == "error":
            self.failure = ProviderError(Code.UPSTREAM_ERROR, f"finish_reason: {reason}")
            return
        reason = word_of(reason, REASON_LENGTH)
        if reason != self.finish_reason:
            self.finish_reason = reason
            self._events.append(FinishReported(self.finish_reason))

    def _count(self, chunk: Mapping[str, Any], choices: Sequence[object]) -> None:
        """Find usage in any of its places. A later one replaces an earlier one; they are never added."""
        for position, holder in enumerate((chunk, chunk.get("x_groq"), *choices)):
            found = holder.get("usage") if isinstance(holder, dict) else None
            if not found or not isinstance(found, dict):
                continue
            usage = _usage(found, self._place(position, choices))
            if usage is None:
                self.warn("usage_ignored")
            elif usage != self._usage:
                self._usage = usage
                self.progress += 1
                self._events.append(usage)

    def _place(self, position: int, choices: Sequence[object]) -> str:
        """Return the place of usage (UsageReported). Position 0 is the chunk, 1 `x_groq`, the others are choices."""
        if position:
            return "x_groq" if position == 1 else "choice"
        if any(isinstance(choice, dict) and choice.get("finish_reason") for choice in choices):
            return "finish_chunk"
        return "text_chunk" if choices and not self.finish_reason else "own_chunk"

    def _tools_asked(self, delta: Mapping[str, Any], after_text: bool) -> str:
        """Return a line of text for each new tool call, with its name: the portal runs no tools."""
        calls = delta.get("tool_calls")
        named = list(enumerate(calls)) if isinstance(calls, list) else []
        if delta.get("function_call"):
            named.append((-1, {"function": delta["function_call"]}))
        text = ""
        for position, call in named:
            function = call.get("function") if isinstance(call, dict) else None
            name = function.get("name") if isinstance(function, dict) else None
            key = str(call.get("index", position))[:20] if isinstance(call, dict) else ""
            if not name or not isinstance(name, str) or key in self._tools or len(self._tools) >= MAX_TOOLS:
                continue
            self._tools.add(key)
            text += "\n" if after_text or text else ""
            text += f"[asked for tool {name[:TOOL_NAME_LENGTH]}]"
        return text


class Surrogates:
    """Joins surrogate pairs that a JavaScript server split. Lone surrogates become U+FFFD."""

    def __init__(self) -> None:
        self.held = ""

    def join(self, text: str) -> tuple[str, bool]:
        """Return the complete text, and whether a lone surrogate was replaced in it."""
        if not text:
            return "", False
        text = self.held + text
        self.held = ""
        if not _ANY_SURROGATE.search(text):
            return text, False
        if _HIGH.search(text):
            text, self.held = text[:-1], text[-1]
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return joined, joined.count("\ufffd") > text.count("\ufffd")

    def flush(self) -> str:
        """Return U+FFFD if a surrogate is still held, else ''."""
        held, self.held = self.held, ""
        return "\ufffd" if held else ""


def _texts(delta: Mapping[str, Any]) -> tuple[str, str]:
    """Return the content and the reasoning of a delta or message."""
    content = delta.get("content")
    reasoning = ""
    for name in ("reasoning_content", "reasoning", "reasoning_text"):
        value = delta.get(name)
        if value and isinstance(value, str):
            reasoning = value
            break
    if isinstance(content, str):
        if content and _is_google_thought(delta):
            return "", reasoning or content.removeprefix("<thought>")
        return content, reasoning
    if isinstance(content, list):
        text, thinking = _parts(content)
        return text, reasoning or thinking
    return "", reasoning


def _is_google_thought(delta: Mapping[str, Any]) -> bool:
    extra = delta.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    return isinstance(google, dict) and google.get("thought") is True


def _parts(content: Sequence[object]) -> tuple[str, str]:
    """Return the text and the reasoning of a list of content parts. Other parts are ignored."""
    text, thinking = "", ""
    for part in content:
        if isinstance(part, str):
            text += part
        elif isinstance(part, dict) and part.get("type") == "thinking":
            inner = part.get("thinking")
            texts = inner if isinstance(inner, list) else [inner]
            thinking += "".join(_text_of(one) for one in texts)
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            text += part["text"]
    return text, thinking


def _text_of(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) and part.get("type") != "thinking" else part
    return text if isinstance(text, str) else ""


def _usage(found: Mapping[str, Any], place: str) -> UsageReported | None:
    """Return the counts, or None if they are impossible: missing, negative, no integer, over MAX_COUNT, all zero."""
    prompt = _count(found.get("prompt_tokens", found.get("input_tokens")))
    completion = _count(found.get("completion_tokens", found.get("output_tokens")))
    if prompt is None or completion is None or not (prompt or completion):
        return None
    total = _count(found.get("total_tokens"))
    return UsageReported(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total if total else prompt + completion,
        reasoning_tokens=_detail(found, "completion_tokens_details", "reasoning_tokens"),
        cached_tokens=_detail(found, "prompt_tokens_details", "cached_tokens"),
        place=place,
    )


def _detail(found: Mapping[str, Any], group: str, name: str) -> int | None:
    details = found.get(group)
    return _count(details.get(name) if isinstance(details, dict) else found.get(name))


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_COUNT else None
