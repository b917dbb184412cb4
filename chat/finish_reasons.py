"""The meanings of finish_reason, in all known spellings of model servers. Does no I/O."""

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
"""Meaning → its spellings in lower case. `window`: the context window is full; `capacity`: the server ran out of
memory; `error`: a failure, not an end."""

_MEANINGS = {spelling: meaning for meaning, spellings in SPELLINGS.items() for spelling in spellings}

CUT = ("length", "window", "content_filter", "capacity", "abort")
"""Meanings that leave an answer unfinished."""


def meaning_of(reason: str | None) -> str:
    """Return the meaning of a finish_reason; '' for None and for unknown ones, which count as a normal end."""
    return _MEANINGS.get((reason or "").lower(), "")
