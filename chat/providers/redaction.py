"""What upstream says about an error, made fit for eyes and logs: no keys, no tokens, one line, 200 characters.

OpenAI's 401 echoes the first eight and last four characters of the key, DeepSeek's the last four.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

LENGTH = 200
MASK = "[…]"

_GRAM = 6
"""A word that shares this many characters in a row with a secret is taken for a part of it."""

_SECRETS = re.compile(
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
_WORD = re.compile(r"[^\s\"'`(),;:<>{}\[\]]+")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f]+")


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """One line of at most LENGTH characters; `secrets` (our key, our extra headers) are masked, and parts of them."""
    text = _SPACES.sub(" ", text[: 20 * LENGTH]).strip()
    for secret in secrets:
        text = _without(secret.strip(), text)
    text = _UNBROKEN.sub(_unless_masked, text)
    text = _SECRETS.sub(MASK, text)
    text = _RUN.sub(_unless_random, text)
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LENGTH else text[: LENGTH - 1] + "…"


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
    grams = frozenset(_grams(secret))
    return _WORD.sub(lambda word: MASK if grams.intersection(_grams(word[0])) else word[0], text)


def _grams(text: str) -> Iterator[str]:
    return (text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1))
