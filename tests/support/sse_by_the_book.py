"""A second decoder of server-sent events, written from the standard, to compare the portal's with."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

from chat.providers.sse import EVENT_BYTES, ServerSentEvent

ERROR_FIELD = "a field named error is data, of an event of that name"
BARE_ERROR = "a line {…} that is JSON with an error in it is an event named error, whatever stands around it"
LAST_BLOCK = "a block that the end of the body cuts off counts if it is [DONE] or JSON"
LENIENCES = frozenset({ERROR_FIELD, BARE_ERROR, LAST_BLOCK})
"""What we read and the standard does not. There is nothing else."""


class TooLong(Exception):
    """A line, or the data of an event, is over our bound; the standard has none."""


def by_the_book(
    body: bytes, leniences: Collection[str] = LENIENCES, most: int = EVENT_BYTES
) -> Iterator[ServerSentEvent]:
    """A slow decoder written from WHATWG HTML 9.2.6, and by name what is added to it; raises TooLong."""
    text = body.decode("utf-8", "surrogateescape")  # bytes that are no UTF-8 are told apart until `_event`
    name, data = "", ""

    def sized(part: str) -> str:
        if len(part.encode("utf-8", "surrogateescape")) > most:
            raise TooLong
        return part

    def process(line: str) -> Iterator[ServerSentEvent]:
        nonlocal name, data
        if line == "":
            yield from dispatch()
        elif line.startswith(":"):
            pass  # a comment
        elif line.startswith("{") and BARE_ERROR in leniences:
            event = _event("error", line)
            if '"error"' in line and _is_json(event.data) and json.loads(event.data).get("error"):
                yield event
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data = sized(data + value + "\n")
            elif field == "error" and ERROR_FIELD in leniences:
                name = "error"
                data = sized(data + value + "\n")

    def dispatch() -> Iterator[ServerSentEvent]:
        nonlocal name, data
        if data != "":
            yield _event(name, data.removesuffix("\n"))
        name, data = "", ""

    *lines, rest = re.split("\r\n|\n|\r", text)
    is_first = True
    for line in lines:
        sized(line)
        yield from process(line.removeprefix("\ufeff") if is_first else line)
        is_first = False
    sized(rest)
    if LAST_BLOCK in leniences:
        rest = rest.removeprefix("\ufeff") if is_first else rest
        if rest:
            yield from process(rest)
        pending = _event(name, data.removesuffix("\n"))
        if pending.data.startswith("[DONE]") or _is_json(pending.data):
            yield from dispatch()


def _event(name: str, data: str) -> ServerSentEvent:
    """What decoding with replacement makes of both."""
    name, replaced = (part.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for part in (name, data))
    return ServerSentEvent(name, replaced, bad_utf8=bool(re.search("[\ud800-\udfff]", data)))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
