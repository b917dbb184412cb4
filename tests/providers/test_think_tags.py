"""Reasoning within the text: the same however the text is cut."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.providers import CompletionRequest, TextDelta, TimeLimits, build
from chat.providers.think_tags import BLANK_CHARACTERS, ThinkTags
from tests.support.asking import Witness, ask_once, endpoint
from tests.support.upstream import DONE, Fin, Stall, Upstream, answer, chunk, stream
from tests.support.upstream.script import text_chunk

CASES = {
    "tags before the answer": (False, "<think>hm</think>Two.", ("Two.", "hm")),
    "white space before the first tag": (False, " \n<think>hm</think>Two.", ("Two.", "hm")),
    "white space of the answer stays": (False, "<think>\nhm\n</think>\n\nTwo.\n", ("\n\nTwo.\n", "\nhm\n")),
    "no tags": (False, "Two.", ("Two.", "")),
    "white space alone": (False, " \n ", (" \n ", "")),
    "nothing thought": (False, "<think></think>Two.", ("Two.", "")),
    "never closed": (False, "<think>hm, </thin", ("", "hm, </thin")),
    "half a tag is none": (False, "<thi", ("<thi", "")),
    "nearly a tag": (False, "<thinking>hm", ("<thinking>hm", "")),
    "tags that the answer speaks of": (False, "Write <think>a</think>.", ("Write <think>a</think>.", "")),
    "a second pair belongs to the answer": (False, "<think>a</think>b<think>c</think>", ("b<think>c</think>", "a")),
    "opened by the template": (True, "hm</think>Two.", ("Two.", "hm")),
    "opened, and once more in the answer": (True, "a</think>b</think>", ("b</think>", "a")),
    "a lesser sign in the reasoning": (False, "<think>1 < 2 </ think></think>yes", ("yes", "1 < 2 </ think>")),
    "two signs before the end": (False, "<think>a<</think>b", ("b", "a<")),
}


def split(tags: ThinkTags, pieces: list[str]) -> tuple[str, str]:
    results = [tags.split(piece) for piece in pieces] + [tags.flush()]
    return "".join(text for text, _ in results), "".join(reasoning for _, reasoning in results)


@pytest.mark.parametrize("name", CASES)
def test_what_was_thought_and_what_is_said(name):
    opened, source, expected = CASES[name]
    assert split(ThinkTags(opened), [source]) == expected
    assert split(ThinkTags(opened), list(source)) == expected


@given(st.booleans(), st.text(alphabet="<>/think ab\n", max_size=40), st.lists(st.integers(0, 40), max_size=8))
def test_the_cuts_make_no_difference(opened, source, cuts):
    whole = split(ThinkTags(opened), [source])
    places = [0, *sorted(min(cut, len(source)) for cut in cuts), len(source)]
    pieces = [source[start:end] for start, end in zip(places, places[1:], strict=False)]
    assert split(ThinkTags(opened), pieces) == whole


def test_endless_white_space_is_not_kept_back():
    tags = ThinkTags()
    given_on = sum(len(tags.split(" ")[0]) for _ in range(3 * BLANK_CHARACTERS))
    assert given_on > BLANK_CHARACTERS


@pytest.mark.parametrize("kind", ["kept", "tagged", "opened"])
async def test_a_provider_says_what_becomes_of_the_tags(kind, upstream: Upstream):
    upstream.play("scripted", answer("<th", "ink>h", "m</", "think>", "Tw", "o."))
    outcome = await ask_once(upstream.base_url, think_tags=kind)
    assert outcome.error is None
    expected = {
        "kept": ("<think>hm</think>Two.", ""),
        "tagged": ("Two.", "hm"),
        "opened": ("Two.", "<think>hm"),
    }
    assert (outcome.text, outcome.reasoning) == expected[kind]


FINISHED = chunk(finish="stop")


@pytest.mark.parametrize(
    "end",
    [(DONE,), (), (Stall(),), (Fin(),)],
    ids=["end mark", "end of the body", "silence", "cut"],
)
async def test_half_a_tag_at_the_end_is_text_however_the_answer_ends(end, upstream: Upstream):
    steps = [one for one in end if not isinstance(one, bytes)]
    marks = [one for one in end if isinstance(one, bytes)]
    script = stream("<think>a</th", FINISHED, *marks, whole=not steps)
    upstream.play("scripted", (*script, *steps))
    outcome = await ask_once(upstream.base_url, think_tags="tagged", limits=TimeLimits(after_finish=0.05))
    assert (outcome.error, outcome.text, outcome.reasoning) == (None, "", "a</th")


async def test_a_tag_is_found_also_where_every_chunk_has_a_finish_reason(upstream: Upstream):
    pieces = [chunk(text, finish="stop") for text in ("<thi", "nk>hm</th", "ink>", "Two.")]
    upstream.play("scripted", stream(*pieces, DONE))
    outcome = await ask_once(upstream.base_url, think_tags="tagged")
    assert (outcome.text, outcome.reasoning) == ("Two.", "hm")


CUT = {"role": "assistant", "content": "Once upon a ti"}
ASKED = {"role": "user", "content": "A tale."}


@pytest.mark.parametrize(
    ("kind", "dialect", "messages", "said", "expected"),
    [
        ("opened", "chat_completions", [ASKED, CUT], "me.", ("me.", "")),
        ("opened", "completions", [ASKED, CUT], "me.", ("me.", "")),
        ("tagged", "chat_completions", [ASKED, CUT], "me.", ("me.", "")),
        ("tagged", "chat_completions", [ASKED, CUT], "<think>hm</think>me.", ("me.", "hm")),
        # Asked to go on, it begins anew, and so does its thinking.
        ("opened", "chat_completions", [ASKED, CUT, ASKED], "hm</think>me.", ("me.", "hm")),
        ("opened", "completions", [ASKED], "hm</think>me.", ("me.", "hm")),
    ],
)
async def test_an_answer_that_is_taken_up_where_it_was_cut_has_thought_already(
    kind, dialect, messages, said, expected, upstream: Upstream
):
    upstream.play("m", stream(text_chunk(said, "stop"), DONE) if dialect == "completions" else answer(said))
    adapter = build(endpoint(upstream.base_url, dialect=dialect, think_tags=kind))
    async with aclosing(adapter.stream(CompletionRequest("m", messages), Witness())) as events:
        deltas = [event async for event in events if isinstance(event, TextDelta)]
    await adapter.aclose()
    assert ("".join(one.text for one in deltas), "".join(one.reasoning for one in deltas)) == expected
