"""Parse the bytes of an answer into events. An answer is a stream of server-sent events or one JSON document.

Does no I/O. The first bytes decide which of the two it is, because the content type is often wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress

from chat.codes import Code
from chat.providers.base import Event, ProviderError
from chat.providers.chunks import ChunkMeaning
from chat.providers.errors import stream_failure, text_complaint
from chat.providers.sse import Decoder, ServerSentEvent
from chat.providers.think_tags import ThinkTags

DOCUMENT_BYTES = 4 * 1024 * 1024
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b"error:", b":")
_BRACES = (b"{", b"[")
_IGNORED = frozenset({"", "ping", "keep-alive"})
_BOM = b"\xef\xbb\xbf"


class AnswerReader:
    """Parses one answer. Call `feed` with each read, and `end` at the clean end of the body. Both raise ProviderError.

    done     whether the answer is complete, so that no more needs to be read
    meaning  the content so far
    """

    def __init__(self, content_type: str, secrets: Sequence[str] = (), think_tags: ThinkTags | None = None) -> None:
        self.done = False
        self.meaning = ChunkMeaning(secrets, think_tags)
        self._secrets = secrets
        self._content_type = content_type or "no content type"
        self._is_named_stream = content_type == "text/event-stream"
        self._head = b""
        self._bom_seen = False
        self._decoder: Decoder | None = None
        self._document = bytearray()
        self._is_document = False
        self._value: object = None
        if content_type in ("text/html", "application/xhtml+xml"):
            raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, "HTML")

    def feed(self, received: bytes) -> Iterator[Event]:
        """Yield the events that `received` completes."""
        if self._decoder is None and not self._is_document:
            # Some servers send blank lines while the model thinks; these are dropped.
            self._head = (self._head + received).lstrip()
            if not self._bom_seen and self._head.startswith(_BOM):
                self._bom_seen, self._head = True, self._head[len(_BOM) :].lstrip()
            if not self._is_recognised(self._head):
                return
            received, self._head = self._head, b""
        if self._decoder is not None:
            try:
                yield from self._events(self._decoder.feed(received))
            except ProviderError:
                if not self._is_document:
                    raise
                self._decoder = None  # a line that is too long for a stream
        if self._is_document:
            self._collect(received)

    @property
    def is_whole(self) -> bool:
        """Whether a JSON document is complete, even if the body has not ended. If so, `end` may be called."""
        if self._is_document and self._value is None:
            with suppress(ProviderError):
                self._value = self._read_document()
        return self._value is not None

    def end(self) -> Iterator[Event]:
        """Yield the last events. Raises `upstream_incomplete` if neither a finish_reason nor `[DONE]` arrived."""
        if self._head:
            raise self._no_answer()
        if self._decoder is not None:
            yield from self._events(self._decoder.end())
        if self._is_document:
            yield from self._whole()
        yield from self.rest()
        if not self.done and not self.meaning.finish_reason:
            raise ProviderError(Code.UPSTREAM_INCOMPLETE)

    def rest(self) -> list[Event]:
        """Return the events of text that was held back as a possible part of a character or tag."""
        self.meaning.flush()
        return self.meaning.taken()

    def _is_recognised(self, head: bytes) -> bool:
        """Choose a parser by the first bytes; False if there are too few. Raises ProviderError if it is no answer."""
        if not head or _BOM.startswith(head):
            return False
        if self._is_named_stream:
            # The decoder also runs for what looks like a document, because some streams start with a line in braces.
            self._decoder, self._is_document = Decoder(), head.startswith(_BRACES)
        elif head.startswith(_BRACES):
            self._is_document = True
        elif head.startswith(_FIELDS):
            self.meaning.warn("content_type")
            self._decoder = Decoder()
        elif not any(field.startswith(head) for field in _FIELDS):
            raise self._no_answer()
        return self._decoder is not None or self._is_document

    def _events(self, received: Iterator[ServerSentEvent]) -> Iterator[Event]:
        for event in received:
            if self._is_document:  # it was a stream
                self._is_document = False
                self._document.clear()
            yield from self._take(event)
            if self.meaning.failure is not None:
                raise self.meaning.failure
            if self.done:
                return

    def _take(self, event: ServerSentEvent) -> list[Event]:
        """Return the events of one server-sent event."""
        if event.bad_utf8:
            self.meaning.warn("bad_utf8")
        data = event.data.strip()
        if event.name == "error":
            self.meaning.failure = stream_failure(text_complaint(data), self._secrets)
        elif data.startswith("[DONE]"):
            self.done = True
            self.meaning.flush()
            if not self.meaning.finish_reason:
                self.meaning.warn("done_without_finish")
        elif data not in _IGNORED and event.name != "ping":
            return self.meaning.take(_decoded(data), escaped="\\u" in data)
        return self.meaning.taken()

    def _collect(self, received: bytes) -> None:
        self._document += received
        if len(self._document) > DOCUMENT_BYTES:
            raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, f"more than {DOCUMENT_BYTES} bytes of JSON")

    def _read_document(self) -> object:
        return _decoded(self._document.decode("utf-8", "replace"))

    def _whole(self) -> Iterator[Event]:
        """Yield the events of an answer in one JSON document. Raises the error that it reports."""
        value = self._read_document() if self._value is None else self._value
        self.meaning.warn("whole_answer")
        yield from self.meaning.take(value)
        if self.meaning.failure is not None:
            raise self.meaning.failure
        if not isinstance(value, dict) or not isinstance(value.get("choices"), list):
            raise ProviderError(Code.UPSTREAM_BAD_RESPONSE, "JSON that is no answer of a model")
        self.done = True

    def _no_answer(self) -> ProviderError:
        return ProviderError(Code.UPSTREAM_BAD_RESPONSE, f"no answer of a model: {self._content_type}"[:100])


def _decoded(data: str) -> object:
    """Decode JSON. Unreadable JSON raises ProviderError, because text may be missing."""
    try:
        value: object = json.loads(data, strict=False)  # some servers don't escape control characters
    except (ValueError, RecursionError) as error:
        raise ProviderError(Code.UPSTREAM_MALFORMED, "unreadable JSON") from error
    return value
