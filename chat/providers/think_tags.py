"""Reasoning that a model server leaves in the text, as `<think>…</think>` before the answer: told apart as it comes.

Pure. Only the beginning counts: a tag that comes later belongs to the answer, which may speak of tags.
"""

from __future__ import annotations

OPENING, CLOSING = "<think>", "</think>"
BLANK_CHARACTERS = 1000
"""So much white space may stand before the first tag."""


class ThinkTags:
    """Splits one answer. `opened`: the server's chat template has written the first tag, the answer begins after it."""

    def __init__(self, opened: bool = False) -> None:
        self._is_thinking = opened
        self._is_answering = False
        self._held = ""

    def split(self, text: str) -> tuple[str, str]:
        """The text and the reasoning that can be given on; what may be half a tag waits for more."""
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
        """What is still held is no tag: nothing more comes."""
        held, self._held = self._held, ""
        return ("", held) if self._is_thinking else (held, "")
