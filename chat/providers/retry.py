"""When a failed request is sent again by itself: pure decisions.

Only for requests that delivered nothing yet: whoever calls this knows that no delta came.
"""

from __future__ import annotations

from collections.abc import Callable

from chat.providers.base import ProviderError

BUDGET = 30.0
"""Seconds that somebody waits at most, over all tries and pauses, and the longest Retry-After that is obeyed."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
JITTER = 0.25


def delay(error: ProviderError, tries: int, spent: float, random: Callable[[], float]) -> float | None:
    """Seconds to wait before the next try, or None to give up.

    tries   how often the request was sent so far, the failed one included
    spent   seconds since the first try began
    random  numbers in [0, 1), like random.random
    """
    if error.permanent or tries >= error.max_tries:
        return None
    pause = error.retry_after
    if pause is None:
        pause = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE) * (1 - JITTER * random())
    return pause if pause <= BUDGET and spent + pause <= BUDGET else None
