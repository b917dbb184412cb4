"""Recorded streams of real models, played at their recorded times.

recordings/*.jsonl are what five public documents print of their runs, one line an event: `t_s` is the time after the
request, `delta` its text. Those named TRUNCATED are cut off in the document, and so is the answer played.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.upstream.script import DONE, At, Fin, Part, Script, stream

FOLDER = Path(__file__).with_name("recordings")


@cache
def index() -> dict[str, dict[str, Any]]:
    """Every recording's prompt, model and completeness, by name."""
    value: dict[str, dict[str, Any]] = json.loads((FOLDER / "index.json").read_text("utf-8"))
    return value


def lines(name: str) -> list[dict[str, Any]]:
    """The recorded events."""
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]


def text(name: str) -> str:
    """The whole recorded text."""
    return "".join(line["delta"] or "" for line in lines(name))


def record(name: str, speed: float = 1.0) -> Script:
    """The recording as a script; `speed` 2 plays it in half the time, 0 without any pause."""
    recorded, is_complete = lines(name), index()[name]["complete"]
    parts: list[Part] = []
    for line in recorded:
        if line["t_s"] is not None and speed:
            parts.append(At(line["t_s"] / speed))
        parts.append(_chunk(name, line, is_last=is_complete and line is recorded[-1]))
    if is_complete:
        return stream(*parts, DONE)
    return (*stream(*parts, whole=False), Fin())


def _chunk(name: str, line: dict[str, Any], is_last: bool) -> dict[str, Any]:
    is_completion = name.startswith("davinci")
    value: dict[str, Any] = {
        "id": line.get("id") or "chatcmpl-recorded",
        "object": "text_completion" if is_completion else "chat.completion.chunk",
        "created": line.get("created") or 1721075653,
        "model": line.get("model") or index()[name]["model"],
        "choices": [],
    }
    if "usage" in line:
        value["usage"] = line["usage"]
    if line.get("choices") == 0:
        return value
    finish = line.get("finish_reason") or ("stop" if is_last and line["delta"] is None else None)
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    choice |= {"text": line["delta"]} if is_completion else {"delta": _delta(line)}
    return value | {"choices": [choice]}


def _delta(line: dict[str, Any]) -> dict[str, Any]:
    if "raw_delta" in line:
        delta: dict[str, Any] = line["raw_delta"]
        return delta
    delta = {} if line["delta"] is None else {"content": line["delta"]}
    return {"role": "assistant", **delta} if line["i"] == 0 else delta
