"""Ask an adapter and note everything it says and when: what the tests of the adapters have in common."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from chat.providers import (
    Adapter,
    CompletionRequest,
    Endpoint,
    Event,
    FinishReported,
    ModelNamed,
    ProviderError,
    ResponseStarted,
    TextDelta,
    TimeLimits,
    UsageReported,
    Warned,
    build,
)
from tests.support.upstream import (
    Gate,
    Stall,
    stream,
)

KEY = "sk-test-0123456789abcdefWXYZ"
LIMITS = TimeLimits()


@dataclass
class Calls:
    """The moments the adapter told of."""

    started: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    received: list[float] = field(default_factory=list)


class Witness:
    """A probe that notes the time of each call."""

    def __init__(self) -> None:
        self.calls = Calls()

    def started(self) -> None:
        self.calls.started.append(time.monotonic())

    def sent(self) -> None:
        self.calls.sent.append(time.monotonic())

    def received(self) -> None:
        self.calls.received.append(time.monotonic())


@dataclass
class Outcome:
    """One answer, or what became of it."""

    events: list[Event] = field(default_factory=list)
    error: ProviderError | None = None
    calls: Calls = field(default_factory=Calls)
    seconds: float = 0.0

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.deltas)

    @property
    def reasoning(self) -> str:
        return "".join(event.reasoning for event in self.deltas)

    @property
    def deltas(self) -> list[TextDelta]:
        return [event for event in self.events if isinstance(event, TextDelta)]

    @property
    def finish(self) -> str | None:
        return next((event.reason for event in reversed(self.events) if isinstance(event, FinishReported)), None)

    @property
    def usage(self) -> UsageReported | None:
        return next((event for event in reversed(self.events) if isinstance(event, UsageReported)), None)

    @property
    def counts(self) -> tuple[int, int, int] | None:
        usage = self.usage
        return None if usage is None else (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)

    @property
    def warnings(self) -> list[str]:
        return [event.what for event in self.events if isinstance(event, Warned)]

    @property
    def models(self) -> list[str]:
        return [event.model for event in self.events if isinstance(event, ModelNamed)]

    @property
    def request_id(self) -> str:
        return next((event.request_id for event in self.events if isinstance(event, ResponseStarted)), "")

    @property
    def code(self) -> str | None:
        return None if self.error is None else self.error.code

    @property
    def max_tries(self) -> int:
        """How often the request may be sent in all."""
        return 1 if self.error is None else self.error.max_tries


def question(model: str, text: str = "Hello?", **options: Any) -> CompletionRequest:
    return CompletionRequest(model, [{"role": "user", "content": text}], options)


def endpoint(base_url: str, limits: TimeLimits = LIMITS, **settings: Any) -> Endpoint:
    fields: dict[str, Any] = {"api_key": KEY, "limits": limits, "private_network": True} | settings
    return Endpoint(base_url, **fields)


async def ask(adapter: Adapter, model: str = "scripted", **options: Any) -> Outcome:
    """The whole answer to one question."""
    witness, outcome = Witness(), Outcome()
    began = time.monotonic()
    try:
        async with aclosing(adapter.stream(question(model, **options), witness)) as events:
            async for event in events:
                outcome.events.append(event)
    except ProviderError as error:
        outcome.error = error
    outcome.calls, outcome.seconds = witness.calls, time.monotonic() - began
    return outcome


async def ask_once(base_url: str, model: str = "scripted", limits: TimeLimits = LIMITS, **settings: Any) -> Outcome:
    """One question to a new adapter."""
    adapter = build(endpoint(base_url, limits, **settings))
    try:
        return await ask(adapter, model)
    finally:
        await adapter.aclose()


STOP_SECONDS = 0.25
"""After a stop, upstream's connection is closed within this time."""
PLACES = {
    "before headers": (Gate("here"), Stall()),
    "before the body": stream(Gate("here"), Stall()),
    "mid-answer": stream("Hello", Gate("here"), Stall()),
    "after the finish": stream("Hello", {"choices": [{"index": 0, "finish_reason": "stop"}]}, Gate("here"), Stall()),
    "in the body of an error": (*stream(b"x", Gate("here"), Stall(), status=500),),
}
