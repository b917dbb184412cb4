"""Statistics of models from the last hour's usage records and the current outages.

A reader thread computes them every REFRESH_SECONDS; pages read them from memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from statistics import median
from typing import Any

from django.utils import timezone

from chat.health.provider_outages import ProviderOutage, ProviderOutages
from chat.models import LanguageModel, State, UsageRecord

logger = logging.getLogger(__name__)

HOUR = timedelta(hours=1)
REFRESH_SECONDS = 15.0
RECORDS = 2000
"""The number of newest records that are read. More would block other threads."""


@dataclass(frozen=True)
class ModelStats:
    """A model's statistics: medians (None = no figure), percentage of failures (None = no requests), current state."""

    ttft_ms: int | None = None
    tokens_per_second: float | None = None
    error_percent: int | None = None
    requests: int = 0
    failing: bool = False


@dataclass
class _Hour:
    requests: int = 0
    errors: int = 0
    ttft_ms: list[int] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)

    def figures(self) -> ModelStats:
        return ModelStats(
            ttft_ms=round(median(self.ttft_ms)) if self.ttft_ms else None,
            tokens_per_second=round(median(self.speeds), 1) if self.speeds else None,
            error_percent=_percent(self.errors, self.requests),
            requests=self.requests,
        )


class ModelStatsCache:
    """Caches the statistics of all models. `of`, `outage_of` and `probe_soon` are thread-safe."""

    def __init__(self, outages: ProviderOutages | None = None) -> None:
        self._outages = outages
        self._figures: Mapping[int, ModelStats] = {}

    def refresh(self) -> None:
        """Read the records. Takes some milliseconds; run it in a thread."""
        self._figures = last_hour()

    async def refresh_forever(self, read: Callable[..., Awaitable[Any]]) -> None:
        """Refresh in an endless loop. `read` runs a function in a reader thread."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await read(self.refresh)
            except Exception:
                logger.exception("the figures of the models stay as they were")

    def outage_of(self, provider: int) -> ProviderOutage | None:
        """Return the outage of a provider, or None."""
        return self._outages.outage_of(provider) if self._outages else None

    def probe_soon(self, provider: int) -> None:
        """Probe a provider that is down soon, because its row has changed."""
        if self._outages:
            self._outages.probe_soon(provider)

    def of(self, model: LanguageModel) -> ModelStats:
        """Return the model's statistics."""
        figures = self._figures.get(model.pk, ModelStats())
        return figures if self.outage_of(model.provider_id) is None else replace(figures, failing=True)


def last_hour() -> dict[int, ModelStats]:
    """Return the statistics of all models with requests in the last hour, by the models' ids."""
    hours: dict[int, _Hour] = {}
    records = UsageRecord.objects.telling_of_models_since(timezone.now() - HOUR)
    facts = records.values_list("model_id", "state", "ttft_ms", "inter_token_latency_ms")
    for model, state, ttft_ms, latency_ms in facts[:RECORDS]:
        hour = hours.setdefault(model, _Hour())
        hour.requests += 1
        hour.errors += state == State.FAILED
        if ttft_ms is not None:
            hour.ttft_ms.append(ttft_ms)
        if latency_ms:
            hour.speeds.append(1000 / float(latency_ms))
    return {model: hour.figures() for model, hour in hours.items()}


def _percent(errors: int, requests: int) -> int | None:
    """Return the percentage of failures: 0 only without failures, 100 only without successes."""
    if not requests:
        return None
    if 0 < errors < requests:
        return min(99, max(1, round(100 * errors / requests)))
    return 100 if errors else 0
