"""Streams under another name, whole answers in place of a stream, and what is no answer at all."""

from __future__ import annotations

import json

import pytest

from chat.providers import FinishReported, ModelNamed, TextDelta, UsageReported, Warned
from chat.providers.answers import DOCUMENT_BYTES, AnswerReader
from chat.providers.sse import EVENT_BYTES
from tests.support.answer_bodies import END, read
from tests.support.upstream.script import chunk, event


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/octet-stream", "application/json"])
@pytest.mark.parametrize("start", [b"", b": hi\n\n", b"event: message\n", b"\n\n", b"\xef\xbb\xbf", b"id: 1\n"])
def test_a_stream_under_another_name_is_recognised_by_its_first_bytes(content_type, start):
    body = start + event(chunk("Hello")) + END
    for size in (1, 2, 10**9):
        events, error = read(body, content_type, size)
        assert error is None
        assert TextDelta("Hello") in events
        assert events[0] == Warned("content_type")


WHOLE = {
    "object": "chat.completion",
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "All."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
WHOLE_EVENTS = [
    Warned("whole_answer"),
    ModelNamed("m"),
    TextDelta("All."),
    FinishReported("stop"),
    UsageReported(3, 2, 5),
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "", "text/event-stream"])
@pytest.mark.parametrize("start", [b"", b"\n\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"])
def test_a_whole_answer_in_place_of_a_stream_is_one_delta(content_type, indent, start, end):
    body = start + json.dumps(WHOLE, indent=indent).encode() + end
    for size in (1, 7, 10**9):
        assert read(body, content_type, size) == (WHOLE_EVENTS, None)


def test_a_whole_answer_may_be_longer_than_an_event():
    text = "word " * (EVENT_BYTES // 2)
    body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}).encode()
    for content_type in ("application/json", "text/event-stream"):
        for size in (1400, 10**9):
            events, error = read(body, content_type, size)
            assert (error, events[1]) == (None, TextDelta(text))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("around", ["%s", "[%s]"])
@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_an_error_in_place_of_a_stream_is_understood_however_it_is_laid_out(content_type, around, indent):
    value = {"error": {"message": "You exceeded your quota.", "code": "insufficient_quota"}}
    body = (around % json.dumps(value, indent=indent)).encode() + b"\n"
    for size in (1, 10**9):
        events, error = read(body, content_type, size)
        assert error is not None and (error.code, error.permanent) == ("upstream_quota", True)
        assert not [one for one in events if isinstance(one, TextDelta)]


def test_a_line_that_looks_like_a_document_does_not_hold_a_stream_up():
    events = list((reader := AnswerReader("text/event-stream")).feed(b'{"queued": 1}\n' + event(chunk("Hello"))))
    assert TextDelta("Hello") in events and not reader.done
    events, error = read(b'{"queued": 1}\n' + event(chunk("Hello")) + END)
    assert error is None and TextDelta("Hello") in events
    assert Warned("whole_answer") not in events


@pytest.mark.parametrize(
    ("body", "code", "permanent"),
    [
        (b'{"error":{"code":503,"message":"x"}}', "upstream_overloaded", False),
        (b'[{"error":{"code":429}}]', "upstream_rate_limited", False),
        (b'{"choices":[{"error":{"code":502}}]}', "upstream_error", False),
        (b'{"error":"Unexpected endpoint or method. (POST /chat/completions)"}', "upstream_bad_response", True),
        (b'{"hello":"world"}', "upstream_bad_response", True),
        (b"[1]", "upstream_bad_response", True),
        (b'{"choices":[{"message":{"content":"cut', "upstream_malformed", False),
        (b"Welcome!", "upstream_bad_response", True),
        (b"<!DOCTYPE html>", "upstream_bad_response", True),
        (b"dat", "upstream_bad_response", True),
        (b"{" + b" " * DOCUMENT_BYTES, "upstream_bad_response", True),
        (b"", "upstream_incomplete", False),
        (b" \n", "upstream_incomplete", False),
    ],
)
def test_what_is_no_answer_fails_with_its_reason(body, code, permanent):
    events, error = read(body, "application/json")
    assert error is not None
    assert (error.code, error.permanent) == (code, permanent)
    assert not [one for one in events if isinstance(one, TextDelta)]


def test_blank_lines_before_an_answer_without_a_type_may_be_many():
    value = {"choices": [{"index": 0, "message": {"content": "All."}, "finish_reason": "stop"}]}
    events, error = read(b"\n" * 50_000 + json.dumps(value).encode(), "", 1)
    assert error is None
    assert TextDelta("All.") in events


def test_html_is_refused_before_it_is_read():
    assert read(b"", "text/html")[1] is not None
