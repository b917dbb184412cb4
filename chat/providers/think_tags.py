"""Separate reasoning that a model server leaves in the text, as `<think>…</think>` before the answer.

Does no I/O. Later tags belong to the answer, which may be about tags.
"""

from __future__ import annotations

OPENING, CLOSING = "<think>", "</think>"
BLANK_CHARACTERS = 1000
"""The most white space before the first tag, in characters."""


class ThinkTags:
    """Splits one answer. `opened`: the server's chat template wrote the first tag, so the answer starts after it."""

    def __init__(self, opened: bool = False) -> None:
        self._is_thinking = opened
        self._is_answering = False
        self._held = ""

    def split(self, text: str) -> tuple[str, str]:
        """Return the text and the reasoning that are certain. A possible part of a tag is held back."""
        text, self._held = self._held + text, ""
        if not self._is_thinking and not self._is_answering:
            begun = text.lstrip()
            if begun.startswith(OPENING):
                self._is_thinking, text = True, begun[len(OPENING) :]
            elif OPENING.startswith(begun) and len(text) <= BLANK_CHARACTERS:
                self._held = text
                return "", ""
            else:
                self._is_answering = True
        if not self._is_thinking:
            return text, ""
        reasoning, closing, answer = text.partition(CLOSING)
        if closing:
            self._is_thinking, self._is_answering = False, True
            return answer, reasoning
        kept = next((size for size in range(len(CLOSING) - 1, 0, -1) if text.endswith(CLOSING[:size])), 0)
        self._held = text[len(text) - kept :]
        return "", text[: len(text) - kept]

    def flush(self) -> tuple[str, str]:
        """Return the held back text and reasoning, which turned out to be no tag."""
        held, self._held = self._held, ""
        return ("", held) if self._is_thinking else (held, "")
