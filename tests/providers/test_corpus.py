"""Answers in the shapes of many real servers, replayed over a real socket, whole and byte by byte.

corpus/NAME.body is what the server sends, corpus/NAME.json what must come out. The texts are our own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.providers.asking import ask_once
from tests.upstream import Script, Send, Upstream, bytewise, framed, head

CORPUS = Path(__file__).with_name("corpus")
CASES = sorted(path.stem for path in CORPUS.glob("*.json"))
CODES = {
    "server": "upstream_error",
    "bad_gateway": "upstream_error",
    "overloaded": "upstream_overloaded",
    "rate_limit": "upstream_rate_limited",
    "quota": "upstream_quota",
    "context_length": "context_too_long",
    "auth": "upstream_auth",
    "permission": "upstream_forbidden",
    "not_found": "upstream_not_found",
    "invalid_request": "upstream_rejected",
    "unsupported_field": "upstream_rejected",
    "timeout": "upstream_timeout",
    "incomplete": "upstream_incomplete",
}


def load(name: str) -> tuple[dict[str, Any], bytes]:
    return json.loads((CORPUS / f"{name}.json").read_text("utf-8")), (CORPUS / f"{name}.body").read_bytes()


def script(case: dict[str, Any], body: bytes) -> Script:
    headers = dict(case["headers"])
    if case["transport"]["framing"] == "chunked":
        headers["transfer-encoding"] = "chunked"
        return (Send(head(case["status"], headers)), Send(framed(body)), Send(b"0\r\n\r\n"))
    headers["content-length"] = str(len(body))
    return (Send(head(case["status"], headers)), Send(body))


@pytest.mark.parametrize("name", CASES)
async def test_a_recorded_shape_is_read_as_its_sidecar_says(name, upstream: Upstream):
    case, body = load(name)
    expected = case["expected"]
    played = script(case, body)
    upstream.play("scripted", played, bytewise(played) if len(body) < 3000 else played)
    # `ask`: what happens when a refused field is left out has a test of its own.
    for outcome in [await ask_once(upstream.base_url, usage_mode="ask") for _ in range(2)]:
        assert outcome.text == expected["text"] + expected["refusal"]
        assert outcome.reasoning == expected["reasoning"]
        if expected["error"] is None:
            assert outcome.error is None
            assert outcome.finish == expected["finish_reason_raw"]
        else:
            assert outcome.error is not None
            assert outcome.code == CODES[expected["error"]["kind"]]
            assert outcome.error.permanent is not expected["transient"]
            assert outcome.error.retry_after == expected["retry_after_s"]
        usage = {**vars(outcome.usage)} if outcome.usage else None
        if usage:
            del usage["place"]
        assert usage == expected["usage"]
        assert next(iter(outcome.models), None) == expected["response_model"]
        request_id = outcome.error.request_id if outcome.error and not outcome.events else outcome.request_id
        assert (request_id or None) == expected["request_id"]
