"""What chunks mean, without a network: bytes of a body in, events out."""

from __future__ import annotations

import pytest

from chat.providers import (
    Event,
    FinishReported,
    ModelNamed,
    TextDelta,
    UsageReported,
    Warned,
)
from tests.support.answer_bodies import END, read
from tests.support.upstream.script import DONE, chunk, event, usage_chunk


def said(*chunks: object, end: bytes = END) -> list[Event]:
    """The events of a stream of chunks, without the name of the model and without the finish."""
    body = b"".join(event(value) for value in chunks) + end
    events, error = read(body)
    assert error is None, error
    assert read(body, size=1) == (events, None)
    return [one for one in events if not isinstance(one, ModelNamed | FinishReported)]


def delta(**fields: object) -> dict[str, object]:
    return chunk(choices=[{"index": 0, "delta": fields, "finish_reason": None}])


@pytest.mark.parametrize(
    ("value", "text", "reasoning"),
    [
        (chunk("Hello"), "Hello", ""),
        (chunk("a\x00b"), "a\x00b", ""),
        (delta(content=[{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]), "one two", ""),
        (delta(content=["one ", "two", 3, None, {"type": "image_url"}]), "one two", ""),
        (delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]), "", "hm"),
        (delta(content=[{"type": "thinking", "thinking": "hm"}]), "", "hm"),
        (delta(content=None, reasoning_content="hm"), "", "hm"),
        (delta(content="", reasoning="hm"), "", "hm"),
        (delta(content="", reasoning_text="hm"), "", "hm"),
        (delta(content="", reasoning="hm", reasoning_details=[{"text": "hm"}]), "", "hm"),
        (delta(content="", reasoning_content="", reasoning="hm"), "", "hm"),
        (delta(content="x", reasoning="hm"), "x", "hm"),
        (delta(content="<thought>hm", extra_content={"google": {"thought": True}}), "", "hm"),
        (chunk(choices=[{"index": 0, "message": {"role": "assistant", "content": "whole"}}]), "whole", ""),
        (chunk(choices=[{"index": 0, "text": "legacy"}]), "legacy", ""),
        (chunk(choices=[{"index": 0, "text": "x", "delta": {"content": "once"}}]), "once", ""),
        (chunk(choices=[{"index": 0, "message": {"content": "all"}, "delta": {"content": "once"}}]), "once", ""),
        (chunk(choices=[{"delta": {"content": "no index"}}]), "no index", ""),
    ],
)
def test_text_and_reasoning_are_found_where_servers_put_them(value, text, reasoning):
    assert said(value) == [TextDelta(text, reasoning)]


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"choices": None},
        {"choices": {}},
        {"choices": []},
        {"choices": [None, 7, "x"]},
        {"choices": [{}]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0, "delta": []}]},
        delta(),
        delta(role="assistant"),
        delta(role=None, content=None, tool_calls=None),
        delta(role="assistant", content=""),
        delta(content=7),
        delta(content={"type": "text"}),
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "id": "", "model": "", "created": 0},
        {"choices": [{"index": 0, "content_filter_offsets": {}, "finish_reason": None}]},
        {"type": "ping"},
        {"usage": None, "x_groq": None},
        {"type": "execute", "event": "execute", "__proto__": {"x": 1}},
        {"obfuscation": "x" * 50, "big": 10**300, "choices": []},
    ],
)
def test_chunks_without_text_are_nothing(value):
    assert said(value) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"ping", b"keep-alive", b" "],
)
def test_known_noise_is_ignored(data):
    body = b"data:" + data + b"\n\nevent: ping\ndata: {]\n\n" + event(chunk("Hello")) + END
    events, error = read(body)
    assert error is None
    assert [one for one in events if isinstance(one, TextDelta)] == [TextDelta("Hello")]


def test_json_that_is_no_chunk_is_told_once():
    assert said(7, "x", None, []) == [Warned("unexpected_data")]


def test_only_the_first_choice_counts():
    second = {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}
    first = {"index": 0, "delta": {"content": "yes"}}
    assert said(chunk(choices=[second, first]), chunk(choices=[second])) == [
        Warned("unexpected_choice"),
        TextDelta("yes"),
    ]


def test_nan_and_numbers_without_end_do_no_harm():
    body = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"logprobs":NaN}],"x":1e400,"y":-Infinity}\n\n' + END
    events, error = read(body)
    assert error is None
    assert TextDelta("a") in events


@pytest.mark.parametrize(
    "data",
    [b"{nonsense", b"[" * 100_000, b'{"a":' * 10_000, b"1" * 5000, b'{"choices":[{"delta":{"content":"a}', b"<html>"],
)
def test_an_unreadable_chunk_ends_the_answer_with_what_came_before(data):
    events, error = read(event(chunk("kept")) + b"data: " + data + b"\n\n" + event(chunk("lost")) + END)
    assert error is not None
    assert (error.code, error.permanent) == ("upstream_malformed", False)
    assert [one for one in events if isinstance(one, TextDelta)] == [TextDelta("kept")]


