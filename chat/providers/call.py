"""One call of a model, from the first attempt to the end of its answer, with all that is known of it.

Everybody who asks a model asks through a Call: the answers of the chat, the diagnosis of a provider, the comparison of
streamed and whole answers. What they do with the text is theirs: they override the methods that begin with `on_`.
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
"""Meanings of finish_reason for which an answer without any text is no failure: asking again would bring the same."""


class Call:
    """One call of a model; it is made once. Also the adapter's Probe.

    attempts        how often the request was sent
    deltas          how many deltas were delivered
    stopwatch       times the attempt under way, or the last one
    finish_reason   upstream's own word in the last attempt; None when none came
    usage           as upstream reported it in the last attempt; None when it did not
    request_id      upstream's own id of the request, '' when it gave none
    response_model  the model that upstream says it used, '' when it said nothing
    rate_limits     the headers of the answer about rate limits
    warnings        what was odd and did not hurt (Warned)
    is_started      the request was handed to the HTTP client; False again between two attempts
    is_sent         the whole request has left, and may be billed; False again between two attempts
    is_answered     the headers of a good answer came
    is_cut          we left before the end: `leave` said so, or the task was cancelled
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
        """Send the request, again while nothing was delivered and it may help, and read the answer to its end.

        adapter      lends the adapter for one attempt
        seconds      for all of it; then ProviderError with the code `too_late`
        max_retries  how often it may be sent again
        needs_text   an answer without text is a failure (`answer_empty`), unless its finish_reason explains it
        leave        asked after each delta whether to go

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
                self.is_started = self.is_sent = False  # that attempt cost nothing; the next one may not come
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
        """So many deltas were found in the bytes read last."""
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
        """The request is handed to the HTTP client."""
        self.is_started, self.is_sent = True, False
        self.stopwatch.started()
        self.on_started()

    def sent(self) -> None:
        """The whole request has left."""
        self.is_sent = True
        self.on_sent()

    def received(self) -> None:
        """Bytes of the answer's body were read."""
        self.stopwatch.received()
        self.on_received()

    # What whoever calls may want to know at once; none of these may block ─────────────────────────────────────────

    def on_started(self) -> None:
        """The request is handed to the HTTP client."""

    def on_sent(self) -> None:
        """The whole request has left."""

    def on_received(self) -> None:
        """Bytes of the answer's body were read."""

    def on_delta(self, delta: TextDelta) -> None:
        """A delta came, and counts as one. A ProviderError that is raised here ends the call."""
        self.count_deltas(1)

    def on_finish_reason(self) -> None:
        """The first finish_reason came."""

    def on_usage(self, usage: UsageReported) -> None:
        """Upstream reported usage; it may do so several times."""

    def on_warning(self, what: str) -> None:
        """Something odd came that did not hurt."""

    def on_retry(self, error: ProviderError, wait: float) -> None:
        """The attempt failed, and the next one comes in `wait` seconds."""

    def on_next_attempt(self) -> None:
        """The wait is over."""
