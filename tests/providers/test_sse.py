from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.providers import ProviderError
from chat.providers.sse import EVENT_BYTES, Decoder, ServerSentEvent


def decode(*reads: bytes) -> list[tuple[str, str]]:
    """Names and data of the events of a body that comes in these reads."""
    decoder = Decoder()
    events = [event for read in reads for event in decoder.feed(read)]
    return [(event.name, event.data) for event in [*events, *decoder.end()]]


ERROR_FIELD = "a field named error is data, of an event of that name"
BARE_ERROR = "a line {…} that is JSON with an error in it is an event named error, whatever stands around it"
LAST_BLOCK = "a block that the end of the body cuts off counts if it is [DONE] or JSON"
LENIENCES = frozenset({ERROR_FIELD, BARE_ERROR, LAST_BLOCK})
"""What we read and the standard does not. There is nothing else."""


class TooLong(Exception):
    """A line, or the data of an event, is over our bound; the standard has none."""


def by_the_book(
    body: bytes, leniences: Collection[str] = LENIENCES, most: int = EVENT_BYTES
) -> Iterator[ServerSentEvent]:
    """A slow decoder written from WHATWG HTML 9.2.6, and by name what is added to it; raises TooLong."""
    text = body.decode("utf-8", "surrogateescape")  # bytes that are no UTF-8 are told apart until `_event`
    name, data = "", ""

    def sized(part: str) -> str:
        if len(part.encode("utf-8", "surrogateescape")) > most:
            raise TooLong
        return part

    def process(line: str) -> Iterator[ServerSentEvent]:
        nonlocal name, data
        if line == "":
            yield from dispatch()
        elif line.startswith(":"):
            pass  # a comment
        elif line.startswith("{") and BARE_ERROR in leniences:
            event = _event("error", line)
            if '"error"' in line and _is_json(event.data) and json.loads(event.data).get("error"):
                yield event
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data = sized(data + value + "\n")
            elif field == "error" and ERROR_FIELD in leniences:
                name = "error"
                data = sized(data + value + "\n")

    def dispatch() -> Iterator[ServerSentEvent]:
        nonlocal name, data
        if data != "":
            yield _event(name, data.removesuffix("\n"))
        name, data = "", ""

    *lines, rest = re.split("\r\n|\n|\r", text)
    is_first = True
    for line in lines:
        sized(line)
        yield from process(line.removeprefix("\ufeff") if is_first else line)
        is_first = False
    sized(rest)
    if LAST_BLOCK in leniences:
        rest = rest.removeprefix("\ufeff") if is_first else rest
        if rest:
            yield from process(rest)
        pending = _event(name, data.removesuffix("\n"))
        if pending.data.startswith("[DONE]") or _is_json(pending.data):
            yield from dispatch()


def _event(name: str, data: str) -> ServerSentEvent:
    """What decoding with replacement makes of both."""
    name, replaced = (part.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for part in (name, data))
    return ServerSentEvent(name, replaced, bad_utf8=bool(re.search("[\ud800-\udfff]", data)))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


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


@settings(max_examples=300, deadline=None)
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