def test_halves_of_a_character_are_joined_over_deltas():
    body = rb'data: {"choices":[{"index":0,"delta":{"content":"a\ud83d"}}]}' + b"\n\n"
    body += rb'data: {"choices":[{"index":0,"delta":{"content":"\udc69b"}}]}' + b"\n\n" + END
    events, error = read(body)
    assert error is None
    assert "".join(one.text for one in events if isinstance(one, TextDelta)) == "a\U0001f469b"
    assert not [one for one in events if isinstance(one, Warned)]


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([r"a\ud83d", "b"], "a\ufffdb"),
        ([r"\udc69b"], "\ufffdb"),
        ([r"a\ud83d"], "a\ufffd"),
        ([r"\ud83d\ud83d", r"\udc69"], "\ufffd\U0001f469"),
        ([r"\ud83d", "", r"\udc69"], "\U0001f469"),
    ],
)
def test_a_lone_half_becomes_a_replacement_character_and_is_told(pieces, text):
    body = b"".join(
        b'data: {"choices":[{"index":0,"delta":{"content":"' + piece.encode() + b'"}}]}\n\n' for piece in pieces
    )
    events, error = read(body + END)
    assert error is None
    whole = "".join(one.text for one in events if isinstance(one, TextDelta))
    assert whole == text
    whole.encode()
    assert (Warned("lone_surrogate") in events) is ("\ufffd" in text)


@pytest.mark.parametrize(
    ("value", "counts"),
    [
        (usage_chunk(18, 2), (18, 2, 20)),
        (chunk(finish="stop", usage=(18, 2)), (18, 2, 20)),
        (chunk(finish="stop", x_groq={"id": "x", "usage": {"prompt_tokens": 18, "completion_tokens": 2}}), (18, 2, 20)),
        (
            chunk(choices=[{"index": 0, "delta": {}, "usage": {"prompt_tokens": 18, "completion_tokens": 2}}]),
            (18, 2, 20),
        ),
        ({"usage": {"prompt_tokens": 18, "completion_tokens": 2, "total_tokens": 50}}, (18, 2, 50)),
        ({"usage": {"input_tokens": 18, "output_tokens": 2}}, (18, 2, 20)),
        ({"usage": {"prompt_tokens": 18, "completion_tokens": 0, "total_tokens": 18}}, (18, 0, 18)),
        ({"usage": {"prompt_tokens": 18, "completion_tokens": 2, "total_tokens": -1}}, (18, 2, 20)),
    ],
)
def test_usage_is_found_where_servers_put_it(value, counts):
    found = [one for one in said(value) if isinstance(one, UsageReported)]
    assert [(one.prompt_tokens, one.completion_tokens, one.total_tokens) for one in found] == [counts]


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": "18", "completion_tokens": 2},
        {"prompt_tokens": 18, "completion_tokens": 10**12},
        {"prompt_tokens": 18, "completion_tokens": 2.5},
        {"prompt_tokens": True, "completion_tokens": True},
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 18},
        {"prompt_tokens": None, "completion_tokens": None},
    ],
)
def test_usage_that_cannot_be_true_is_ignored_and_told(usage):
    assert said({"usage": usage}) == [Warned("usage_ignored")]


def test_cumulative_usage_is_replaced_and_never_added():
    events = said(*(chunk(f"{number}", usage=(31, number)) for number in range(1, 9)), usage_chunk(31, 8))
    last = [one for one in events if isinstance(one, UsageReported)][-1]
    assert (last.prompt_tokens, last.completion_tokens, last.total_tokens) == (31, 8, 39)


def test_details_of_usage():
    details = {
        "prompt_tokens": 15,
        "completion_tokens": 20,
        "total_tokens": 35,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 13},
    }
    assert said({"usage": details}) == [UsageReported(15, 20, 35, reasoning_tokens=13, cached_tokens=4)]
    assert said({"usage": {"prompt_tokens": 1, "completion_tokens": 1, "cached_tokens": 1}}) == [
        UsageReported(1, 1, 2, cached_tokens=1)
    ]


@pytest.mark.parametrize(
    ("reasons", "finishes"),
    [
        (["stop"], ["stop"]),
        ([None, "", "null", "length"], ["length"]),
        (["stop", "stop"], ["stop"]),
        (["stop", "length"], ["stop", "length"]),
        (["STOP_SEQUENCE"], ["STOP_SEQUENCE"]),
        ([None], []),
    ],
)
def test_the_finish_reason_is_upstreams_own_and_the_last_one_counts(reasons, finishes):
    body = b"".join(event(chunk(finish=reason)) for reason in reasons) + DONE
    events, error = read(body)
    assert error is None
    assert [one.reason for one in events if isinstance(one, FinishReported)] == finishes
    assert (Warned("done_without_finish") in events) is (not finishes)


