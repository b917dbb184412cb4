"""Strategies that spoil recorded answers: bits, parts and lines of them, two spliced, JSON that says something else."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.support.reading import CONTENT_TYPES, TAGS, rarely, reads_of

CORPUS = Path(__file__).resolve().parents[1] / "providers" / "corpus"
MOST_BYTES = 600_000

TOKENS = [
    *[b"\n", b"\r", b"\r\n", b"\n\n", b"data: ", b"data:", b"data", b"event: error\n", b"event: ping\n", b"error: "],
    *[b": x\n", b"[DONE]", b"data: [DONE]\n\n", b"\xef\xbb\xbf", b"\xff", b"\xe2\x80\xa8", b"\xf0\x9f", b"\x00"],
    *[b"\x07", b"id: 1\n", rb"\ud83d", rb"\udc69", rb"\u0000", rb"\"", b'"', b"{", b"}", b"[", b"]", b",", b":"],
    *[b'"error":1,', b'{"error":{}}\n', b"<think>", b"</think>", b"null", b"1e999", b"-1", b"9" * 30, b"NaN", b" "],
    *[b"data: {}\n\n", b'"finish_reason":"stop",'],
]
NAMES = [
    *["choices", "delta", "message", "text", "content", "reasoning_content", "reasoning", "reasoning_text", "refusal"],
    *["tool_calls", "function_call", "function", "name", "index", "finish_reason", "usage", "x_groq", "prompt_tokens"],
    *["completion_tokens", "total_tokens", "completion_tokens_details", "reasoning_tokens", "error", "type", "object"],
    *["code", "status", "detail", "details", "retryDelay", "metadata", "innererror", "param", "model", "thinking"],
    *["extra_content", "google", "thought", "msg", "loc"],
]
VALUES: list[Any] = [
    *[None, True, False, 0, 1, -1, 2**70, 1.5, math.nan, math.inf, "", "x", "null", "stop", "error", "text"],
    *["thinking", "\ud83d", "\udc69", "a\ud83d", "\udc69\n", "\u2028", "<think>", "</think>", "x" * 3000, "429", "23s"],
    *[[], {}, [None], [[]], [{}], {"text": "x"}, {"message": "x"}],
    {"error": {"message": {"detail": [{"loc": [1], "msg": 2}]}}},
]


@dataclass(frozen=True)
class Case:
    """A body and how it is read: its reads, its content type, and where its reasoning is (reading.TAGS)."""

    body: bytes
    reads: list[bytes]
    content_type: str
    tags: str


@cache
def recorded_bodies() -> list[tuple[bytes, str]]:
    """Bodies of the corpus and their content types; what is compressed is unpacked."""
    bodies = []
    for path in sorted(CORPUS.glob("*.json")):
        headers = json.loads(path.read_text())["headers"]
        body = path.with_suffix(".body").read_bytes()
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        bodies.append((body, headers.get("content-type", "").partition(";")[0]))
    return bodies


@st.composite
def spoilt_answers(draw: st.DrawFn) -> Case:
    """A recorded body after some mutations, in any reads."""
    body, content_type = draw(st.sampled_from(recorded_bodies()))
    mutations = draw(st.sampled_from([GENTLE, GENTLE, ROUGH]))
    for mutate in draw(st.lists(st.sampled_from(mutations), min_size=1, max_size=8)):
        body = mutate(draw, body)[:MOST_BYTES]
    content_type = draw(rarely(st.just(content_type), CONTENT_TYPES, 3))
    return Case(body, draw(reads_of(body)), content_type, draw(TAGS))


def flip(draw: st.DrawFn, body: bytes) -> bytes:
    """Other bits in some bytes."""
    changed = bytearray(body)
    for at in draw(st.lists(st.integers(0, max(0, len(body) - 1)), max_size=8)) if body else []:
        changed[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


def put(draw: st.DrawFn, body: bytes) -> bytes:
    """Something with a meaning, or any bytes, anywhere; often at the very beginning."""
    at = draw(rarely(st.integers(0, len(body)), st.just(0), 10))
    token = draw(rarely(st.sampled_from(TOKENS), st.binary(min_size=1, max_size=4), 5))
    return body[:at] + token + body[at:]


def drop(draw: st.DrawFn, body: bytes) -> bytes:
    """A part is gone."""
    start, end = _part_of(draw, body)
    return body[:start] + body[end:]


def double(draw: st.DrawFn, body: bytes) -> bytes:
    """A part comes again; seldom so often that the bounds are reached."""
    start, end = _part_of(draw, body)
    times = draw(rarely(st.sampled_from([2, 2, 3, 20]), st.just(MOST_BYTES), 50))
    return body[:start] + body[start:end] * min(times, MOST_BYTES // max(1, end - start)) + body[end:]


def splice(draw: st.DrawFn, body: bytes) -> bytes:
    """The beginning of one, the end of another; or a part of another within."""
    other, _ = draw(st.sampled_from(recorded_bodies()))
    at = draw(st.integers(0, len(body)))
    start, end = _part_of(draw, other)
    return body[:at] + (other[start:end] + body[at:] if draw(st.booleans()) else other[start:])


def move(draw: st.DrawFn, body: bytes) -> bytes:
    """Two lines change places."""
    lines = body.splitlines(keepends=True)
    if len(lines) > 1:
        one, two = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        lines[one], lines[two] = lines[two], lines[one]
    return b"".join(lines)


def end_lines(draw: st.DrawFn, body: bytes) -> bytes:
    """Other line ends."""
    return body.replace(b"\r\n", b"\n").replace(b"\n", draw(st.sampled_from([b"\r", b"\r\n", b"\n\r"])))


def rewrite(draw: st.DrawFn, body: bytes) -> bytes:
    """Some JSON of it is still JSON, but says something else."""
    lines = body.split(b"\n")
    at = draw(st.sampled_from([number for number, line in enumerate(lines) if b"{" in line] or [0]))
    field, colon, text = lines[at].partition(b":") if not body.startswith((b"{", b"[")) else (b"", b"", body)
    try:
        value = json.loads(text)
        for _ in range(draw(st.integers(1, 4))):
            value = _otherwise(draw, value)
        dumped = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return body
    return b"\n".join([*lines[:at], field + colon + b" " + dumped, *lines[at + 1 :]]) if colon else dumped


Mutation = Callable[[st.DrawFn, bytes], bytes]
GENTLE: list[Mutation] = [rewrite, rewrite, rewrite, rewrite, move, end_lines, put, put]
"""What leaves most of the JSON readable: the rest soon ends in `upstream_malformed`."""
ROUGH: list[Mutation] = [*GENTLE, flip, flip, drop, drop, double, double, splice, splice]


def _part_of(draw: st.DrawFn, body: bytes) -> tuple[int, int]:
    """Where some part begins and ends; short ones are more likely."""
    start = draw(st.integers(0, len(body)))
    size = draw(st.one_of(st.sampled_from([1, 2, 8, 40, 300]), st.integers(0, len(body))))
    return start, min(len(body), start + size)


def _otherwise(draw: st.DrawFn, value: Any) -> Any:
    """The same value with a change somewhere in it."""
    inner = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if inner and draw(st.integers(0, 6)) > 0:
        key: Any = draw(st.sampled_from(inner))
        changed = value.copy()
        changed[key] = _otherwise(draw, value[key])
        fate = draw(st.integers(0, 9))
        if fate == 8:
            del changed[key]
        elif fate == 9 and isinstance(value, dict):
            changed[draw(st.sampled_from(NAMES))] = value[key]
        return changed
    kind = draw(st.sampled_from(["value"] * 6 + ["field"] * 2 + ["list"] * 2 + ["deep"]))
    if kind == "value":
        return draw(st.sampled_from(VALUES))
    if kind == "field":
        fields = value if isinstance(value, dict) else {}
        return {**fields, draw(st.sampled_from(NAMES)): draw(st.sampled_from([value, *VALUES]))}
    if kind == "list":
        return [value, *draw(st.lists(st.sampled_from(VALUES), max_size=2))]
    name = draw(st.none() | st.sampled_from(NAMES))
    for _ in range(draw(st.sampled_from([10, 100, 400, 940]))):
        value = [value] if name is None else {name: value}
    return value
