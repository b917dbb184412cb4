"""What upstream means by its finish_reason, in all spellings that are known of servers in use. Pure."""

from __future__ import annotations

from collections.abc import Mapping

SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "stop": ("stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete"),
    "length": ("length", "max_tokens", "error_limit"),
    "window": ("model_length", "model_context_window_exceeded"),
    "content_filter": (
        "content_filter",
        "sensitive",
        "refusal",
        "safety",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "error_toxic",
    ),
    "tool_calls": ("tool_calls", "tool_use", "function_call"),
    "capacity": ("insufficient_system_resource",),
    "abort": ("abort", "cancelled"),
    "error": ("error", "network_error", "timeout"),
}
"""Meaning → the words for it, in lower case. `window`: the context window is full; `capacity`: the server had no more
room; `error` is a failure, not an end."""

_MEANINGS = {spelling: meaning for meaning, spellings in SPELLINGS.items() for spelling in spellings}

CUT = ("length", "window", "content_filter", "capacity", "abort")
"""Meanings that leave an answer unfinished."""


def meaning_of(reason: str | None) -> str:
    """The meaning of upstream's own word; '' for none and for words that nobody knows, which count as an end."""
    return _MEANINGS.get((reason or "").lower(), "")
