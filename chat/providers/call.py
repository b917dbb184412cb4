"""One call of a model, from the first attempt to the end of its answer.

All calls of models use Call: answers of the chat, the diagnosis of a provider, the comparison of streamed and whole
answers. Subclasses handle the text by overriding the methods that start with `on_`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing

from chat.codes import Code
from chat.finish_reasons import meaning_of
from chat.providers import retry
from chat.providers.base import (
    Adapter,
    CompletionRequest,
    Event,
    FinishReported,
    ModelNamed,
    ProviderError,
    ResponseStarted,
    TextDelta,
    UsageReported,
    Warned,
)
from chat.timing import Clock, Stopwatch

ENDS_WITHOUT_TEXT = ("length", "window", "content_filter", "tool_calls")
"""Meanings of finish_reason with which an empty answer is not a failure, because a retry would end the same way."""


class Call:
    """One call of a model, to be run once. It is also the adapter's Probe.

    attempts        how often the request was sent
    deltas          the number of delivered deltas
    stopwatch       times the current or last attempt
    finish_reason   the finish_reason of the last attempt, verbatim; None without one
    usage           the usage that upstream reported in the last attempt; None without one
    request_id      upstream's id of the request, '' without one
    response_model  the model that upstream reported, '' without one
    rate_limits     the headers about rate limits
    warnings        harmless irregularities (Warned)
    is_started      the request was passed to the HTTP client; False between two attempts
    is_sent         the whole request was sent and may be billed; False between two attempts
    is_answered     the headers of a successful answer arrived
    is_cut          the answer was not read to its end: `leave` returned True, or the task was cancelled
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.attempts = self.deltas = 0
        self.stopwatch = Stopwatch(clock)
        self.finish_reason: str | None = None
        self.usage: UsageReported | None = None
        self.request_id = self.response_model = ""
        self.rate_limits: Mapping[str, str] = {}
        self.warnings: list[str] = []
        self.is_started = self.is_sent = self.is_answered = self.is_cut = False
        self._clock = clock

    async def run(
        self,
        request: CompletionRequest,
        adapter: Callable[[], AbstractAsyncContextManager[Adapter]],
        seconds: float,
        *,
        max_retries: int = 0,
        needs_text: bool = False,
        too_late: Code = Code.ANSWER_TOO_LONG,
        leave: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        """Send the request and read the answer to its end. Retry failures that may pass while no delta was delivered.

        adapter      lends the adapter for one attempt
        seconds      the limit for everything; after it, ProviderError with the code `too_late` is raised
        max_retries  how often the request may be sent again
        needs_text   whether an empty answer is a failure (`answer_empty`) unless its finish_reason explains it
        leave        is called after each delta; True ends the call

        Raises ProviderError, and what `on_delta` raises.
        """
        try:
            async with asyncio.timeout(seconds) as limit:
                await self._attempts(request, adapter, max_retries, needs_text, leave)
        except TimeoutError:
            if not limit.expired():
                raise
            raise ProviderError(too_late, f"{seconds:g} s", permanent=True) from None

    async def _attempts(
        self,
        request: CompletionRequest,
        adapter: Callable[[], AbstractAsyncContextManager[Adapter]],
        max_retries: int,
        needs_text: bool,
        leave: Callable[[], Awaitable[bool]] | None,
    ) -> None:
        began = self._clock()
        while True:
            self.attempts += 1
            self.stopwatch = Stopwatch(self._clock)
            self.usage = self.finish_reason = None
            try:
                async with adapter() as lent:
                    await self._attempt(lent, request, leave)
                if needs_text and not self._has_text and not self.is_cut:
                    raise ProviderError(Code.ANSWER_EMPTY)
                return
            except ProviderError as error:
                self.request_id = error.request_id or self.request_id
                spent = self._clock() - began
                # guard: nothing is asked again once text has come
                wait = None if self.deltas else retry.delay(error, self.attempts, spent, random.random)
                if wait is None or self.attempts > max_retries:
                    raise
                self.is_started = self.is_sent = False  # that attempt cost nothing, and there may be no next one
                self.on_retry(error, wait)
            await asyncio.sleep(wait)
            self.on_next_attempt()

    async def _attempt(
        self, adapter: Adapter, request: CompletionRequest, leave: Callable[[], Awaitable[bool]] | None
    ) -> None:
        try:
            async with aclosing(adapter.stream(request, self)) as events:
                async for event in events:
                    self._take(event)
                    if leave is not None and isinstance(event, TextDelta) and await leave():
                        self.is_cut = True
                        return
        except asyncio.CancelledError:
            self.is_cut = True
            raise

    def count_deltas(self, number: int) -> None:
        """Count deltas that were found in the last bytes."""
        self.deltas += number
        for _ in range(number):
            self.stopwatch.delta()

    @property
    def _has_text(self) -> bool:
        return bool(self.deltas) or meaning_of(self.finish_reason) in ENDS_WITHOUT_TEXT

    def _take(self, event: Event) -> None:
        match event:
            case TextDelta():
                self.on_delta(event)
            case FinishReported(reason):
                is_first = self.finish_reason is None
                self.finish_reason = reason
                if is_first:
                    self.on_finish_reason()
            case UsageReported():
                self.usage = event
                self.on_usage(event)
            case ResponseStarted(request_id, rate_limits):
                self.is_answered, self.request_id, self.rate_limits = True, request_id, rate_limits
            case ModelNamed(model):
                self.response_model = model
            case Warned(what):
                self.warnings.append(what)
                self.on_warning(what)

    # The adapter's probe ──────────────────────────────────────────────────────────────────────────────────────────

    def started(self) -> None:
        """Record that the request is passed to the HTTP client."""
        self.is_started, self.is_sent = True, False
        self.stopwatch.started()
        self.on_started()

    def sent(self) -> None:
        """Record that the whole request was sent."""
        self.is_sent = True
        self.on_sent()

    def received(self) -> None:
        """Record that bytes of the answer's body were read."""
        self.stopwatch.received()
        self.on_received()

    # Hooks for subclasses; they must not block ────────────────────────────────────────────────────────────────────

    def on_started(self) -> None:
        """Handle that the request is passed to the HTTP client."""

    def on_sent(self) -> None:
        """Handle that the whole request was sent."""

    def on_received(self) -> None:
        """Handle that bytes of the answer's body were read."""

    def on_delta(self, delta: TextDelta) -> None:
        """Handle a delta, and count it as one. A ProviderError raised here ends the call."""
        self.count_deltas(1)

    def on_finish_reason(self) -> None:
        """Handle the first finish_reason."""

    def on_usage(self, usage: UsageReported) -> None:
        """Handle reported usage. Upstream may report it several times."""

    def on_warning(self, what: str) -> None:
        """Handle a harmless irregularity."""

    def on_retry(self, error: ProviderError, wait: float) -> None:
        """Handle a failed attempt. The next one starts in `wait` seconds."""

    def on_next_attempt(self) -> None:
        """Handle the end of the wait before the next attempt."""
