"""Which providers are down: found by how real answers end, and probed in the background until they answer again.

Kept in memory: after a start no provider is down. `outage_of` and `probe_soon` may be called in any thread, everything
else on the event loop.
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
"""After so many failures in a row, within so many seconds, a provider is down."""
LONGEST_PAUSE_SECONDS = 300.0
"""The first pause between two probes is the setting PROVIDER_PAUSE_SECONDS; each one after it is twice as long."""
PROBE_SECONDS = 5.0
LOOK_SECONDS = 1.0

OUTAGE_CODES = frozenset(code for code in Code if code.rules.is_outage)


@dataclass(frozen=True)
class ProviderOutage:
    """A provider is down: since when, and the code of its last failure."""

    since: datetime
    code: Code


@dataclass
class _FailureHistory:
    """When one provider failed, as times of the clock; the pause before its next probe, and when that is due."""

    pause: float
    failures: deque[float] = field(default_factory=lambda: deque(maxlen=ROW))
    next_probe: float = 0.0


class ProviderOutages:
    """The outages of all providers, by their ids."""

    def __init__(self, clock: Clock, now: Callable[[], datetime] = timezone.now) -> None:
        self.changes = 0
        """How often an outage began or ended: whoever has seen another number knows less."""
        self._clock = clock
        self._now = now
        self._histories: dict[int, _FailureHistory] = {}
        self._outages: dict[int, ProviderOutage] = {}

    def outage_of(self, provider: int) -> ProviderOutage | None:
        """The outage of a provider; None when it is not down."""
        return self._outages.get(provider)

    def probe_soon(self, provider: int) -> None:
        """Probe a provider that is down at the next look, whatever its pause: somebody has changed it.

        Sets one float, so any thread may do it.
        """
        history = self._histories.get(provider)
        if history is not None:
            history.next_probe = self._clock()

    def record_end(self, provider: int | None, state: State, deltas: int, code: str | None) -> None:
        """Record how an answer of this provider ended: its state, how many deltas it had, and why it failed."""
        if provider is None:
            return
        if state == State.COMPLETED or (state == State.STOPPED and deltas):
            self._histories.pop(provider, None)
            self._end_outage(provider)
        elif code in OUTAGE_CODES:
            self._failed(provider, Code(code))
        elif code in Code.of(Kind.UPSTREAM) and provider in self._histories:
            self._histories[provider].failures.clear()  # it said no, which is an answer, too

    def due(self) -> list[int]:
        """The providers that are down and whose pause is over."""
        return [provider for provider in self._outages if self._histories[provider].next_probe <= self._clock()]

    def record_probe(self, provider: int, code: str | None, began: float = math.inf) -> None:
        """Record a probe that began at `began`: `code` is why it failed, None when the provider answered."""
        outage = self._outages.get(provider)
        if outage is None:  # a real answer came meanwhile
            return
        history = self._histories[provider]
        if code in OUTAGE_CODES:
            self._outages[provider] = ProviderOutage(outage.since, Code(code))
            history.pause = min(2 * history.pause, LONGEST_PAUSE_SECONDS)
            if history.next_probe <= began:  # else it was changed since, and this probe saw it before
                history.next_probe = self._clock() + history.pause
            return
        # A list of models is less than an answer: after the next failure it is down again at once.
        while len(history.failures) >= ROW:
            history.failures.popleft()
        self._end_outage(provider)

    def forget(self, provider: int) -> None:
        """Drop all that is known of a provider that is not used any more."""
        self._histories.pop(provider, None)
        self._end_outage(provider)

    async def probe_forever(self, read: Callable[..., Awaitable[Any]]) -> None:
        """Probe what is down, each provider after its pause. `read` runs a function in a reader thread."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.gather(*(self.probe(provider, read) for provider in self.due()))

    async def probe(self, provider: int, read: Callable[..., Awaitable[Any]]) -> None:
        """Ask the provider, and record what came. `read` runs a function in a reader thread."""
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
    """Where to ask; None when the provider is gone or out of use. Raises CredentialsUnreadable."""
    found = Provider.objects.filter(pk=provider, enabled=True).first()
    return found.endpoint() if found else None
