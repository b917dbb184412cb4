"""Texts made fit for eyes and logs: no keys, no tokens. What upstream says of an error becomes one short line, too.

Keys are known by their form, and those in use by value: `learn`. OpenAI's 401 echoes the first eight and last four
characters of the key, DeepSeek's the last four.
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
"""So many secrets are known by value, beside those that are learnt for ever; the ones used last."""
SHORTEST = 8
"""Shorter ones are words that stand everywhere: `ollama`, `secret`."""

_GRAM = 6
"""A word that shares this many characters in a row with a secret is taken for a part of it."""
_LOGGED_GRAM = 12
"""The same for logs, where a word of a team's own key must not take the sense from the lines."""

MOST_GRAMS = 100
"""Of each way to write a secret."""

_FORMS = re.compile(
    r"\beyJ[\w-]{5,}(?:\.[\w-]*)*"  # a JSON Web Token
    r"|\b(?:sk|pk|rk|gsk|xai|hf|nvapi|key)[-_][\w.*…-]{6,}"
    r"|\bAIza[\w-]{10,}"
    r"|\b(?i:bearer)\s+\S+"
    r"|\b[0-9A-Fa-f]{24,}\b"
)
# Whole runs, looked at by functions: one expression for all of it takes square time on a text made for that.
_UNBROKEN = re.compile(r"\S+")
_RUN = re.compile(r"[A-Za-z0-9+/_=-]{28,}")
_SHORTER_RUN = re.compile(r"[A-Za-z0-9+_=]{28,}")
_SPARED = re.compile(
    # Where in the source it happened, and our own ids: long, with digits, and no secrets.
    r"^[ |+]*File \"[^\"\n]*\", line \d+, in .*(?:\n[ |]{4,}\S.*)?"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
    re.MULTILINE,
)
_WORD = re.compile(r"[^\s\"'`(),;:<>{}\[\]]+")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")


class _Spelt(NamedTuple):
    """The ways to write one secret, and enough of their parts to know a piece by."""

    texts: frozenset[str]
    grams: frozenset[str]

    def __repr__(self) -> str:
        return "_Spelt(…)"

    @classmethod
    def of(cls, secret: str) -> _Spelt:
        texts = frozenset(_spellings(secret))
        # Of a token of thousands of characters not every part: a longer piece holds one of them as well.
        parts = (islice(_grams(text, _LOGGED_GRAM), 0, None, 1 + len(text) // MOST_GRAMS) for text in texts)
        return cls(texts, frozenset(chain.from_iterable(parts)))


class Known:
    """Secrets in use in this process, and every way they may be written. Any thread may ask and tell."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._for_ever: dict[str, _Spelt] = {}
        self._recent: dict[str, _Spelt] = {}
        self._texts: tuple[str, ...] = ()
        self._grams: frozenset[str] = frozenset()

    def learn(self, secret: str, for_ever: bool = False) -> None:
        """Know a secret from now on; cheap when it is known."""
        with self._lock:
            if (known := self._recent.pop(secret, None)) is not None:
                self._recent[secret] = known  # the last one used
            if known is not None or secret in self._for_ever:
                return
            (self._for_ever if for_ever else self._recent)[secret] = _Spelt.of(secret)
            if len(self._recent) > REMEMBERED:
                del self._recent[next(iter(self._recent))]
            every = [*self._for_ever.values(), *self._recent.values()]
            self._texts = tuple(sorted(frozenset().union(*(spelt.texts for spelt in every)), key=len, reverse=True))
            self._grams = frozenset().union(*(spelt.grams for spelt in every))

    def hide(self, text: str) -> str:
        """The text without them, and without words that hold a good part of one."""
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, MASK)
        grams = self._grams
        if not grams:
            return text
        return _WORD.sub(lambda word: word[0] if grams.isdisjoint(_grams(word[0], _LOGGED_GRAM)) else MASK, text)


_known = Known()


def learn(*secrets: str, for_ever: bool = False) -> None:
    """Keep these out of logs and of what upstream says. Blank and very short ones are left out."""
    for secret in secrets:
        if len(secret := secret.strip()) >= SHORTEST:
            _known.learn(secret, for_ever)


def hide(text: str) -> str:
    """The text without what was learnt, and otherwise as it is: for ids, which look like keys."""
    return _known.hide(text)


def word_of(text: str, length: int = LENGTH) -> str:
    """A name or id of upstream's, fit to be stored: cut, without what was learnt, and without halves of characters
    and zeros, which UTF-8 and PostgreSQL don't take."""
    text = hide(text[: 20 * length]).replace("\x00", "?")
    return text.encode("utf-8", "replace").decode()[:length]


def masked(text: str) -> str:
    """What may be logged of a text, with its lines and its length."""
    text, at, parts = _known.hide(text), 0, []
    for spared in _SPARED.finditer(text):
        parts += [_without_forms(text[at : spared.start()]), spared[0]]
        at = spared.end()
    return "".join([*parts, _without_forms(text[at:])])


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """One line of at most LENGTH characters; `secrets` (our key, our extra headers) are masked, and parts of them."""
    text = _SPACES.sub(" ", text[: 20 * LENGTH]).strip()
    for secret in secrets:
        text = _without(secret.strip(), text)
    text = _without_forms(_known.hide(text))
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


def _without_forms(text: str) -> str:
    """The text without what looks like a key or a token."""
    text = _UNBROKEN.sub(_unless_masked, text)
    return _RUN.sub(_unless_random, _FORMS.sub(MASK, text))


def _unless_masked(found: re.Match[str]) -> str:
    """What somebody else masked with asterisks goes, with what they left standing."""
    return MASK if "**" in found[0] else found[0]


def _unless_random(found: re.Match[str]) -> str:
    """Long runs with digits are taken for keys: 40 characters, or 28 without a dash or a slash."""
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
    """A secret as it is, and as URLs, JSON, hexadecimal digits and base64 write it."""
    raw = secret.encode("utf-8", "replace")
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    found = {secret, json.dumps(secret)[1:-1], raw.hex(), raw.hex().upper(), *quoted}
    found |= {re.sub("%..", lambda digits: digits[0].lower(), text) for text in quoted}
    for before in range(3):  # where in a longer text the secret begins: base64 writes three bytes at a time
        coded = base64.b64encode(bytes(before) + raw + bytes(-(before + len(raw)) % 3)).decode()
        # The first and the last digits belong to the neighbours, too.
        inside = coded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        found |= {inside, inside.replace("+", "-").replace("/", "_")}
    return found
