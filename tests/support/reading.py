"""Bodies of model servers, read as the portal reads them, and strategies for how they are cut into reads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

from hypothesis import strategies as st

from chat.providers import Event, ProviderError
from chat.providers.answers import AnswerReader
from chat.providers.sse import Decoder, ServerSentEvent
from chat.providers.think_tags import ThinkTags
from tests.support.sse_by_the_book import TooLong

BOM = b"\xef\xbb\xbf"
BYTEWISE_BYTES = 1000
"""Longer bodies are not read byte by byte."""

CONTENT_TYPES = st.sampled_from(["text/event-stream"] * 4 + ["application/json", "text/plain", ""])
TAGS = st.sampled_from(["", "", "tagged", "opened"])
"""How reasoning stands within the text: not at all, in think tags, or in think tags of which the first is left out."""

Answer = tuple[list[Event], tuple[str, bool, float | None, str, int] | None]
"""The events of an answer, and what its error says when it ends in one."""

MakeReader = Callable[[str, tuple[str, ...], ThinkTags | None], AnswerReader]


def rarely(usual: st.SearchStrategy, rare: st.SearchStrategy, one_in: int) -> st.SearchStrategy:
    """`rare` once in `one_in` times; 0: never."""
    return st.sampled_from([usual] * (one_in - 1) + [rare]).flatmap(lambda chosen: chosen) if one_in else usual


@st.composite
def reads_of(draw: st.DrawFn, body: bytes) -> list[bytes]:
    """The body in one read, in a few, or byte by byte; some begin or end beside what has a meaning, some are empty."""
    if len(body) <= BYTEWISE_BYTES and draw(st.integers(0, 4)) == 4:
        return [body[at : at + 1] for at in range(len(body))]
    cuts = draw(st.lists(st.integers(0, len(body)), max_size=20))
    for mark in draw(st.lists(st.sampled_from([b"\r", b"\n", b"data", BOM[:2], b"\\u", b"[DONE]"]), max_size=2)):
        place = body.find(mark, draw(st.integers(0, len(body))))
        if place >= 0:
            cuts.append(min(len(body), place + draw(st.integers(0, len(mark)))))
    return [body[start:end] for start, end in itertools.pairwise(sorted([0, *cuts, len(body)]))]


def decode(reads: Iterable[bytes]) -> Iterator[ServerSentEvent]:
    """The server-sent events of a body."""
    decoder = Decoder()
    for read in reads:
        yield from decoder.feed(read)
    yield from decoder.end()


def collect(events: Iterable[ServerSentEvent]) -> tuple[list[ServerSentEvent], bool]:
    """The events, and whether they ended in what is too long."""
    seen: list[ServerSentEvent] = []
    try:
        for one in events:
            seen.append(one)
    except TooLong:
        return seen, True
    except ProviderError as error:
        assert (error.code, error.permanent) == ("upstream_malformed", False)
        return seen, True
    return seen, False


def read_answer(
    reads: Iterable[bytes],
    content_type: str,
    tags: str = "",
    make: MakeReader = AnswerReader,
    after_read: Callable[[AnswerReader, int], None] = lambda reader, taken: None,
) -> Answer:
    """The answer that comes in these reads. `after_read` gets the reader and the bytes that it has taken."""
    events: list[Event] = []
    taken = 0
    try:
        reader = make(content_type, ("sk-0123456789",), ThinkTags(tags == "opened") if tags else None)
        for read in reads:
            for one in reader.feed(read):
                events.append(one)
            if reader.done:
                return events, None
            taken += len(read)
            after_read(reader, taken)
        for one in reader.end():
            events.append(one)
    except ProviderError as error:
        return events, (error.code, error.permanent, error.retry_after, error.reason, error.max_tries)
    return events, None


def texts_of(answer: Answer) -> Iterator[str]:
    """Every text that the portal would store or send."""
    events, error = answer
    for one in events:
        yield from (value for value in vars(one).values() if isinstance(value, str))
    yield error[3] if error else ""


def held_bytes(value: object) -> int:
    """Bytes and characters that an object keeps."""
    if isinstance(value, bytes | str | bytearray):
        return len(value)
    if isinstance(value, dict):
        return sum(map(held_bytes, [*value, *value.values()]))
    if isinstance(value, list | tuple | set | frozenset):
        return sum(map(held_bytes, value))
    return held_bytes(vars(value)) if hasattr(value, "__dict__") else 0