def test_content_after_the_finish_is_kept_and_told():
    events = said(chunk("a", finish="stop"), chunk("b"), chunk("c", finish="stop"))
    assert events == [TextDelta("a"), Warned("content_after_finish"), TextDelta("b"), TextDelta("c")]


def test_deltas_that_repeat_the_text_so_far_are_kept_and_told():
    texts = ["A", "A b", "A b c", "A b c d"]
    events = said(*(chunk(text) for text in texts))
    assert [one.text for one in events if isinstance(one, TextDelta)] == texts
    assert Warned("cumulative?") in events
    assert Warned("cumulative?") not in said(*(chunk(text) for text in ["a", "ab", "b", "bc", "c"]))


def test_a_refusal_is_shown_as_the_answer_and_told():
    assert said(delta(refusal="I can't "), delta(refusal="help.")) == [
        Warned("refusal"),
        TextDelta("I can't "),
        TextDelta("help."),
    ]
    assert said(delta(refusal=None, content="x")) == [TextDelta("x")]


def test_a_tool_call_is_told_as_text_once_by_its_name():
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    more = {"index": 0, "function": {"arguments": '{"city":'}}
    second = {"index": 1, "function": {"name": "get_time", "arguments": "{}"}}
    events = said(delta(tool_calls=[first]), delta(tool_calls=[more]), delta(tool_calls=[first, second]))
    assert events == [TextDelta("[asked for tool get_weather]"), TextDelta("\n[asked for tool get_time]")]
    assert said(delta(function_call={"name": "old", "arguments": "{}"})) == [TextDelta("[asked for tool old]")]
    assert said(delta(tool_calls=[None, {"function": None}, {"function": {"name": 7}}, 3])) == []


def test_tool_calls_without_end_are_bounded():
    calls = [{"index": number, "function": {"name": "x" * 500}} for number in range(300)]
    text = "".join(one.text for one in said(delta(tool_calls=calls)) if isinstance(one, TextDelta))
    assert len(text) < 3000


def test_the_first_model_that_is_named_counts():
    events, _ = read(
        event(chunk("a", model="")) + event(chunk("b", model="one")) + event(chunk("c", model="two")) + END
    )
    assert [one for one in events if isinstance(one, ModelNamed)] == [ModelNamed("one")]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"error": {"message": "x", "type": "server_error"}}, "upstream_error"),
        ({"error": "boom"}, "upstream_error"),
        (chunk(finish="error"), "upstream_error"),
        (chunk("", finish="error", error={"code": 502, "message": "gone"}), "upstream_error"),
        ({"error": {"code": "insufficient_quota"}}, "upstream_quota"),
    ],
)
def test_an_error_in_the_stream_ends_it_and_keeps_the_text(value, code):
    events, error = read(event(chunk("kept")) + event(value) + DONE)
    assert error is not None and error.code == code
    assert [one for one in events if isinstance(one, TextDelta)] == [TextDelta("kept")]
    assert not [one for one in events if isinstance(one, FinishReported)]


@pytest.mark.parametrize(
    "body",
    [
        b'event: error\ndata: {"message":"x","code":429}\n\n',
        b'error: {"code":429,"message":"x"}\n\ndata: [DONE]\n\n',
        b'{"error":{"code":429,"message":"x"}}\n',
        b'event: error\ndata: {"message":"x","code":429}',
    ],
)
def test_errors_come_in_other_fields_and_lines_too(body):
    _, error = read(body)
    assert error is not None and error.code == "upstream_rate_limited"


def test_text_beside_an_error_comes_out_first():
    events, error = read(event(chunk("kept", error={"message": "x"})))
    assert error is not None and TextDelta("kept") in events


def test_an_end_with_neither_a_finish_nor_an_end_mark_is_incomplete():
    events, error = read(event(chunk("Half of an ans")))
    assert error is not None
    assert (error.code, error.permanent) == ("upstream_incomplete", False)
    assert TextDelta("Half of an ans") in events
    assert read(event(chunk("All.", finish="stop")))[1] is None
    assert read(event(chunk("All.")) + b"data: [DONE]")[1] is None


def test_nothing_after_the_end_mark_is_read():
    events, error = read(event(chunk("a")) + END + event(chunk("b")) + b"data: {nonsense\n\n")
    assert error is None
    assert [one for one in events if isinstance(one, TextDelta)] == [TextDelta("a")]
