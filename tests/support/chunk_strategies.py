"""Strategies for chunks of every shape that servers are known to send, with rubbish in some places."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

from tests.support.reading import BOM, rarely

HALVES = ["\ud83d", "\udc69"]
TEXTS = [
    *["Hello", " ", "", "é", "\u2028", "a\x00", "👩‍🚀", "چهار", "<think>", "</think>", "<thi", "nk>", "�"],
    *["x" * 300, "\n"],
]
NUMBERS = [0, 1, 2, 7, -1, 300, 10**9, 10**9 + 1, 10**30, 1.5, True, False]
WORDS = [
    *["stop", "length", "error", "null", "tool_calls", "content_filter", "rate_limit_error", "insufficient_quota"],
    *["authentication_error", "text", "thinking", "ping", "sk-0123456789abcdef", "maximum context length", "429"],
]
NAMES = ["text", "type", "content", "error", "message", "usage", "delta", "index", "function", "name", "detail"]

TEXT = st.lists(st.sampled_from(TEXTS + HALVES * 3), max_size=3).map("".join)
NUMBER = st.sampled_from(NUMBERS)
RUBBISH = st.recursive(
    st.sampled_from([None, float("nan"), float("inf"), *NUMBERS, *WORDS, *TEXTS, *HALVES]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)
NO_JSON = st.sampled_from([b"", b"ping", b"{", b"keep-alive", b"[" * 5000, b"1" * 5000, b"\xff", b'"\\ud83d"'])


@cache
def chunks(one_in: int) -> st.SearchStrategy[Any]:
    """What a chunk's JSON says; a part is rubbish once in `one_in` times, never when it is 0."""

    def fields(**strategies: st.SearchStrategy) -> st.SearchStrategy:
        return st.fixed_dictionaries({}, optional={name: spoilt(one) for name, one in strategies.items()})

    def spoilt(usual: st.SearchStrategy) -> st.SearchStrategy:
        return rarely(usual, RUBBISH, one_in)

    def seldom(usual: st.SearchStrategy, one: int, **strategies: st.SearchStrategy) -> st.SearchStrategy:
        """With further fields once in so many times."""
        more = st.tuples(usual, fields(**strategies)).map(lambda both: {**both[0], **both[1]})
        return rarely(usual, more, one)

    details = fields(reasoning_tokens=NUMBER, cached_tokens=NUMBER)
    counted = ["prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens"]
    counts = st.none() | fields(
        **dict.fromkeys(counted, NUMBER), completion_tokens_details=details, prompt_tokens_details=details
    )
    kind = st.sampled_from(["text", "thinking", "image_url", "refusal"])
    thinking = TEXT | TEXT.map(lambda text: [{"type": "text", "text": text}]) | TEXT.map(lambda text: [text, None])
    part = (
        TEXT
        | st.fixed_dictionaries({"type": kind, "text": TEXT})
        | st.fixed_dictionaries({"type": kind, "thinking": thinking})
    )
    content = rarely(TEXT, st.none() | st.lists(part, max_size=3), 3)
    function = fields(name=TEXT.map("tool".__add__), arguments=TEXT)
    tool_call = fields(index=NUMBER, id=TEXT, type=TEXT, function=function)
    tool_calls = rarely(st.lists(tool_call, max_size=2), st.lists(tool_call, min_size=30, max_size=30), 20)
    delta = fields(role=st.just("assistant"), content=content)
    delta = seldom(delta, 3, reasoning_content=TEXT)
    delta = seldom(
        delta, 3, reasoning=TEXT, reasoning_text=TEXT, reasoning_details=TEXT.map(lambda text: [{"text": text}])
    )
    delta = seldom(
        delta,
        4,
        refusal=TEXT,
        tool_calls=tool_calls,
        function_call=st.fixed_dictionaries({"name": TEXT, "arguments": st.just("")}),
        extra_content=st.sampled_from([True, 1, "x"]).map(lambda thought: {"google": {"thought": thought}}),
    )
    word = st.sampled_from([*WORDS, *NUMBERS, None])
    message = TEXT | TEXT.map(lambda text: {"detail": [{"loc": ["a", 1], "msg": text}]}) | RUBBISH
    retry = st.sampled_from(["23s", "0s", "9" * 9 + "s", "x", 7]).map(lambda delay: {"retryDelay": delay})
    error = (
        fields(message=message, type=word, code=word, status=word, param=TEXT, details=st.tuples(retry, RUBBISH))
        | TEXT
        | RUBBISH
    )
    choice = fields(
        index=st.sampled_from([0, 0, 0, 0, 1, -1, True, False, "0", None, 2**70]),
        delta=delta,
        finish_reason=st.sampled_from([None, None, None, "", "null", "stop", "length", "error", "\ud83d", "x" * 200]),
        logprobs=st.none(),
    )
    choice = seldom(choice, 4, message=delta, text=TEXT, usage=counts)
    choice = seldom(choice, 40, error=error)
    chunk = fields(
        id=TEXT,
        model=st.sampled_from(["m", "", "\udc69", "m" * 500]),
        created=st.just(1763700000),
        choices=rarely(st.lists(choice, min_size=1, max_size=1), st.lists(choice, max_size=2), 4),
    )
    chunk = seldom(chunk, 3, usage=counts, x_groq=st.fixed_dictionaries({"usage": counts}))
    chunk = seldom(chunk, 12, error=error)
    return spoilt(seldom(chunk, 30, type=st.sampled_from(["error", "ping"]), object=st.sampled_from(["error", "x"])))


@cache
def _data(one_in: int) -> st.SearchStrategy[bytes]:
    """The JSON of a chunk, or what stands in its place."""
    as_json = st.tuples(chunks(one_in), st.booleans()).map(
        lambda drawn: json.dumps(drawn[0], ensure_ascii=drawn[1]).encode("utf-8", "surrogatepass")
    )
    return rarely(as_json, NO_JSON, one_in)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A stream of chunks, or one of them as a document; whole, or without its end."""
    data = _data(draw(st.sampled_from([0, 50, 5])))
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]))
    if draw(st.integers(0, 9)) == 9:
        return draw(st.sampled_from([b"", b"\n\n", BOM, b" "])) + draw(data)
    fields = st.sampled_from([b"data: "] * 10 + [b"data:"] * 10 + [b"error:"])
    lines = st.sampled_from([b": keep-alive", b"event: ping", b"id: 1", b"event: message", b"", b"event: error"])
    parts = [draw(st.sampled_from([b"", b"", b": hi", BOM, b"\n"]))]
    for before in draw(st.lists(rarely(st.just(b""), lines.map(lambda line: line + end), 8), min_size=1, max_size=8)):
        parts += [before, draw(fields), draw(data), end, end]
    if draw(st.booleans()):
        parts += [b"data: [DONE]", end * draw(st.integers(0, 2))]
        if draw(st.integers(0, 9)) == 9:
            parts += [end, end, b"data: ", draw(data), end, end]
    body = b"".join(parts)
    return body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 9)) == 9 else body
