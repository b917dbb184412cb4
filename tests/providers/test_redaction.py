from __future__ import annotations

import pytest

from chat.providers.redaction import LENGTH, MASK, redact

KEY = "sk-proj-Ab12Cd34Ef56Gh78Ij90Kl"
PLAIN_KEY = "correct-horse-battery-staple"


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        "Incorrect API key provided: sk-proj-****************90Kl. You can find your key at https://example.org/keys.",
        "Incorrect API key provided: sk-proj-...90Kl",
        f"Your api key: ****{KEY[-4:]} is invalid",
        f"The key ending in {KEY[-4:]} has been revoked",
        f"key={KEY[:12]} unknown",
        f'{{"authorization":"Bearer {KEY}"}}',
        "Bearer abc.def was refused",
        "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl expired",
        "session 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "blob dGhpcyBpcyBhIHZlcnkgbG9uZyBzZWNyZXQgdGhhdCBtdXN0IGdv0123",
        "AIzaSyA1234567890abcdefghijk is not valid",
        "gsk_AbCdEf1234567890 is not valid",
    ],
)
def test_keys_and_tokens_are_masked_whole_or_in_part(text):
    shown = redact(text, [KEY])
    assert MASK in shown
    for size in range(5, len(KEY) + 1):
        assert KEY[:size] not in shown or KEY[:size] == "sk-pr"[:size]
        assert KEY[-size:] not in shown
    assert KEY[-4:] not in shown


def test_a_key_without_any_form_is_masked_by_its_value():
    assert redact(f"{PLAIN_KEY} is wrong", [PLAIN_KEY]) == f"{MASK} is wrong"
    assert redact("correct-horse-batt… is wrong", [PLAIN_KEY]) == f"{MASK} is wrong"


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-4o-mini-2024-07-18` does not exist or you do not have access to it.",
        "Meta-Llama-3.3-70B-Instruct is loading",
        "model_context_window_exceeded",
        "body.stream_options.include_usage: Extra inputs are not permitted",
        "Rate limit reached: Limit 30000, Used 29640, Requested 1200. Please try again in 1.68s.",
        "Используйте другую модель · 混雑しています",
    ],
)
def test_what_helps_is_left_alone(text):
    assert redact(text, [KEY, "", "x"]) == text


def test_it_is_one_line_of_bounded_length_that_can_be_stored():
    assert redact("a\r\n\tb\x00c  d") == "a b c d"
    assert len(redact("word " * 1000)) == LENGTH
    assert redact("half \ud83d") == "half ?"
