"""Counting: the numbers that the recorded runs printed, offline."""

import socket

import pytest

from chat import tokens

COUNT = "Count to 100, with a comma between each number and no newlines. E.g., 1, 2, 3, ..."
ONE_PLUS_ONE = "What's 1+1? Answer in one word."
TO_100 = ", ".join(str(number) for number in range(1, 101))


@pytest.mark.parametrize(
    ("model", "prompt", "expected"),
    [
        ("gpt-3.5-turbo", COUNT, 36),
        ("gpt-4o-mini", COUNT, 36),
        ("gpt-3.5-turbo-0301", COUNT, 37),
        ("gpt-4o-mini", ONE_PLUS_ONE, 18),
        ("gpt-3.5-turbo", ONE_PLUS_ONE, 19),
    ],
)
def test_a_prompt_counts_what_the_recorded_run_printed(model, prompt, expected):
    encoding = tokens.encoding_for(model).name
    assert tokens.count_prompt([{"role": "user", "content": prompt}], encoding, model) == expected


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [(TO_100 + ".", "cl100k_base", 299), (TO_100, "o200k_base", 298), ("Two.", "o200k_base", 2), ("", "o200k_base", 0)],
)
def test_an_answer_counts_what_the_recorded_run_printed(text, encoding, expected):
    assert tokens.count_text(text, encoding) == expected


@pytest.mark.parametrize(
    ("model", "chosen", "expected"),
    [
        ("gpt-4o-mini", "", ("o200k_base", True)),
        ("openai/gpt-4o", "", ("o200k_base", True)),
        ("gpt-3.5-turbo", "", ("cl100k_base", True)),
        ("gpt-oss-20b", "", ("o200k_harmony", True)),
        ("a model nobody knows", "", ("o200k_base", False)),
        ("text-davinci-003", "", ("cl100k_base", False)),
        ("davinci", "", ("cl100k_base", False)),
        ("anything", "cl100k_base", ("cl100k_base", True)),
        ("gpt-3.5-turbo", "no such encoding", ("cl100k_base", True)),
    ],
)
def test_the_encoding_is_the_chosen_one_else_by_the_name_else_the_newest(model, chosen, expected):
    assert tokens.encoding_for(model, chosen) == expected


def test_special_tokens_written_by_a_person_are_plain_text():
    assert tokens.count_text("<|endoftext|>", "cl100k_base") > 1


def test_a_million_spaces_are_counted_without_a_panic():
    assert tokens.count_text(" " * 1_000_000, "cl100k_base") > 0


def test_no_network_is_asked_even_when_no_table_is_there_yet(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("somebody wanted the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    tokens.table_of.cache_clear()
    assert all(tokens.count_text("hello", encoding) == 1 for encoding in tokens.ENCODINGS)


def test_a_table_that_differs_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens.gzip, "decompress", lambda data: b"something else")
    with pytest.raises(ValueError, match="sha256"):
        tokens.seed_tables(tmp_path)
