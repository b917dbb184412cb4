"""Decide whether and when a failed request is retried. Does no I/O.

Only for requests that delivered no delta; the caller checks that.
"""

from __future__ import annotations

from collections.abc import Callable

from chat.providers.base import ProviderError

BUDGET = 30.0
"""The most seconds that a user waits over all tries and pauses, and the longest Retry-After that is followed."""

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0
JITTER = 0.25


def delay(error: ProviderError, tries: int, spent: float, random: Callable[[], float]) -> float | None:
    """Return the seconds to wait before the next try, or None to give up.

    tries   how often the request was sent so far
    spent   seconds since the start of the first try
    random  returns numbers in [0, 1), like random.random
    """
    if error.permanent or tries >= error.max_tries:
        return None
    pause = error.retry_after
    if pause is None:
        pause = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE) * (1 - JITTER * random())
    return pause if pause <= BUDGET and spent + pause <= BUDGET else None
