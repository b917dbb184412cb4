from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.providers import ProviderError
from chat.providers.sse import EVENT_BYTES, Decoder, ServerSentEvent
from tests.support.examples import examples
from tests.support.sse_by_the_book import (
    by_the_book,
)


def decode(*reads: bytes) -> list[tuple[str, str]]:
    """Names and data of the events of a body that comes in these reads."""
    decoder = Decoder()
    events = [event for read in reads for event in decoder.feed(read)]
    return [(event.name, event.data) for event in [*events, *decoder.end()]]


def told(body: bytes) -> list[tuple[str, str]]:
    """Names and data of the events of a body, by the book."""
    return [(event.name, event.data) for event in by_the_book(body)]


BODIES = {
    "LF": (b'data: {"a":1}\n\ndata: [DONE]\n\n', [("", '{"a":1}'), ("", "[DONE]")]),
    "CRLF": (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [("", "1"), ("", "2")]),
    "CR": (b"data: 1\r\rdata: 2\r\r", [("", "1"), ("", "2")]),
    "line ends mixed": (b"data: 1\r\n\ndata: 2\r\rdata: 3\n\r\n", [("", "1"), ("", "2"), ("", "3")]),
    "a BOM before the first event": (b"\xef\xbb\xbfdata: 1\n\n", [("", "1")]),
    "a BOM later is part of a field's name": (b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [("", "1")]),
    "comments everywhere": (b": a\n\ndata: 1\n: b\n:\n\n: c\n", [("", "1")]),
    "no space after the colon": (b"data:1\n\ndata:[DONE]\n\n", [("", "1"), ("", "[DONE]")]),
    "one of two spaces goes": (b"data:  1\n\n", [("", " 1")]),
    "several data lines are one event": (b'data: {\ndata:  "a": 1\ndata: }\n\n', [("", '{\n "a": 1\n}')]),
    "the event's name": (b"event: error\ndata: 1\n\ndata: 2\n\n", [("error", "1"), ("", "2")]),
    "fields nobody needs": (b"id: 7\nretry: 10\nwhatever: x\nnothing\ndata: 1\n\n", [("", "1")]),
    "a name without data is nothing": (b"event: ping\n\ndata: 1\n\n", [("", "1")]),
    "empty data": (b"data:\n\ndata\n\n", [("", ""), ("", "")]),
    "the last blank line forgotten, JSON": (b'data: {"a":1}\n', [("", '{"a":1}')]),
    "the last line end forgotten, JSON": (b'data: {"a":1}', [("", '{"a":1}')]),
    "the last line end forgotten, end mark": (b"data: [DONE]", [("", "[DONE]")]),
    "half a JSON at the end is dropped": (b'data: {"a"', []),
    "separators that are legal in JSON": (
        'data: "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"\n\n'.encode(),
        [("", '"a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg"')],
    ),
    "NUL": (b"data: a\x00b\n\n", [("", "a\x00b")]),
    "a field named error": (b'error: {"code":400}\n\n', [("error", '{"code":400}')]),
    "a bare line with an error": (b'{"error":{"code":3}}\n\n', [("error", '{"error":{"code":3}}')]),
    "a bare line with an error, and no line end": (b'{"error":"x"}', [("error", '{"error":"x"}')]),
    "a bare line without an error": (b'{"choices":[]}\n{"error":null}\n{"error"\n\n', []),
    "four-byte characters": ("data: \U0001f469\u200d\U0001f680 چهار\n\n".encode(), [("", "👩‍🚀 چهار")]),
    "nothing": (b"", []),
    "only line ends": (b"\n\r\n\r\n\n", []),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_in_one_read_gives_its_events(name):
    body, events = BODIES[name]
    assert decode(body) == events
    assert told(body) == events


@pytest.mark.parametrize("name", BODIES)
def test_a_body_cut_anywhere_gives_the_same_events(name):
    body, events = BODIES[name]
    assert decode(*(body[at : at + 1] for at in range(len(body)))) == events
    for at in range(len(body)):
        assert decode(body[:at], body[at:]) == events


LINES = st.lists(
    st.sampled_from(
        [b"data: ", b"data:", b"data", b"event: e", b"error: x", b": c", b"id: 1", b"{}", b'{"error":1}', b'{"a":2}']
        + [b"[DONE]", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", "é\u2028👩".encode(), b"\xf0\x9f", b" ", b"1"]
    ),
    max_size=25,
)


@settings(max_examples=examples(3))
@given(pieces=LINES, cuts=st.lists(st.integers(min_value=0, max_value=120), max_size=12))
def test_any_body_in_any_reads_gives_what_the_specification_says(pieces, cuts):
    body = b"".join(pieces)
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    reads = [body[begin:end] for begin, end in zip(edges, edges[1:], strict=False)]
    assert decode(*reads) == told(body)


def test_an_event_comes_out_with_the_byte_that_completes_it():
    decoder = Decoder()
    assert list(decoder.feed(b"data: 1\r")) == []
    assert list(decoder.feed(b"\r")) == [ServerSentEvent("", "1")]
    assert list(decoder.feed(b"\ndata: 2\n")) == []
    assert list(decoder.feed(b"\n")) == [ServerSentEvent("", "2")]


def test_bytes_that_are_no_utf8_become_replacement_characters_and_are_told():
    decoder = Decoder()
    assert list(decoder.feed(b"data: a\xffb\n\ndata: c\n\n")) == [
        ServerSentEvent("", "a\ufffdb", bad_utf8=True),
        ServerSentEvent("", "c"),
    ]


@pytest.mark.parametrize("size", [1, 7, 4096, 10_000_000])
def test_a_line_without_end_fails_after_the_events_before_it(size):
    body = b"data: 1\n\ndata: " + b"x" * (EVENT_BYTES + 10)
    decoder, events = Decoder(), []
    with pytest.raises(ProviderError) as caught:
        for at in range(0, len(body), size):
            for event in decoder.feed(body[at : at + size]):
                events.append(event.data)
    assert (caught.value.code, caught.value.permanent) == ("upstream_malformed", False)
    assert events == ["1"]


def test_an_event_of_many_lines_is_bounded_too():
    decoder = Decoder()
    with pytest.raises(ProviderError):
        for _ in range(EVENT_BYTES // 100 + 10):
            list(decoder.feed(b"data: " + b"x" * 100 + b"\n"))


def test_the_longest_event_may_come_byte_by_byte_without_taking_square_time():
    body = b"data: " + b"x" * (EVENT_BYTES - 10) + b"\n\n"
    began = time.process_time()
    decoder = Decoder()
    events = [event for at in range(len(body)) for event in decoder.feed(body[at : at + 1])]
    assert len(events[0].data) == EVENT_BYTES - 10
    spent = time.process_time() - began
    print(f"{spent:.2f} s")
    assert spent < 10  # quadratic copying takes minutes
