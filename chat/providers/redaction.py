"""Mask keys and tokens in texts for users and logs, and shorten upstream's error messages to one line.

Keys are recognised by their form, and the portal's own by value (`learn`). OpenAI's 401 echoes the first eight and
last four characters of the key, DeepSeek's the last four.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple
from urllib.parse import quote, quote_plus

LENGTH = 200
MASK = "[…]"
REMEMBERED = 64
"""The number of recently used secrets that are known by value, besides the permanent ones."""
SHORTEST = 8
"""Shorter secrets are common words such as `ollama` and `secret`, which are not masked."""

_GRAM = 6
"""A word that shares this many consecutive characters with a secret counts as a part of it."""
_LOGGED_GRAM = 12
"""The same for logs. It is longer, so that a key made of common words doesn't make log lines unreadable."""

MOST_GRAMS = 100
"""The most grams that are kept of each spelling of a secret."""

_FORMS = re.compile(
    r"\beyJ[\w-]{5,}(?:\.[\w-]*)*"  # a JSON Web Token
    r"|\b(?:sk|pk|rk|gsk|xai|hf|nvapi|key)[-_][\w.*…-]{6,}"
    r"|\bAIza[\w-]{10,}"
    r"|\b(?i:bearer)\s+\S+"
    r"|\b[0-9A-Fa-f]{24,}\b"
)
# Whole runs, which functions check: a single expression would take quadratic time on hostile text.
_UNBROKEN = re.compile(r"\S+")
_RUN = re.compile(r"[A-Za-z0-9+/_=-]{28,}")
_SHORTER_RUN = re.compile(r"[A-Za-z0-9+_=]{28,}")
_SPARED = re.compile(
    # Source lines of tracebacks, and the portal's ids: long, with digits, but no secrets.
    r"^[ |+]*File \"[^\"\n]*\", line \d+, in .*(?:\n[ |]{4,}\S.*)?"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    re.MULTILINE,
)
_WORD = re.compile(r"[^\s\"'`(),;:<>{}\[\]]+")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")


class _Spelt(NamedTuple):
    """The spellings of one secret, and grams that recognise a part of it."""

    texts: frozenset[str]
    grams: frozenset[str]

    def __repr__(self) -> str:
        return "_Spelt(…)"

    @classmethod
    def of(cls, secret: str) -> _Spelt:
        texts = frozenset(_spellings(secret))
        # Not every gram of a token of thousands of characters: a longer piece contains one of these as well.
        parts = (islice(_grams(text, _LOGGED_GRAM), 0, None, 1 + len(text) // MOST_GRAMS) for text in texts)
        return cls(texts, frozenset(chain.from_iterable(parts)))


class Known:
    """The secrets in use in this process, with their spellings. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._for_ever: dict[str, _Spelt] = {}
        self._recent: dict[str, _Spelt] = {}
        self._texts: tuple[str, ...] = ()
        self._grams: frozenset[str] = frozenset()

    def learn(self, secret: str, for_ever: bool = False) -> None:
        """Mask a secret from now on. Fast if it is known already."""
        with self._lock:
            if (known := self._recent.pop(secret, None)) is not None:
                self._recent[secret] = known  # moved to the end: the most recently used
            if known is not None or secret in self._for_ever:
                return
            (self._for_ever if for_ever else self._recent)[secret] = _Spelt.of(secret)
            if len(self._recent) > REMEMBERED:
                del self._recent[next(iter(self._recent))]
            every = [*self._for_ever.values(), *self._recent.values()]
            self._texts = tuple(sorted(frozenset().union(*(spelt.texts for spelt in every)), key=len, reverse=True))
            self._grams = frozenset().union(*(spelt.grams for spelt in every))

    def hide(self, text: str) -> str:
        """Return the text with known secrets masked, and words that contain a long part of one."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, MASK)
        grams = self._grams
        if not grams:
            return text
        return _WORD.sub(lambda word: word[0] if grams.isdisjoint(_grams(word[0], _LOGGED_GRAM)) else MASK, text)


_known = Known()


def learn(*secrets: str, for_ever: bool = False) -> None:
    """Mask these secrets in logs and in upstream's messages. Blank and very short ones are ignored."""
    for secret in secrets:
        if len(secret := secret.strip()) >= SHORTEST:
            _known.learn(secret, for_ever)


def hide(text: str) -> str:
    """Mask known secrets only. For ids, which look like keys."""
    return _known.hide(text)


def word_of(text: str, length: int = LENGTH) -> str:
    """Return a name or id from upstream that can be stored: cut to `length`, with known secrets masked.

    Lone surrogates and NUL, which UTF-8 and PostgreSQL refuse, are replaced.
    """
    text = hide(text[: 20 * length]).replace("\x00", "?")
    return text.encode("utf-8", "replace").decode()[:length]


def masked(text: str) -> str:
    """Return a text that may be logged. Its lines and its length are kept."""
    text, at, parts = _known.hide(text), 0, []
    for spared in _SPARED.finditer(text):
        parts += [_without_forms(text[at : spared.start()]), spared[0]]
        at = spared.end()
    return "".join([*parts, _without_forms(text[at:])])


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """Return one line of at most LENGTH characters, with known secrets, `secrets` and parts of them masked."""
    text = _SPACES.sub(" ", text[: 20 * LENGTH]).strip()
    for secret in secrets:
        text = _without(secret.strip(), text)
    text = _without_forms(_known.hide(text))
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


def _without_forms(text: str) -> str:
    """Mask everything that looks like a key or a token."""
    text = _UNBROKEN.sub(_unless_masked, text)
    return _RUN.sub(_unless_random, _FORMS.sub(MASK, text))


def _unless_masked(found: re.Match[str]) -> str:
    """Mask whole words that upstream masked partly with asterisks."""
    return MASK if "**" in found[0] else found[0]


def _unless_random(found: re.Match[str]) -> str:
    """Mask long runs with digits: from 40 characters, or from 28 without a dash or a slash."""
    run = found[0]
    if not any(character.isdigit() for character in run):
        return run
    return MASK if len(run) >= 40 else _SHORTER_RUN.sub(_unless_digitless, run)


def _unless_digitless(found: re.Match[str]) -> str:
    return MASK if any(character.isdigit() for character in found[0]) else found[0]


def _without(secret: str, text: str) -> str:
    if len(secret) < 3:
        return text
    text = text.replace(secret, MASK)
    if len(secret) < _GRAM + 2:
        return text
    text = re.sub(rf"(?<!\w){re.escape(secret[-4:])}(?!\w)", MASK, text)
    grams = frozenset(_grams(secret, _GRAM))
    return _WORD.sub(lambda word: word[0] if grams.isdisjoint(_grams(word[0], _GRAM)) else MASK, text)


def _grams(text: str, length: int) -> Iterator[str]:
    return (text[at : at + length] for at in range(len(text) - length + 1))


def _spellings(secret: str) -> set[str]:
    """Return the secret verbatim and as encoded in URLs, JSON, hexadecimal and base64."""
    raw = secret.encode("utf-8", "replace")
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    found = {secret, json.dumps(secret)[1:-1], raw.hex(), raw.hex().upper(), *quoted}
    found |= {re.sub("%..", lambda digits: digits[0].lower(), text) for text in quoted}
    for before in range(3):  # the offset in a longer text, because base64 encodes three bytes at a time
        coded = base64.b64encode(bytes(before) + raw + bytes(-(before + len(raw)) % 3)).decode()
        # The first and the last digits also encode adjacent bytes.
        inside = coded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        found |= {inside, inside.replace("+", "-").replace("/", "_")}
    return found
