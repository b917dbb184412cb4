"""The stopwatch of an answer. It needs a clock only.

All times are measured by a monotonic clock from the moment the last attempt's request is passed to the HTTP client:

    ttft_ms                 to the first delta with non-empty content or reasoning
    duration_ms             to the last byte read of the body (waiting after it doesn't count)
    writing_ms              last delta − first delta
    inter_token_latency_ms  writing_ms / (completion_tokens − 1), two decimals
    tokens_per_second       1000 / inter_token_latency_ms, two decimals
    characters_per_second   code points of content / writing_ms × 1000, two decimals
    longest_gap_ms          the longest wait between two consecutive deltas

The three speeds are None with fewer than two tokens or deltas, or a span of 0. A delta's time is the time of the read
that contained it, so all deltas of one read share it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

Clock = Callable[[], float]

CURVE_POINTS = 24


@dataclass(frozen=True)
class Timing:
    """The times of one answer in milliseconds; None = unknown."""

    ttft_ms: int | None = None
    duration_ms: int | None = None
    writing_ms: Decimal | None = None
    longest_gap_ms: int | None = None
    deltas: int = 0


@dataclass(frozen=True)
class Speeds:
    """Speeds computed from a Timing and the counts; None = unknown."""

    inter_token_latency_ms: Decimal | None = None
    tokens_per_second: Decimal | None = None
    characters_per_second: Decimal | None = None


class Stopwatch:
    """Times one attempt. `clock` returns seconds and is monotonic."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._started: float | None = None
        self._received: float | None = None
        self._first: float | None = None
        self._last: float | None = None
        self._gap = 0.0
        self._deltas = 0

    def started(self) -> None:
        """Record that the request is passed to the HTTP client. Each call resets the measurement."""
        self._started = self._clock()
        self._received = None

    def received(self) -> None:
        """Record that bytes of the body were read."""
        self._received = self._clock()

    def delta(self) -> None:
        """Record a delta with non-empty content or reasoning in the last bytes."""
        now = self._received if self._received is not None else self._clock()
        if self._first is None or self._last is None:
            self._first = now
        else:
            self._gap = max(self._gap, now - self._last)
        self._last = now
        self._deltas += 1

    def elapsed_ms(self) -> int:
        """Return the time from the start to the last delta, or to now before the first delta; 0 if not started."""
        if self._started is None:
            return 0
        return round(((self._last if self._last is not None else self._clock()) - self._started) * 1000)

    def timing(self) -> Timing:
        """Return the times so far."""
        if self._started is None:
            return Timing()
        several = self._deltas > 1 and self._first is not None and self._last is not None
        return Timing(
            ttft_ms=self._since_start(self._first),
            duration_ms=self._since_start(self._received),
            writing_ms=_decimal((self._last - self._first) * 1000, "0.001") if several else None,  # type: ignore[operator]
            longest_gap_ms=round(self._gap * 1000) if several else None,
            deltas=self._deltas,
        )

    def _since_start(self, moment: float | None) -> int | None:
        if moment is None or self._started is None:
            return None
        return round((moment - self._started) * 1000)


class Curve:
    """The number of characters over time for the receipt's chart, in at most 24 points for any duration."""

    def __init__(self) -> None:
        self._points: list[tuple[int, int]] = []
        self._step_ms = 0

    def add(self, ms: int, characters: int) -> None:
        """Add a point: `characters` in total, `ms` milliseconds after the start. Both must not decrease."""
        points = self._points
        if len(points) > 1 and ms - points[-2][0] < self._step_ms:
            points[-1] = (ms, characters)
            return
        points.append((ms, characters))
        if len(points) > CURVE_POINTS:
            del points[1:-1:2]
            self._step_ms = max(self._step_ms + 1, 2 * ms // CURVE_POINTS)

    def points(self) -> list[tuple[int, int]]:
        """Return pairs of milliseconds and characters, in order of time."""
        return list(self._points)


def speeds(writing_ms: Decimal | None, deltas: int, completion_tokens: int | None, characters: int) -> Speeds:
    """Compute the speeds of an answer by the formulas above. All inputs are stored in the usage record."""
    if not writing_ms or deltas < 2 or completion_tokens is None or completion_tokens < 2:
        return Speeds()
    latency = _decimal(writing_ms / (completion_tokens - 1), "0.01")
    return Speeds(
        inter_token_latency_ms=latency,
        tokens_per_second=_decimal(1000 / latency, "0.01") if latency else None,
        characters_per_second=_decimal(characters * 1000 / writing_ms, "0.01"),
    )


def _decimal(value: float | Decimal, places: str) -> Decimal:
    return Decimal(value).quantize(Decimal(places), rounding=ROUND_HALF_UP)
