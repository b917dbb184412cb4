"""Parse server-sent events from bytes (WHATWG HTML 9.2).

Independent of HTTP and of the meaning of the events. Takes bytes as they arrive and yields complete events.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from chat.codes import Code
from chat.providers.base import ProviderError

EVENT_BYTES = 256 * 1024
"""The longest line and the longest data of one event. Real ones have a few hundred bytes."""

_BOM = b"\xef\xbb\xbf"
_LF = 0x0A
_CR = 0x0D
_BRACE = 0x7B


class ServerSentEvent(NamedTuple):
    """A dispatched event. `bad_utf8`: invalid bytes were replaced by U+FFFD."""

    name: str
    data: str
    bad_utf8: bool = False


class Decoder:
    """Parses a stream. Call `feed` with each read, and `end` once after a clean end of the body.

    Both raise ProviderError `upstream_malformed` for a line or an event over EVENT_BYTES, after all events before it.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # parts of an incomplete line; joined once, so that the time stays linear
        self._parts_bytes = 0
        self._after_cr = False
        self._first_line = True
        self._name = ""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, received: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that `received` completes."""
        if not received:
            return
        if self._after_cr and received[0] == _LF:
            received = received[1:]  # the second half of a split CRLF
            if not received:
                self._after_cr = False
                return
        self._after_cr = received[-1] == _CR
        # bytes.splitlines splits at CR, LF and CRLF only; str.splitlines and httpx's aiter_lines also split at U+2028,
        # U+2029 and U+0085, which are legal inside JSON.
        lines = received.splitlines()
        open_end = b"" if received[-1] in (_LF, _CR) else lines.pop()
        for line in lines:
            if self._parts:
                line = self._whole(line)
            event = self._line(line)
            if event is not None:
                yield event
        if open_end:
            self._keep(open_end)

    def end(self) -> Iterator[ServerSentEvent]:
        """Yield a last event without its blank line, which many model servers forget, if it is `[DONE]` or JSON."""
        if self._parts:
            event = self._line(self._whole(b""))
            if event is not None:
                yield event
        event = self._dispatch()
        if event is not None and (event.data.startswith("[DONE]") or _is_json(event.data)):
            yield event

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._parts_bytes += len(part)
        if self._parts_bytes > EVENT_BYTES:
            raise _too_long()

    def _whole(self, tail: bytes) -> bytes:
        self._parts.append(tail)
        line = b"".join(self._parts)
        self._parts.clear()
        self._parts_bytes = 0
        return line

    def _line(self, line: bytes) -> ServerSentEvent | None:
        """Parse one line, given without its end. Return the event that it completes, or None."""
        if len(line) > EVENT_BYTES:
            raise _too_long()
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        if line.startswith(b"data:"):
            self._add_data(line[6:] if line.startswith(b" ", 5) else line[5:])
            return None
        return self._other_field(line)

    def _other_field(self, line: bytes) -> ServerSentEvent | None:
        if line[0] == _BRACE:
            return _bare_error(line)
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            self._name = value.decode("utf-8", "replace")
        elif field == b"data":
            self._add_data(value)
        elif field == b"error":  # llama.cpp of 2024 and 2025 named the field, not the event, `error`
            self._name = "error"
            self._add_data(value)
        return None  # comments (an empty field name), id, retry and unknown fields

    def _add_data(self, value: bytes) -> None:
        self._data.append(value)
        self._data_bytes += len(value) + 1
        if self._data_bytes > EVENT_BYTES:
            raise _too_long()

    def _dispatch(self) -> ServerSentEvent | None:
        name, data = self._name, self._data
        self._name = ""
        if not data:
            return None
        self._data, self._data_bytes = [], 0
        return _event(name, data[0] if len(data) == 1 else b"\n".join(data))


def _event(name: str, data: bytes) -> ServerSentEvent:
    try:
        return ServerSentEvent(name, data.decode("utf-8"))
    except UnicodeDecodeError:
        return ServerSentEvent(name, data.decode("utf-8", "replace"), bad_utf8=True)


def _bare_error(line: bytes) -> ServerSentEvent | None:
    """Return the event of a line `{…"error"…}` without a field name: Google's servers report errors that way."""
    if b'"error"' not in line:
        return None
    event = _event("error", line)
    return event if _is_json(event.data) and json.loads(event.data, strict=False).get("error") else None


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return False
    return True


def _too_long() -> ProviderError:
    return ProviderError(Code.UPSTREAM_MALFORMED, f"an event of more than {EVENT_BYTES} bytes")
