"""Scripts: what the upstream does with one request, as a list of steps, and builders for the usual ones.

Everything is bytes on the wire: nothing here is repaired on its way, so that every fault can be written down.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Send:
    """Write these bytes, in one go."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True)
class At:
    """Wait until so many seconds after the request was received; go on at once when that has passed."""

    seconds: float


@dataclass(frozen=True)
class Gate:
    """Wait until the test opens the gate of this name; an open gate stays open."""

    name: str


@dataclass(frozen=True)
class Repeat:
    """Write the bytes again and again, every so many seconds (0: as fast as they are taken), at most `count` times."""

    data: bytes
    every: float = 0.0
    count: int | None = None


@dataclass(frozen=True)
class Stall:
    """Do nothing until the client closes."""


@dataclass(frozen=True)
class Fin:
    """Close the connection in order."""


@dataclass(frozen=True)
class Rst:
    """Reset the connection."""


Step = Send | Pause | At | Gate | Repeat | Stall | Fin | Rst
Script = tuple[Step, ...]
Part = Step | bytes | str | Mapping[str, Any]
"""What a stream is built of: a step; bytes of the body; a text, made a delta; an object, made an event."""

_STEPS = {kind.__name__: kind for kind in (Send, Pause, At, Gate, Repeat, Stall, Fin, Rst)}

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
LAST_CHUNK = b"0\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """A status line and headers."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def framed(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(value: object) -> bytes:
    """One server-sent event with this JSON."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode("utf-8", "surrogatepass")


def chunk(
    text: str | None = None,
    *,
    reasoning: str | None = None,
    finish: str | None = None,
    usage: tuple[int, int] | None = None,
    model: str = "scripted-1",
    **fields: Any,
) -> dict[str, Any]:
    """One chunk of a chat completion; `fields` are added at its top or replace what is there."""
    delta = {name: value for name, value in (("content", text), ("reasoning_content", reasoning)) if value is not None}
    value: dict[str, Any] = {
        "id": "chatcmpl-scripted",
        "object": "chat.completion.chunk",
        "created": 1763700000,
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    if usage is not None:
        value["usage"] = counts(*usage)
    return value | fields


def text_chunk(text: str, finish: str | None = None) -> dict[str, Any]:
    """One chunk of a legacy completion."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    return chunk(object="text_completion", choices=[choice])


def counts(prompt: int, completion: int) -> dict[str, int]:
    """A usage object."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def usage_chunk(prompt: int, completion: int) -> dict[str, Any]:
    """The chunk without choices that brings the usage after the end."""
    return chunk(choices=[], usage=(prompt, completion))


def stream(
    *parts: Part,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
    framing: str = "chunked",
    length: int | None = None,
    whole: bool = True,
) -> Script:
    """An answer whose body is made of `parts`, one write each; `framing` is `chunked`, `length` or `close`.

    whole   False: the body has no proper end, and the script just stops there (append Fin() or Rst())
    length  the Content-Length to claim, if not the true one
    """
    body = [part if isinstance(part, Step) else Send(_bytes(part)) for part in parts]
    names = {"Content-Type": "text/event-stream"} if headers is None else dict(headers)
    steps: list[Step] = []
    if framing == "chunked":
        names["Transfer-Encoding"] = "chunked"
        body = [_framed_step(step) for step in body]
        end: list[Step] = [Send(LAST_CHUNK)] if whole else []
    elif framing == "length":
        true_length = sum(len(step.data) for step in body if isinstance(step, Send))
        names["Content-Length"] = str(true_length if length is None else length)
        end = []
    else:
        names["Connection"] = "close"
        end = [Fin()] if whole else []
    steps = [Send(head(status, names)), *body, *end]
    return tuple(steps)


def answer(
    *texts: str | Step,
    finish: str | None = "stop",
    usage: tuple[int, int] | None = (7, 5),
    done: bool = True,
    headers: Mapping[str, str] | None = None,
) -> Script:
    """A regular streamed answer: a role chunk, a delta for each text, finish, usage, `[DONE]`. Steps may be between."""
    parts: list[Part] = [chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]), *texts]
    if finish is not None:
        parts.append(chunk(finish=finish))
    if usage is not None:
        parts.append(usage_chunk(*usage))
    if done:
        parts.append(DONE)
    return stream(*parts, headers=headers)


def document(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Script:
    """An answer in one JSON document."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return raw_body(body, status, {"Content-Type": "application/json", **(headers or {})})


def error(
    status: int,
    message: str = "It went wrong.",
    *,
    type: str | None = None,
    code: object = None,
    headers: Mapping[str, str] | None = None,
) -> Script:
    """An error in OpenAI's shape."""
    return document(
        {"error": {"message": message, "type": type, "param": None, "code": code}}, status=status, headers=headers
    )


def html(status: int = 200, body: str = "<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>") -> Script:
    """A page where a model should be."""
    return raw_body(body.encode(), status, {"Content-Type": "text/html; charset=utf-8"})


def raw_body(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Script:
    """Any body with its length."""
    return (Send(head(status, {**(headers or {}), "Content-Length": str(len(body))}) + body),)


def bytewise(script: Iterable[Step]) -> Script:
    """The same, each byte in a write of its own."""
    steps: list[Step] = []
    for step in script:
        if isinstance(step, Send):
            steps += [Send(step.data[at : at + 1]) for at in range(len(step.data))]
        else:
            steps.append(step)
    return tuple(steps)


def to_wire(script: Sequence[Step]) -> list[list[Any]]:
    """The script as JSON, for the control channel."""
    return [[type(step).__name__, _encoded(asdict(step))] for step in script]


def from_wire(wire: Sequence[Sequence[Any]]) -> Script:
    """The inverse of to_wire."""
    return tuple(_STEPS[name](**_decoded(fields)) for name, fields in wire)


def _bytes(part: bytes | str | Mapping[str, Any]) -> bytes:
    if isinstance(part, bytes):
        return part
    return event(chunk(part) if isinstance(part, str) else part)


def _framed_step(step: Step) -> Step:
    if isinstance(step, Send):
        return Send(framed(step.data))
    return Repeat(framed(step.data), step.every, step.count) if isinstance(step, Repeat) else step


def _encoded(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"data": base64.b64encode(fields["data"]).decode()} if "data" in fields else fields


def _decoded(fields: dict[str, Any]) -> dict[str, Any]:
    return fields | {"data": base64.b64decode(fields["data"])} if "data" in fields else fields
