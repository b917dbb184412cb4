"""Bodies of answers, read as the adapters read them."""

from __future__ import annotations

from chat.providers import (
    Event,
    ProviderError,
)
from chat.providers.answers import AnswerReader
from tests.support.upstream.script import DONE, chunk, event

SSE = "text/event-stream"
END = event(chunk(finish="stop")) + DONE


def read(body: bytes, content_type: str = SSE, size: int = 10**9) -> tuple[list[Event], ProviderError | None]:
    """All events of a body that comes in reads of some size, and the error it ends in."""
    events: list[Event] = []
    try:
        reader = AnswerReader(content_type)
        for at in range(0, len(body), size):
            for one in reader.feed(body[at : at + size]):
                events.append(one)
            if reader.done:
                return events, None
        for one in reader.end():
            events.append(one)
    except ProviderError as error:
        return events, error
    return events, None
