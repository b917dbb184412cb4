"""One question to a model, and all that was seen of its answer: for whoever looks at the server, not at the text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from chat.codes import Code
from chat.providers import build
from chat.providers.base import (
    Adapter,
    CompletionRequest,
    Endpoint,
    ProviderError,
    TextDelta,
    UnsupportedField,
    UsageReported,
)
from chat.providers.call import Call

MOST_CHARACTERS = 4000
"""A server that doesn't obey a limit is not read to its end."""


class Exchange(Call):
    """A question, and its answer as it came. A failure is part of it: `ask` raises nothing of upstream's.

    pieces        how many reads of the body brought text
    usage_places  where usage lay, each time it came (UsageReported)
    refused       the fields that upstream didn't take; the question was sent again without them
    """

    def __init__(self, endpoint: Endpoint, request: CompletionRequest) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.request = request
        self.text = self.reasoning = ""
        self.usage_places: list[str] = []
        self.refused: list[UnsupportedField] = []
        self.pieces = 0
        self.error: ProviderError | None = None
        self._reads = self._read_with_text = 0

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
        return self.is_answered or (self.is_sent and (self.is_cut or self.code == Code.UPSTREAM_TIMEOUT))

    async def ask(self, seconds: float, leave: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Ask, and read the answer for at most so many seconds; `leave` is asked at each delta whether to go."""

        async def has_enough() -> bool:
            is_long = len(self.text) + len(self.reasoning) > MOST_CHARACTERS
            return is_long or (leave is not None and await leave())

        try:
            await self.run(self.request, self._adapter, seconds, too_late=Code.UPSTREAM_TIMEOUT, leave=has_enough)
        except ProviderError as error:
            self.error = error

    @asynccontextmanager
    async def _adapter(self) -> AsyncGenerator[Adapter, None]:
        adapter = build(replace(self.endpoint, remember=self.refused.append))
        try:
            yield adapter
        finally:
            await adapter.aclose()

    def on_received(self) -> None:
        self._reads += 1

    def on_delta(self, delta: TextDelta) -> None:
        super().on_delta(delta)
        self.text += delta.text
        self.reasoning += delta.reasoning
        if self._reads != self._read_with_text:
            self._read_with_text = self._reads
            self.pieces += 1

    def on_usage(self, usage: UsageReported) -> None:
        self.usage_places.append(usage.place)
