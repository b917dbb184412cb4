"""The legacy dialect: one text out, its continuation in. What the two dialects share is tested with the other one."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from chat.providers import CompletionRequest, TextDelta, build, plain_text
from tests.support.asking import Witness, ask_once, endpoint
from tests.support.upstream import Upstream, document, error, stream
from tests.support.upstream.script import DONE, Script, text_chunk, usage_chunk

MESSAGES = [
    {"role": "system", "content": "A tale."},
    {"role": "user", "content": "Once upon"},
    {"role": "assistant", "content": "a time"},
    {"role": "user", "content": "there was"},
]
STREAMED = stream(text_chunk(" a "), text_chunk("k\u00efng", finish="length"), usage_chunk(9, 2), DONE)
WHOLE = document(
    {
        "object": "text_completion",
        "model": "scripted-1",
        "choices": [{"index": 0, "text": " a k\u00efng", "finish_reason": "length"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }
)


async def test_the_branch_goes_as_one_text_and_only_what_somebody_set_goes_with_it(upstream: Upstream):
    upstream.play("base", STREAMED)
    adapter = build(endpoint(upstream.base_url, dialect="completions"))
    request = CompletionRequest("base", MESSAGES, {"stop": ["END"], "seed": 1, "temperature": None})
    async with aclosing(adapter.stream(request, Witness())) as events:
        text = "".join([event.text async for event in events if isinstance(event, TextDelta)])
    await adapter.aclose()
    assert text == " a k\u00efng"
    (sent,) = upstream.requests
    assert sent.path == "/v1/completions"
    assert sent.body == {
        "model": "base",
        "prompt": "A tale.\n\nOnce upon\n\na time\n\nthere was",
        "stop": ["END"],
        "seed": 1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_one_message_is_sent_as_it_was_written():
    assert plain_text([{"role": "user", "content": " as is\n"}]) == " as is\n"


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        ([("user", "Once upon"), ("assistant", " a ti")], "Once upon a ti"),
        ([("system", "A tale."), ("user", "Once upon"), ("assistant", " a ti")], "A tale.\n\nOnce upon a ti"),
        (
            [("user", "One"), ("assistant", "two"), ("user", "three"), ("assistant", " fo")],
            "One\n\ntwo\n\nthree fo",
        ),
        ([("user", "One"), ("assistant", "two"), ("user", "three")], "One\n\ntwo\n\nthree"),
        ([("assistant", "alone")], "alone"),
    ],
)
def test_an_answer_that_was_cut_stands_where_the_model_wrote_it(turns, text):
    assert plain_text([{"role": role, "content": content} for role, content in turns]) == text


@pytest.mark.parametrize("script", [STREAMED, WHOLE], ids=["streamed", "whole"])
async def test_text_finish_usage_and_model_come_out(script: Script, upstream: Upstream):
    upstream.play("scripted", script)
    outcome = await ask_once(upstream.base_url, dialect="completions")
    assert outcome.error is None
    assert (outcome.text, outcome.finish, outcome.counts) == (" a k\u00efng", "length", (9, 2, 11))
    assert outcome.models == ["scripted-1"]


async def test_a_refused_field_is_left_out_once(upstream: Upstream):
    refusal = error(400, "Unrecognized request argument supplied: stream_options", code="unknown_parameter")
    upstream.play("scripted", refusal, STREAMED)
    outcome = await ask_once(upstream.base_url, dialect="completions")
    assert outcome.text == " a k\u00efng"
    assert "stream_options" not in upstream.requests[-1].body


async def test_a_server_without_the_endpoint_is_told_apart(upstream: Upstream):
    upstream.play("scripted", error(404, "Not Found"))
    outcome = await ask_once(upstream.base_url, dialect="completions")
    assert outcome.code == "upstream_not_found"
