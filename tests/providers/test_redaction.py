from __future__ import annotations

import base64
import json
import time
import uuid
from urllib.parse import quote, quote_plus

import pytest

from chat.providers.redaction import LENGTH, MASK, REMEMBERED, Known, learn, masked, redact, word_of
from tests.support.processor_time import seconds

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


# Known by value ───────────────────────────────────────────────────────────────────────────────────────────────────────

ODD_KEY = 'correct horse/"battery"+staple=é%'


def spellings(secret: str) -> list[str]:
    """What libraries make of a secret."""
    raw = secret.encode()
    quoted = [quote(secret), quote(secret, safe=""), quote_plus(secret), quote(secret, safe="").lower()]
    coded = [base64.b64encode(text).decode() for text in (raw, b"Bearer " + raw, b"user:" + raw, b"a" + raw + b"b")]
    safe = [base64.urlsafe_b64encode(b"x" * before + raw + b"yz").decode() for before in range(4)]
    return [secret, json.dumps(secret), raw.hex(), raw.hex().upper(), *quoted, *coded, *safe]


@pytest.mark.parametrize("secret", ["correct-horse-battery-staple", ODD_KEY, "12345678", "ключ-от-всего"])
def test_a_known_secret_is_hidden_however_it_is_written(secret):
    known = Known()
    known.learn(secret)
    for written in spellings(secret):
        shown = known.hide(f"before {written} after")
        assert shown.startswith("before ") and shown.endswith(" after")
        assert MASK in shown and written not in shown


def test_a_known_secret_that_is_cut_in_two_is_hidden():
    secret = "zebra-quilt-lantern-pebble-orchid-" * 3
    known = Known()
    known.learn(secret)
    for at in range(len(secret) + 1):
        for piece in (secret[:at], secret[at:]):
            assert len(piece) < 24 or known.hide(f"<{piece}>") == f"<{MASK}>"


def test_a_very_long_one_is_known_by_its_pieces_too():
    token = ".".join(uuid.UUID(int=number * 7919).hex for number in range(1, 60))
    known = Known()
    known.learn(token)
    assert known.hide(token[700:900]) == MASK


def test_only_the_secrets_used_last_are_known_and_those_learnt_for_ever():
    known = Known()
    known.learn("for-ever-0123", for_ever=True)
    secrets = [f"secret-{number:04}-{number * 7919:x}" for number in range(REMEMBERED)]
    for secret in secrets:
        known.learn(secret)
    known.learn(secrets[0])
    known.learn("one-too-many-4567")
    shown = {secret: known.hide(secret) for secret in ["for-ever-0123", "one-too-many-4567", *secrets]}
    assert [secret for secret, text in shown.items() if text != MASK] == [secrets[1]]


def test_short_words_are_not_taken_for_secrets():
    learn("", " ", "ollama", "sk-1234")
    assert masked("ollama answers to sk-1234") == "ollama answers to sk-1234"


def test_what_upstream_says_is_free_of_every_key_in_use():
    learn("plain-words-as-a-key")
    assert redact("plain-words-as-a-key was wrong") == f"{MASK} was wrong"


# Logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "generation 0b5c9a50-9cd4-4c87-9f0c-2f7c2f9f7a11 failed: upstream_auth",
        "Internal Server Error: /chat/0b5c9a50-9cd4-4c87-9f0c-2f7c2f9f7a11/",
        "Internal Server Error: /admin/chat/message/0b5c9a50-9cd4-4c87-9f0c-2f7c2f9f7a11/change/",
        "2 answers of the last process were cut; what had arrived is kept",
        "Traceback (most recent call last):\n"
        '  File "/srv/chatsite-2/.venv/lib/python3.11/site-packages/django/db/x.py", '
        "line 105, in _execute\n    return self.cursor.execute(sql, **params_of_2_and_of_3_and_of_4_and_more)\n"
        "django.db.utils.OperationalError: database is locked",
    ],
)
def test_a_log_keeps_what_tells_where_it_was(text):
    assert masked(text) == text


def test_a_log_keeps_its_lines_and_loses_keys_by_their_form():
    text = f"first\n  second: {KEY}\nAuthorization: Bearer abc\nlast " + "word " * 200
    shown = masked(text)
    assert shown.count("\n") == 3 and shown.endswith("word ") and len(shown) > 900
    assert KEY not in shown and "abc" not in shown


def test_a_secret_in_the_source_line_of_a_traceback_is_hidden_by_its_value():
    learn("another-plain-key-0")
    shown = masked('  File "/srv/another-plain-key-0/x.py", line 1, in f\n    ask("another-plain-key-0")')
    assert "another-plain-key-0" not in shown


def test_a_line_without_secrets_costs_little():
    known = Known()
    for number in range(2 * REMEMBERED):
        known.learn(f"{uuid.UUID(int=number * 104729)}")
    line = "generation 0b5c9a50-9cd4-4c87-9f0c-2f7c2f9f7a11: upstream_overloaded, again in 0.52 s"
    began = time.process_time()
    for _ in range(200):
        assert known.hide(line) == line
    assert (time.process_time() - began) / 200 < 0.01  # seconds of this process alone; a search per secret takes 0.1


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18"),
        ("accounts/fireworks/models/llama-v3p1-405b-instruct-20260817", None),
        ("chatcmpl-9f86d081884c7d659a2feaa0c55ad015", None),
        (PLAIN_KEY, MASK),
        (f"model of {PLAIN_KEY[:16]}", f"model of {MASK}"),
        ("half \ud83d and \x00", "half ? and ?"),
        ("x" * 5000, "x" * LENGTH),
        ("y " * 95 + PLAIN_KEY, "y " * 95 + MASK),
        ("", ""),
    ],
)
def test_a_word_of_upstreams_stays_as_it_is_without_what_is_known_and_what_no_database_takes(text, kept):
    learn(PLAIN_KEY)
    assert word_of(text) == (text if kept is None else kept)


MADE_TO_BE_SLOW = [
    *["a/", "/a/", "a", "a1/", "01234567-", "01234567-0123-0123-0123-", "0123456789abcdef"],
    *["eyJ", "eyJ.", "eyJaaaaa.", "sk-", "sk-aaaaaaa", "AIza", "Bearer ", "bearer\t"],
    *["=", "%41", "A1=", "_", ".", "*", "**", "ключ", "\x00", " ", "\n", " |+"],
    *['  File "', '\n  File "x", line 1', '\n  File "x", line 1, in ', '\n  File "x", line 1, in f\n    '],
]
SIZE = 32 * 1024


@pytest.fixture(scope="module")
def usual_seconds() -> float:
    """What an ordinary text of that size takes."""
    return seconds(lambda: masked(("word " * SIZE)[:SIZE]))


@pytest.mark.parametrize("after", ["", " "])
@pytest.mark.parametrize("piece", MADE_TO_BE_SLOW)
def test_no_text_of_a_stranger_makes_a_line_slow(piece: str, after: str, usual_seconds: float):
    text = ((piece + after) * SIZE)[:SIZE] + "!"
    # A text whose every place is gone through from every other one takes hundreds of times as long, or thousands.
    assert seconds(lambda: masked(text)) < 50 * usual_seconds
