"""The fuzzing itself: a reader with a fault in it is found out, and told with the smallest input that shows it."""

from __future__ import annotations

import random
import re

import pytest

from bench import fuzz
from chat.providers import TextDelta
from chat.providers.answers import AnswerReader


class Raises(AnswerReader):
    def feed(self, received):
        if b"\x07" in received:
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
                event = TextDelta(event.text.replace("\ufffd", "\ud83d"), event.reasoning)
            yield event


class Hoards(AnswerReader):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.everything = []

    def feed(self, received):
        self.everything.append(received * 10)
        yield from super().feed(received)


@pytest.mark.parametrize(
    ("reader", "kind", "reads"),
    [
        (Raises, "KeyError is raised: 'planted'", "07"),
        (Forgets, "the cuts make a difference", None),
        (Splits, "half a character is given on: '", None),
        (Hoards, "too much is kept", None),
    ],
)
def test_a_fault_is_found_and_its_input_made_small(reader, kind, reads, capsys):
    assert fuzz.fuzz(minutes=1, seed=1, make=reader) == 1
    told = capsys.readouterr().out
    assert f"FOUND {kind}" in told
    assert re.search(r"seed 1, run \d+; content type '", told)
    shown = re.search(r"reads: ([0-9a-f ]*)\n", told)
    assert shown is not None
    assert len(shown[1]) < 2500
    if reads is not None:
        assert shown[1] == reads


def test_a_seed_makes_the_same_runs_again_and_a_sound_reader_passes(capsys):
    bodies = fuzz.corpus()
    assert len(bodies) >= 23
    cases = [[fuzz.spoilt(bodies, random.Random(f"7 {number}")) for number in range(100)] for _ in range(2)]
    assert cases[0] == cases[1]
    assert len({case.body for case in cases[0]} - {body for body, _ in bodies}) > 80
    assert fuzz.fuzz(minutes=0.01, seed=7) == 0
    assert re.search(r"\d runs, [\d,]+/s: .*none \d", capsys.readouterr().out)


def test_cuts_follow_when_a_part_is_taken_out():
    case = fuzz.Case(b"abcdefgh", (1, 3, 5, 7), "", "")
    assert case.reads == [b"a", b"bc", b"de", b"fg", b"h"]
    assert case.without(2, 6).reads == [b"a", b"b", b"", b"g", b"h"]
