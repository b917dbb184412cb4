"""From the bytes of an answer to events: a stream of server-sent events, or one JSON document in its place.

Pure: bytes in, events out. Which of the two it is shows in the first bytes; the content type is often wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Protocol

from chat.providers.base import Event, ProviderError
from chat.providers.chunks import ChunkMeaning
from chat.providers.errors import failure, stream_failure, text_complaint
from chat.providers.sse import Decoder, ServerSentEvent

DOCUMENT_BYTES = 4 * 1024 * 1024
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")
_IGNORED = frozenset({"", "ping", "keep-alive"})
_BOM = b"\xef\xbb\xbf"


class AnswerReader:
    """Reads one answer. `feed` with every read, `end` at the clean end of the body; both raise ProviderError.

    `done` says that the answer is complete and nothing more is to be read, `meaning` what it brought so far.
    """

    def __init__(self, content_type: str, secrets: Sequence[str] = ()) -> None:
        self.done = False
        self.meaning = ChunkMeaning(secrets)
        self._secrets = secrets
        self._content_type = content_type
        self._head = b""
        self._form: _Form | None = _Stream(self) if content_type == "text/event-stream" else None
        if content_type in ("text/html", "application/xhtml+xml"):
            raise failure("upstream_bad_response", "HTML")

    def feed(self, received: bytes) -> Iterator[Event]:
        """The events that `received` completes."""
        if self._form is None:
            self._head += received
            self._form = self._recognised(self._head)
            if self._form is None:
                return
            received, self._head = self._head, b""
            yield from self.meaning.warn("content_type" if isinstance(self._form, _Stream) else "whole_answer")
        yield from self._form.feed(received)

    def end(self) -> Iterator[Event]:
        """The last events. Raises `upstream_incomplete` when neither a finish_reason nor `[DONE]` came."""
        if self._form is None and self._head.strip():
            raise failure("upstream_bad_response", f"no answer of a model: {self._content_type or 'no type'}"[:100])
        if self._form is not None:
            yield from self._form.end()
        yield from self.meaning.flush()
        if not self.done and not self.meaning.finish_reason:
            raise failure("upstream_incomplete")

    def _recognised(self, head: bytes) -> _Form | None:
        """The form that the first bytes show; None when it takes more of them."""
        head = head.removeprefix(_BOM).lstrip()
        if head.startswith(_FIELDS):
            return _Stream(self)
        if head.startswith((b"{", b"[")):
            return _Document(self)
        if not head or any(field.startswith(head) for field in _FIELDS) or _BOM.startswith(head):
            return None
        raise failure("upstream_bad_response", f"no answer of a model: {self._content_type or 'no type'}"[:100])

    def take(self, event: ServerSentEvent) -> Iterator[Event]:
        """The events of one server-sent event."""
        if event.bad_utf8:
            yield from self.meaning.warn("bad_utf8")
        data = event.data.strip()
        if event.name == "error":
            raise stream_failure(text_complaint(data), self._secrets)
        if data in _IGNORED or event.name == "ping":
            return
        if data.startswith("[DONE]"):
            self.done = True
            yield from self.meaning.flush()
            if not self.meaning.finish_reason:
                yield from self.meaning.warn("done_without_finish")
            return
        yield from self.meaning.events(_decoded(data), escaped="\\u" in data)


class _Form(Protocol):
    def feed(self, received: bytes) -> Iterator[Event]: ...

    def end(self) -> Iterator[Event]: ...


class _Stream:
    def __init__(self, reader: AnswerReader) -> None:
        self._reader = reader
        self._decoder = Decoder()

    def feed(self, received: bytes) -> Iterator[Event]:
        for event in self._decoder.feed(received):
            yield from self._reader.take(event)
            if self._reader.done:
                return

    def end(self) -> Iterator[Event]:
        for event in self._decoder.end():
            yield from self._reader.take(event)


class _Document:
    """A whole answer, or an error, where a stream was asked for."""

    def __init__(self, reader: AnswerReader) -> None:
        self._reader = reader
        self._body = bytearray()

    def feed(self, received: bytes) -> Iterator[Event]:
        self._body += received
        if len(self._body) > DOCUMENT_BYTES:
            raise failure("upstream_bad_response", f"more than {DOCUMENT_BYTES} bytes of JSON")
        yield from ()

    def end(self) -> Iterator[Event]:
        body = self._body.removeprefix(_BOM).decode("utf-8", "replace")
        value = _decoded(body)
        yield from self._reader.meaning.events(value)
        if not isinstance(value, dict) or not isinstance(value.get("choices"), list):
            raise failure("upstream_bad_response", "JSON that is no answer of a model")
        self._reader.done = True


def _decoded(data: str) -> object:
    """The JSON value. Text is never guessed: an unreadable chunk means that some may be missing."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderError("upstream_malformed", permanent=False, reason="unreadable JSON") from error
    return value
