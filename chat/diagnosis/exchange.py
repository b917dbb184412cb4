"""One question to a model, and all that was seen of its answer: for whoever looks at the server, not at the text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from chat.codes import Code
from chat.providers import build
from chat.providers.base import (
    CompletionRequest,
    Endpoint,
    Event,
    FinishReported,
    ModelNamed,
    ProviderError,
    ResponseStarted,
    TextDelta,
    UnsupportedField,
    UsageReported,
    Warned,
)
from chat.timing import Stopwatch

MOST_CHARACTERS = 4000
"""A server that doesn't obey a limit is not read to its end."""


@dataclass
class Exchange:
    """A question, and its answer as it came. A failure is part of it: `run` raises nothing of upstream's.

    pieces        how many reads of the body brought text
    usage_places  where usage lay, each time it came (UsageReported)
    refused       the fields that upstream didn't take; the question was sent again without them
    is_cut        we left before the end
    """

    endpoint: Endpoint
    request: CompletionRequest
    text: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    usage: UsageReported | None = None
    usage_places: list[str] = field(default_factory=list)
    rate_limits: Mapping[str, str] = field(default_factory=dict)
    response_model: str = ""
    request_id: str = ""
    warnings: list[str] = field(default_factory=list)
    refused: list[UnsupportedField] = field(default_factory=list)
    pieces: int = 0
    error: ProviderError | None = None
    is_cut: bool = False
    watch: Stopwatch = field(default_factory=Stopwatch)
    _is_answered: bool = False
    _is_sent: bool = False
    _reads: int = 0
    _read_with_text: int = 0

    @property
    def is_streamed(self) -> bool:
        """A stream was asked for."""
        return not self.endpoint.whole_answers

    @property
    def came(self) -> bool:
        """There is an answer, and it is complete."""
        return self.error is None and bool(self.text or self.reasoning)

    @property
    def code(self) -> Code | None:
        """The error's; None without one."""
        return None if self.error is None else self.error.code

    @property
    def reached_the_model(self) -> bool:
        """It may have cost something: an answer began, or we gave up waiting for one."""
        return self._is_answered or (self._is_sent and (self.is_cut or self.code == Code.UPSTREAM_TIMEOUT))

    async def run(self, seconds: float, leave: Callable[[], Awaitable[bool]] | None = None) -> Exchange:
        """Ask, and read the answer for at most so many seconds; `leave` is asked at each delta whether to go."""
        try:
            async with asyncio.timeout(seconds), aclosing(self._deltas()) as deltas:
                async for _ in deltas:
                    is_long = len(self.text) + len(self.reasoning) > MOST_CHARACTERS
                    if is_long or (leave is not None and await leave()):
                        break
        except TimeoutError:
            self.error = ProviderError(Code.UPSTREAM_TIMEOUT, f"{seconds:g} s", permanent=True)
        except ProviderError as error:
            self.error = error
        return self

    async def _deltas(self) -> AsyncGenerator[TextDelta, None]:
        adapter = build(replace(self.endpoint, remember=self.refused.append))
        try:
            async with aclosing(adapter.stream(self.request, self)) as events:
                async for event in events:
                    self._take(event)
                    if isinstance(event, TextDelta):
                        yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.is_cut = True
            raise
        finally:
            await adapter.aclose()

    # The adapter's probe ──────────────────────────────────────────────────────────────────────────────────────────

    def started(self) -> None:
        """The request is handed to the HTTP client."""
        self.watch.started()

    def sent(self) -> None:
        """The whole request has left."""
        self._is_sent = True

    def received(self) -> None:
        """Bytes of the body were read."""
        self._reads += 1
        self.watch.received()

    def _take(self, event: Event) -> None:
        match event:
            case TextDelta(text, reasoning):
                self.text += text
                self.reasoning += reasoning
                self.watch.delta()
                if self._reads != self._read_with_text:
                    self._read_with_text = self._reads
                    self.pieces += 1
            case FinishReported(reason):
                self.finish_reason = reason
            case UsageReported():
                self.usage = event
                self.usage_places.append(event.place)
            case ResponseStarted(request_id, rate_limits):
                self._is_answered, self.request_id, self.rate_limits = True, request_id, rate_limits
            case ModelNamed(model):
                self.response_model = model
            case Warned(what):
                self.warnings.append(what)
