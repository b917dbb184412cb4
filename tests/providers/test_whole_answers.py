"""Answers that come whole instead of streamed, and bodies that do not end."""

from __future__ import annotations

import json

import pytest

from chat.providers import (
    TimeLimits,
)
from tests.support.asking import ask_once
from tests.support.upstream import (
    Fin,
    Stall,
    Upstream,
    document,
    stream,
)
from tests.support.upstream.script import Script, Send, Step, counts, framed


async def test_a_server_that_cannot_stream_is_asked_for_the_whole_answer(upstream: Upstream):
    choice = {"index": 0, "message": {"role": "assistant", "content": "All at once."}, "finish_reason": "stop"}
    upstream.play("m", document({"model": "scripted-1", "choices": [choice], "usage": counts(7, 3)}))
    outcome = await ask_once(upstream.base_url, "m", whole_answers=True)
    assert (outcome.text, outcome.finish, outcome.counts) == ("All at once.", "stop", (7, 3, 10))
    assert outcome.warnings == [], "it is what was asked for"
    body = upstream.requests[-1].body
    assert (body["stream"], "stream_options" in body) == (False, False)


CHOICE = {"index": 0, "message": {"role": "assistant", "content": "All at once."}, "finish_reason": "stop"}


QUOTA = {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}}


HASTY = TimeLimits(idle=0.3)


def without_an_end(value: object, *end: Step, framing: str = "chunked") -> Script:
    """A document whose body stops there, or has more announced than comes."""
    body = json.dumps(value).encode()
    return (
        *stream(body, headers={"Content-Type": "application/json"}, framing=framing, length=9999, whole=False),
        *end,
    )


@pytest.mark.parametrize("whole_answers", [True, False])
@pytest.mark.parametrize(
    ("end", "framing", "warnings"),
    [
        (Fin(), "chunked", ["cut_after_finish"]),
        (Fin(), "length", ["cut_after_finish"]),
        (Stall(), "chunked", []),
        (Stall(), "length", []),
    ],
)
async def test_a_whole_answer_is_taken_though_its_body_has_no_end(
    end, framing, warnings, whole_answers, upstream: Upstream
):
    value = {"model": "scripted-1", "choices": [CHOICE], "usage": counts(7, 3)}
    upstream.play("m", without_an_end(value, end, framing=framing))
    outcome = await ask_once(upstream.base_url, "m", HASTY, whole_answers=whole_answers)
    assert (outcome.error, outcome.text, outcome.finish) == (None, "All at once.", "stop")
    assert outcome.counts == (7, 3, 10)
    assert outcome.warnings == warnings + ([] if whole_answers else ["whole_answer"])


@pytest.mark.parametrize(
    ("value", "end", "code"),
    [
        (QUOTA, Fin(), "upstream_quota"),
        (QUOTA, Stall(), "upstream_quota"),
        ({"hello": "world"}, Fin(), "upstream_bad_response"),
    ],
)
async def test_an_error_is_understood_though_its_body_has_no_end(value, end, code, upstream: Upstream):
    upstream.play("m", without_an_end(value, end))
    outcome = await ask_once(upstream.base_url, "m", HASTY)
    assert (outcome.code, outcome.max_tries) == (code, 1)


@pytest.mark.parametrize(("end", "code", "tries"), [(Fin(), "upstream_cut", 3), (Stall(), "upstream_timeout", 1)])
async def test_half_a_document_is_no_answer(end, code, tries, upstream: Upstream):
    half = Send(framed(json.dumps({"choices": [CHOICE]}).encode()[:-1]))
    upstream.play("m", (*stream(headers={"Content-Type": "application/json"}, whole=False), half, end))
    outcome = await ask_once(upstream.base_url, "m", HASTY)
    assert (outcome.code, outcome.max_tries, outcome.deltas) == (code, tries, [])
