"""Streams of any bytes, most of them hostile: events as the standard says, with three additions."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.providers import sse
from tests.support.examples import examples
from tests.support.reading import BOM, collect, decode, rarely, reads_of
from tests.support.sse_by_the_book import LENIENCES, by_the_book

LINE_ENDS = [b"\n", b"\r\n", b"\r"]
FIELDS = [b"data"] * 12 + [b"event", b"event", b"id", b"retry", b"error", b"error", b"", b"", b"Data", b"datas", b"dat"]
FIELDS += [b" data", b"\tdata", b"data\x00", BOM + b"data", b"\xffdata", "dat\u0430".encode(), b"event ", b"errors"]
COLONS = [b": "] * 8 + [b":"] * 4 + [b":  ", b":\t", b"::", b" : ", b""]
VALUES = [
    *[b'{"a":1}', b'{"choices":[{"delta":{"content":"Hi"}}]}', b"[DONE]", b"[DONE] now", b"[DONE", b"", b" ", b"0"],
    *[rb'{"a":"\"\\\/\b\f\n\r\t\u00e9\ud83d\udc69"}', b"{", b"}", b'"a', b"[", b"null", b"ping", b"message", b"error"],
    *["a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg".encode(), "چهار 👩‍🚀 \ufeff\ufffd".encode(), b"a\x00b", b"\x00"],
    *[b"\xff", b"\xc3", b"\xf0\x9f", b"\xed\xa0\xbd", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\x80\xbf", b"a\xe2\x80b"],
    *[b'{"error":1}', b'{"error":{"code":429}}', BOM, b":", b"data: x", b"x" * 300, "é".encode() * 200],
]
BARE_LINES = [
    *[b'{"error":{"code":3}}', b'{"error":"x"}', b'{"error":null}', b'{"error"', b'{"error":1} ', b'{"a":"error"}'],
    *[rb'{"\u0065rror":1}', b'{"error":"\xff"}', b"{}", b"{:}", b"[1]", b' {"error":1}', b'{"a":' * 2000, b'{"error"'],
    *[b'{"error":1,"a":' + b"[" * 3000 + b"]" * 3000 + b"}", BOM + b'{"error":1}', b'{"data":1}'],
]
SHREDS = [b"d", b"data", b":", b" ", b"{", b"}", b'"error"', b"[DONE]", b"1", *LINE_ENDS, BOM, b"\xef", b"\xbb"]

FIELD = st.tuples(st.sampled_from(FIELDS), st.sampled_from(COLONS), st.sampled_from(VALUES)).map(b"".join)
LONG = st.sampled_from([1000, 5000, 70_000]).map(lambda size: b"data: " + b"y" * size)
LINE = st.sampled_from([FIELD] * 7 + [st.just(b"")] * 4 + [st.sampled_from(BARE_LINES), st.just(BOM), LONG]).flatmap(
    lambda chosen: chosen
)
LAST = st.sampled_from([b"", b"", b"data: [DONE]", b'data: {"a":2}', b'data: {"a"', b"event: error"])


def lines_with(ends: list[bytes]) -> st.SearchStrategy[bytes]:
    end = st.sampled_from(ends)
    lines = st.lists(st.tuples(LINE, end, rarely(st.just(b""), st.sampled_from(VALUES), 10)).map(b"".join), max_size=12)
    last = st.tuples(LAST, st.lists(end, max_size=2).map(b"".join)).map(b"".join)
    return st.tuples(st.sampled_from([b""] * 9 + [BOM]), lines.map(b"".join), last).map(b"".join)


ORDERLY = st.sampled_from([lines_with([end]) for end in LINE_ENDS] + [lines_with(LINE_ENDS)]).flatmap(lambda one: one)
SHREDDED = st.lists(st.sampled_from(SHREDS), max_size=20).map(b"".join)
STREAMS = st.sampled_from([ORDERLY] * 8 + [SHREDDED, st.binary(max_size=40)]).flatmap(lambda one: one)
CUT_STREAMS = STREAMS.flatmap(lambda body: st.tuples(st.just(body), reads_of(body)))


def test_any_stream_is_read_as_the_standard_says_with_three_additions():
    """Whatever differs from the standard is one of LENIENCES, and each of them is seen at work."""
    differs: Counter[str] = Counter()

    @settings(max_examples=examples(10))
    @given(CUT_STREAMS)
    def read(drawn: tuple[bytes, list[bytes]]) -> None:
        body, reads = drawn
        ours = collect(decode(reads))
        assert ours == collect(by_the_book(body))
        assert ours == collect(decode([body]))
        if ours == collect(by_the_book(body, ())):
            differs["in nothing"] += bool(ours[0])
        else:
            needed = [one for one in LENIENCES if collect(by_the_book(body, LENIENCES - {one})) != ours]
            differs.update(needed or ["in several at once"])

    read()
    print(dict(differs))
    assert differs["in nothing"] > examples(0.5)
    assert all(differs[one] > examples(0.02) for one in LENIENCES)


@pytest.mark.parametrize("most", [8, 30, 300])
def test_where_a_stream_becomes_too_long_does_not_depend_on_the_reads(most, monkeypatch):
    monkeypatch.setattr(sse, "EVENT_BYTES", most)
    failures: Counter[bool] = Counter()

    @given(CUT_STREAMS)
    def read(drawn: tuple[bytes, list[bytes]]) -> None:
        body, reads = drawn
        ours = collect(decode(reads))
        assert ours == collect(by_the_book(body, most=most)) == collect(decode([body]))
        failures[ours[1]] += 1

    read()
    assert min(failures[True], failures[False]) > 5, failures
