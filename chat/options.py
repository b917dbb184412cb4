"""The options of prompts, conversations and models, with the check of their values. Does no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def is_encodable(text: str) -> bool:
    """Return whether the text can be stored and sent. A lone surrogate can't."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value <= high  # NaN is refused earlier


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _stop_texts(value: Any) -> bool:
    texts = [value] if isinstance(value, str) else value
    return (
        isinstance(texts, list)
        and 0 < len(texts) <= 4
        and all(isinstance(one, str) and 0 < len(one) <= 200 and is_encodable(one) for one in texts)
    )


def _effort(value: Any) -> bool:
    return value in ("none", "minimal", "low", "medium", "high", "xhigh", "max")


OPTIONS: dict[str, Callable[[Any], bool]] = {
    "temperature": _between(0, 2),
    "top_p": _between(0, 1),
    "max_tokens": _whole(1, 10_000_000),
    "stop": _stop_texts,
    "seed": _whole(-(2**53), 2**53),
    "reasoning_effort": _effort,
    "frequency_penalty": _between(-2, 2),
    "presence_penalty": _between(-2, 2),
}
"""Name → check of a value."""
