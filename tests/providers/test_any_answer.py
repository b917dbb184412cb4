"""Answers of any chunks: clean, and the same in any reads. Then what was found to be wrong, once and for all."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.codes import Code, Kind
from chat.providers import FinishReported, ModelNamed, TextDelta, Warned
from tests.support.chunk_strategies import HALVES, TEXTS, bodies
from tests.support.examples import examples
from tests.support.reading import BOM, CONTENT_TYPES, TAGS, read_answer, reads_of, texts_of
from tests.support.upstream.script import DONE, chunk, event


def test_whatever_chunks_hold_the_answer_is_clean_and_the_same_in_any_reads():
    codes: Counter[str] = Counter()

    @settings(max_examples=examples(5))
    @given(bodies(), CONTENT_TYPES, TAGS, st.data())
    def read(body: bytes, content_type: str, tags: str, data: st.DataObject) -> None:
        whole = read_answer([body], content_type, tags)
        assert read_answer(data.draw(reads_of(body)), content_type, tags) == whole
        for text in texts_of(whole):
            text.encode()  # no halves of characters, which nothing stores or sends
        events, error = whole
        assert all(one.text or one.reasoning for one in events if isinstance(one, TextDelta))
        assert all(one.reason for one in events if isinstance(one, FinishReported))
        assert sum(isinstance(one, ModelNamed) for one in events) <= 1
        warnings = [one for one in events if isinstance(one, Warned)]
        assert len(set(warnings)) == len(warnings)
        assert error is None or (error[0] in Code.of(Kind.UPSTREAM) and len(error[3]) <= 200)
        codes[error[0] if error else "none"] += 1

    read()
    print(dict(codes.most_common()))
    assert codes["none"] > examples(0.5)
    assert len(codes) >= 5


@pytest.mark.parametrize(
    "texts",
    [
        [text for text in TEXTS if not text.endswith("\n")],
        TEXTS,
    ],
)
def test_every_character_arrives_once_and_halves_are_joined(texts):
    """Content and reasoning by themselves, each cut anywhere, also within a character."""
    text = st.lists(st.sampled_from(texts + HALVES * 3), max_size=3).map("".join)
    delta = st.fixed_dictionaries({"content": text, "reasoning_content": text})

    @settings(max_examples=examples(3))
    @given(st.lists(delta, min_size=1, max_size=5), st.data())
    def read(deltas: list[dict[str, str]], data: st.DataObject) -> None:
        body = b"".join(b"data: " + json.dumps({"choices": [{"delta": one}]}).encode() + b"\n\n" for one in deltas)
        events, error = read_answer(data.draw(reads_of(body + DONE)), "text/event-stream")
        assert error is None
        for name, attribute in (("content", "text"), ("reasoning_content", "reasoning")):
            sent = "".join(one[name] for one in deltas)
            expected = sent.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            assert "".join(getattr(one, attribute) for one in events if isinstance(one, TextDelta)) == expected

    read()


def test_a_line_end_after_half_a_character_stays_a_line_end():
    body = rb'data: {"choices":[{"delta":{"content":"a\ud83d\n"}}]}' + b"\n\n" + DONE
    events, _ = read_answer([body], "text/event-stream")
    assert "".join(one.text for one in events if isinstance(one, TextDelta)) == "a\ufffd\n"


def test_two_boms_are_the_same_in_one_read_and_in_two():
    body = BOM + BOM + event(chunk("Hi", finish="stop")) + DONE
    assert read_answer([body], "text/plain") == read_answer([BOM, body[3:]], "text/plain")


@pytest.mark.parametrize("depths", [range(300, 500, 7), [*range(850, 1000), 2000, 5000]])
def test_json_of_any_depth_is_an_error_of_ours(depths):
    for start, end in (('{"message":', "}"), ('{"detail":', "}"), ('{"type":"thinking","thinking":[', "]}")):
        for depth in depths:
            deep = start * depth + '"x"' + end * depth
            for data in ('{"error":%s}', '{"choices":[{"delta":{"content":[%s]}}]}'):
                read_answer([b"data: " + (data % deep).encode() + b"\n\n"], "text/event-stream")


@pytest.mark.parametrize("reason", ["x" * 101, "\ud83d"])
def test_a_finish_that_is_said_again_is_told_once(reason):
    body = b"data: " + json.dumps(chunk(finish=reason)).encode() + b"\n\n"
    events, _ = read_answer([body * 3], "text/event-stream")
    assert sum(isinstance(one, FinishReported) for one in events) == 1
