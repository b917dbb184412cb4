"""Detect outages of providers from the ends of answers, and probe these providers until they answer again.

Outages are kept in memory: after a start no provider is down. `outage_of` and `probe_soon` are thread-safe; everything
else runs on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from chat.codes import Code, Kind
from chat.models import CredentialsUnreadable, Provider, State
from chat.providers import Endpoint, failure_of
from chat.timing import Clock

logger = logging.getLogger(__name__)

ROW, ROW_SECONDS = 3, 600.0
"""The number of consecutive failures, and the seconds within which they must occur, that make an outage."""
LONGEST_PAUSE_SECONDS = 300.0
"""The longest pause between probes. The first one is PROVIDER_PAUSE_SECONDS; each next one is twice as long."""
PROBE_SECONDS = 5.0
LOOK_SECONDS = 1.0

OUTAGE_CODES = frozenset(code for code in Code if code.rules.is_outage)


@dataclass(frozen=True)
class ProviderOutage:
    """An outage of a provider: its start, and the code of the last failure."""

    since: datetime
    code: Code


@dataclass
class _FailureHistory:
    """A provider's failures (times of the clock), the pause before its next probe, and the time of that probe."""

    pause: float
    failures: deque[float] = field(default_factory=lambda: deque(maxlen=ROW))
    next_probe: float = 0.0


class ProviderOutages:
    """The outages of all providers, by their ids."""

    def __init__(self, clock: Clock, now: Callable[[], datetime] = timezone.now) -> None:
        self.changes = 0
        """The number of starts and ends of outages. If it differs, the reader's list is out of date."""
        self._clock = clock
        self._now = now
        self._histories: dict[int, _FailureHistory] = {}
        self._outages: dict[int, ProviderOutage] = {}

    def outage_of(self, provider: int) -> ProviderOutage | None:
        """The outage of a provider; None when it is not down."""
        return self._outages.get(provider)

    def probe_soon(self, provider: int) -> None:
        """Probe a provider that is down in the next round, regardless of its pause, because its row has changed.

        Thread-safe, because it sets one float.
        """
        history = self._histories.get(provider)
        if history is not None:
            history.next_probe = self._clock()

    def record_end(self, provider: int | None, state: State, deltas: int, code: str | None) -> None:
        """Record the end of an answer of the provider: its state, the number of deltas, and the code of a failure."""
        if provider is None:
            return
        if state == State.COMPLETED or (state == State.STOPPED and deltas):
            self._histories.pop(provider, None)
            self._end_outage(provider)
        elif code in OUTAGE_CODES:
            self._failed(provider, Code(code))
        elif code in Code.of(Kind.UPSTREAM) and provider in self._histories:
            self._histories[provider].failures.clear()  # a refusal is an answer, too

    def due(self) -> list[int]:
        """Return the providers that are down and whose pause is over."""
        return [provider for provider in self._outages if self._histories[provider].next_probe <= self._clock()]

    def record_probe(self, provider: int, code: str | None, began: float = math.inf) -> None:
        """Record a probe that started at `began`. `code`: the failure; None = the provider answered."""
        outage = self._outages.get(provider)
        if outage is None:  # an answer ended the outage meanwhile
            return
        history = self._histories[provider]
        if code in OUTAGE_CODES:
            self._outages[provider] = ProviderOutage(outage.since, Code(code))
            history.pause = min(2 * history.pause, LONGEST_PAUSE_SECONDS)
            if history.next_probe <= began:  # otherwise the row has changed since this probe
                history.next_probe = self._clock() + history.pause
            return
        # A list of models proves less than an answer, so the next failure makes an outage at once.
        while len(history.failures) >= ROW:
            history.failures.popleft()
        self._end_outage(provider)

    def forget(self, provider: int) -> None:
        """Remove the history and the outage of a provider that is not used any more."""
        self._histories.pop(provider, None)
        self._end_outage(provider)

    async def probe_forever(self, read: Callable[..., Awaitable[Any]]) -> None:
        """Probe providers that are down, each after its pause, in a loop. `read` runs a function in a reader thread."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.gather(*(self.probe(provider, read) for provider in self.due()))

    async def probe(self, provider: int, read: Callable[..., Awaitable[Any]]) -> None:
        """Probe the provider and record the result. `read` runs a function in a reader thread."""
        code: Code | None = Code.UPSTREAM_ERROR
        began = self._clock()
        try:
            endpoint = await read(_endpoint, provider)
            if endpoint is None:
                self.forget(provider)
                return
            code = await failure_of(endpoint, PROBE_SECONDS)
        except CredentialsUnreadable:
            code = Code.UPSTREAM_AUTH
        except Exception:
            logger.exception("provider %d could not be probed", provider)
        self.record_probe(provider, code, began)

    def _failed(self, provider: int, code: Code) -> None:
        history = self._histories.setdefault(provider, _FailureHistory(settings.PROVIDER_PAUSE_SECONDS))
        now = self._clock()
        history.failures.append(now)
        first, outage = history.failures[0], self._outages.get(provider)
        if outage is not None:
            self._outages[provider] = ProviderOutage(outage.since, code)
        elif len(history.failures) == ROW and now - first <= ROW_SECONDS:
            history.next_probe = now + history.pause
            self._outages[provider] = ProviderOutage(self._now() - timedelta(seconds=now - first), code)
            self.changes += 1
            logger.warning("provider %d does not answer: %s", provider, code)

    def _end_outage(self, provider: int) -> None:
        if self._outages.pop(provider, None) is not None:
            self.changes += 1
            logger.info("provider %d answers again", provider)


def _endpoint(provider: int) -> Endpoint | None:
    """Return the provider's endpoint; None if it was deleted or disabled. Raises CredentialsUnreadable."""
    found = Provider.objects.filter(pk=provider, enabled=True).first()
    return found.endpoint() if found else None
