"""Which providers do not answer now: told by the ends of real answers, and tried again in the background while marked.

Kept in memory: after a start nothing is marked. `failing` and `try_again` may be called in any thread, all else on the
event loop.
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
"""So many failures one after the other, within so many seconds, and the provider is marked."""
LONGEST_PAUSE_SECONDS = 300.0
"""The first pause is the setting PROVIDER_PAUSE_SECONDS; each one after it is twice as long."""
PROBE_SECONDS = 5.0
LOOK_SECONDS = 1.0

OUTAGE_CODES = frozenset(code for code in Code if code.rules.is_outage)


@dataclass(frozen=True)
class ProviderOutage:
    """A provider does not answer: since when, and the code of its last failure."""

    since: datetime
    code: Code


@dataclass
class _FailureHistory:
    """How it went with one provider of late: after which pause it is tried again, its failures in a row, and when."""

    pause: float
    failures: deque[float] = field(default_factory=lambda: deque(maxlen=ROW))
    next_probe: float = 0.0


class Health:
    """The marks of all providers, by their ids."""

    def __init__(self, clock: Clock, now: Callable[[], datetime] = timezone.now) -> None:
        self.changes = 0
        """How often a mark came or went: who has seen another number knows less."""
        self._clock = clock
        self._now = now
        self._courses: dict[int, _FailureHistory] = {}
        self._marks: dict[int, ProviderOutage] = {}

    def failing(self, provider: int) -> ProviderOutage | None:
        """The mark of a provider that does not answer; None when nothing is wrong with it."""
        return self._marks.get(provider)

    def try_again(self, provider: int) -> None:
        """Somebody has changed the provider: if it is marked, it is tried at the next look, whatever its pause.

        Sets one float, so any thread may do it.
        """
        course = self._courses.get(provider)
        if course is not None:
            course.next_probe = self._clock()

    def heard(self, provider: int | None, state: State, deltas: int, code: str | None) -> None:
        """An answer of this provider has ended in `state`, with so many deltas; `code` says why it failed."""
        if provider is None:
            return
        if state == State.COMPLETED or (state == State.STOPPED and deltas):
            self._courses.pop(provider, None)
            self._unmark(provider)
        elif code in OUTAGE_CODES:
            self._failed(provider, Code(code))
        elif code in Code.of(Kind.UPSTREAM) and provider in self._courses:
            self._courses[provider].failures.clear()  # it said no, which is an answer, too

    def due(self) -> list[int]:
        """The marked providers whose pause is over."""
        return [provider for provider in self._marks if self._courses[provider].next_probe <= self._clock()]

    def probed(self, provider: int, code: str | None, began: float = math.inf) -> None:
        """It was tried again, at `began`: `code` is why it failed, None when it is there."""
        mark = self._marks.get(provider)
        if mark is None:  # a real answer came meanwhile
            return
        course = self._courses[provider]
        if code in OUTAGE_CODES:
            self._marks[provider] = ProviderOutage(mark.since, Code(code))
            course.pause = min(2 * course.pause, LONGEST_PAUSE_SECONDS)
            if course.next_probe <= began:  # else it was changed since, and this tells of how it was
                course.next_probe = self._clock() + course.pause
            return
        # A list of models is less than an answer: the next failure marks it again at once.
        while len(course.failures) >= ROW:
            course.failures.popleft()
        self._unmark(provider)

    def forget(self, provider: int) -> None:
        """It is not used any more."""
        self._courses.pop(provider, None)
        self._unmark(provider)

    async def watch(self, read: Callable[..., Awaitable[Any]]) -> None:
        """Try what is marked again and again, for ever. `read` runs a function in a reader thread."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.gather(*(self.probe(provider, read) for provider in self.due()))

    async def probe(self, provider: int, read: Callable[..., Awaitable[Any]]) -> None:
        """Ask the provider and note what came. `read` runs a function in a reader thread."""
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
            logger.exception("provider %d could not be tried again", provider)
        self.probed(provider, code, began)

    def _failed(self, provider: int, code: Code) -> None:
        course = self._courses.setdefault(provider, _FailureHistory(settings.PROVIDER_PAUSE_SECONDS))
        now = self._clock()
        course.failures.append(now)
        first, mark = course.failures[0], self._marks.get(provider)
        if mark is not None:
            self._marks[provider] = ProviderOutage(mark.since, code)
        elif len(course.failures) == ROW and now - first <= ROW_SECONDS:
            course.next_probe = now + course.pause
            self._marks[provider] = ProviderOutage(self._now() - timedelta(seconds=now - first), code)
            self.changes += 1
            logger.warning("provider %d does not answer: %s", provider, code)

    def _unmark(self, provider: int) -> None:
        if self._marks.pop(provider, None) is not None:
            self.changes += 1
            logger.info("provider %d is marked no more", provider)


def _endpoint(provider: int) -> Endpoint | None:
    """Where to ask; None when the provider is gone or out of use. Raises CredentialsUnreadable."""
    found = Provider.objects.filter(pk=provider, enabled=True).first()
    return found.endpoint() if found else None
