"""What may never come of any answer, whatever its bytes: recorded answers are spoilt, and read whole and in pieces.

Nothing but ProviderError is raised, the cuts make no difference, every text can be written as UTF-8, and the reader
keeps no more than what is bounded, nor more than a few times what it read.

    ./run.py test --size 100 tests/providers/test_spoilt_answers.py     50,000 answers, others each time; ten minutes
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest
from hypothesis import Phase, given, settings

from chat.providers import TextDelta
from chat.providers.answers import DOCUMENT_BYTES, AnswerReader
from chat.providers.sse import EVENT_BYTES
from tests.support.examples import examples
from tests.support.reading import BOM, MakeReader, collect, decode, held_bytes, read_answer, texts_of
from tests.support.spoilt_bodies import Case, recorded_bodies, spoilt_answers

KEPT_AT_ONCE = 5 * EVENT_BYTES
"""Of a stream: a line, an event's name and its data, the delta before it, and what is small."""
KEPT_SMALL = 2000
"""Whatever was read, the names of warnings and the like."""
WEIGHINGS = 8
"""In one answer: looking costs as much as reading."""


class KeptTooMuch(AssertionError):
    """The reader holds more than it may."""


class CutsMatter(AssertionError):
    """Other reads of one body gave another answer."""


def check(case: Case, make: MakeReader = AnswerReader) -> str:
    """Read the case in its reads and in one; returns the code it ended with, or `none`."""
    is_json = case.body.lstrip().removeprefix(BOM).lstrip().startswith((b"{", b"["))
    bound = (DOCUMENT_BYTES if is_json else 0) + KEPT_AT_ONCE
    looks = 0

    def weigh(every: int, reader: AnswerReader, taken: int) -> None:
        nonlocal looks
        looks += 1
        if looks % every == 0 and held_bytes(vars(reader)) > min(4 * taken, bound) + KEPT_SMALL:
            raise KeptTooMuch(f"{held_bytes(vars(reader))} after {taken} bytes")

    read = partial(read_answer, content_type=case.content_type, tags=case.tags, make=make)
    whole = read([case.body], after_read=partial(weigh, 1))
    looks = 0
    if read(case.reads, after_read=partial(weigh, 1 + len(case.reads) // WEIGHINGS)) != whole:
        raise CutsMatter
    if collect(decode(case.reads)) != collect(decode([case.body])):
        raise CutsMatter
    for text in texts_of(whole):
        text.encode()
    return whole[1][0] if whole[1] else "none"


def test_a_spoilt_answer_does_nothing_worse_than_fail():
    bodies = {body for body, _ in recorded_bodies()}
    assert len(bodies) >= 23
    ends: Counter[str] = Counter()
    changed = 0

    @settings(max_examples=examples(5))
    @given(spoilt_answers())
    def read(case: Case) -> None:
        nonlocal changed
        ends[check(case)] += 1
        changed += case.body not in bodies

    read()
    print(dict(ends.most_common()))
    assert len(ends) >= 5
    assert ends["none"] > examples(0.25)
    assert changed > examples(3)


# The test itself: a reader with a fault is found out ────────────────────────────────────────────────────────────────


class Raises(AnswerReader):
    def feed(self, received):
        if b"\x00" in received:
            raise KeyError("planted")
        yield from super().feed(received)


class Forgets(AnswerReader):
    """What a read begins with is lost."""

    def feed(self, received):
        yield from super().feed(received.removeprefix(b'"'))


class Splits(AnswerReader):
    def feed(self, received):
        for event in super().feed(received):
            if isinstance(event, TextDelta):
                event = TextDelta(event.text.replace("e", "\ud83d"), event.reasoning)
            yield event


class Hoards(AnswerReader):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.everything = []

    def feed(self, received):
        self.everything.append(received * 10)
        yield from super().feed(received)


@pytest.mark.parametrize(
    ("reader", "fault"),
    [(Raises, KeyError), (Forgets, CutsMatter), (Splits, UnicodeEncodeError), (Hoards, KeptTooMuch)],
)
def test_a_fault_of_the_reader_is_found(reader: MakeReader, fault: type[Exception]):
    @settings(max_examples=examples(20), phases=[Phase.generate])
    @given(spoilt_answers())
    def read(case: Case) -> None:
        check(case, reader)

    with pytest.raises(fault):
        read()
