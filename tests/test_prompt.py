"""From turns to messages."""

import pytest

from chat.prompt import GO_ON, Turn, build


def length(message):
    """A tokenizer for tests: a token a character, and one for the message."""
    return len(message["content"]) + 1


def contents(prompt):
    return [message["content"] for message in prompt.messages]


TURNS = [Turn("aaaa", "AAAA"), Turn("bbbb", "BBBB"), Turn("cccc", "CCCC"), Turn("last")]


def test_everything_is_sent_in_order_with_the_system_prompt_first():
    prompt = build(TURNS, system_prompt="be brief", count=length)
    assert [m["role"] for m in prompt.messages] == ["system"] + ["user", "assistant"] * 3 + ["user"]
    assert contents(prompt) == ["be brief", "aaaa", "AAAA", "bbbb", "BBBB", "cccc", "CCCC", "last"]
    assert prompt.turns_left_out == 0


def test_without_a_system_prompt_there_is_no_system_message():
    assert [m["role"] for m in build([Turn("hi")], count=length).messages] == ["user"]


@pytest.mark.parametrize(
    ("window", "left_out"),
    # last 5, primer 3, answer 10; each turn 10
    [(48, 0), (47, 1), (38, 1), (37, 2), (28, 2), (27, 3), (1, 3), (None, 0)],
)
def test_the_oldest_turns_are_left_out_when_the_window_is_too_small(window, left_out):
    prompt = build(TURNS, context_window=window, max_tokens=10, count=length)
    assert prompt.turns_left_out == left_out
    expected = [text for turn in TURNS[left_out:3] for text in (turn.prompt, turn.answer)]
    assert contents(prompt) == [*expected, "last"]


def test_the_last_prompt_is_sent_even_when_it_alone_is_too_long():
    assert contents(build([Turn("a" * 100)], context_window=10, count=length)) == ["a" * 100]


def test_a_share_of_the_window_is_kept_for_the_answer():
    turns = [Turn("a" * 49, "b" * 49), Turn("c")]
    assert build(turns, context_window=138, count=length).turns_left_out == 1
    assert build(turns, context_window=139, count=length).turns_left_out == 0


def test_turns_without_an_answer_are_no_context_and_do_not_count_as_left_out():
    prompt = build([Turn("failed"), Turn("a", "b"), Turn("empty", ""), Turn("last")], count=length)
    assert contents(prompt) == ["a", "b", "last"]
    assert prompt.turns_left_out == 0


def test_a_cut_answer_is_sent_with_the_wish_to_go_on():
    prompt = build([Turn("aaaa", "AAAA"), Turn("last")], cut_answer="Half", count=length)
    assert [message["role"] for message in prompt.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert contents(prompt) == ["aaaa", "AAAA", "last", "Half", GO_ON]


def test_a_cut_answer_stands_last_where_upstream_takes_it_up():
    assert contents(build([Turn("last")], cut_answer="Half", go_on="", count=length)) == ["last", "Half"]


def test_a_cut_answer_takes_its_room_in_the_window():
    # last 5, half 5, primer 3, answer 10; the turn 10
    fits = build([Turn("aaaa", "AAAA"), Turn("last")], cut_answer="Half", go_on="", context_window=33, max_tokens=10,
                 count=length)  # fmt: skip
    cut = build([Turn("aaaa", "AAAA"), Turn("last")], cut_answer="Half", go_on="", context_window=32, max_tokens=10,
                count=length)  # fmt: skip
    assert (fits.turns_left_out, cut.turns_left_out) == (0, 1)
