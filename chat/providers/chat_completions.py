"""The adapter for OpenAI's Chat Completions API, which nearly every model server implements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from chat.codes import Code
from chat.providers.answers import AnswerReader
from chat.providers.base import (
    CompletionRequest,
    Endpoint,
    Event,
    Probe,
    ProviderError,
    ResponseStarted,
    TimeLimits,
    UnsupportedField,
    Warned,
)
from chat.providers.chunks import ChunkMeaning
from chat.providers.errors import FieldRefused
from chat.providers.http import ClientFactory, Sender, StreamedResponse
from chat.providers.think_tags import ThinkTags

_OTHER_LIMIT = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


class ChatCompletions:
    """The client of one endpoint that takes messages. Supports concurrent streams in one event loop."""

    path = "chat/completions"

    def __init__(self, endpoint: Endpoint, client_factory: ClientFactory | None = None) -> None:
        self._endpoint = endpoint
        self._sender = Sender(endpoint, client_factory)
        self._refused = set(endpoint.refused_fields)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._sender.aclose()

    async def stream(self, request: CompletionRequest, probe: Probe) -> AsyncGenerator[Event, None]:
        """Send the request and yield its events; see Adapter."""
        async with self._opened(request, probe) as reply:
            yield ResponseStarted(reply.request_id, reply.rate_limits)
            if reply.compressed:
                yield Warned("compressed")
            reader = AnswerReader(reply.content_type, self._sender.secrets, self._think_tags(request))
            if self._endpoint.whole_answers:
                reader.meaning.expect("whole_answer")
            read_limits = _ReadLimits(self._endpoint.limits, reply.sent_at, reader.meaning)
            while not reader.done:
                try:
                    received = await reply.read(read_limits.until())
                except TimeoutError as error:
                    if not (reader.meaning.finish_reason or reader.is_whole):
                        raise read_limits.failure() from error
                    break
                except ProviderError as error:
                    if error.code != Code.UPSTREAM_CUT or not (_is_complete(reader.meaning) or reader.is_whole):
                        raise
                    reader.meaning.warn("cut_after_finish")
                    break
                if not received:
                    for event in reader.end():
                        yield event
                    return
                for event in reader.feed(received):
                    yield event
            for event in reader.end() if reader.is_whole else reader.rest():
                yield event
            if reader.done:
                await reply.rest()

    def question(self, request: CompletionRequest) -> dict[str, Any]:
        """Return the part of the payload that holds the messages."""
        return {"messages": [dict(message) for message in request.messages]}

    def payload(self, request: CompletionRequest) -> dict[str, Any]:
        """Return the request body: required fields, the admin's extras and the options, without refused fields."""
        endpoint = self._endpoint
        body: dict[str, Any] = dict(endpoint.extra_body)
        for name, value in request.options.items():
            if value is not None:
                body[self._limit_name(request.model) if name == "max_tokens" else name] = value
        body |= {"model": request.model, **self.question(request), "stream": not endpoint.whole_answers}
        if endpoint.whole_answers or endpoint.usage_mode == "never":
            body.pop("stream_options", None)
        else:
            extra = body.get("stream_options")
            body["stream_options"] = {"include_usage": True, **(extra if isinstance(extra, Mapping) else {})}
        for field in list(body):
            if self._is_refused(field, request.model) and self._is_optional(field):
                del body[field]
        return body

    @asynccontextmanager
    async def _opened(self, request: CompletionRequest, probe: Probe) -> AsyncIterator[StreamedResponse]:
        """Yield the answer once its headers arrive. Repeats the request without each field that upstream refuses."""
        while True:
            payload = self.payload(request)
            try:
                async with self._sender.post(self.path, payload, probe) as reply:
                    yield reply
                    return
            except FieldRefused as error:
                field = next((name for name in error.names if name in payload and self._is_optional(name)), None)
                if field is None:
                    raise
                self._do_without(field, request.model)

    def _do_without(self, field: str, model: str) -> None:
        """Stop sending `field` for this model. The token limit is sent by its other name, unless refused too."""
        other = _OTHER_LIMIT.get(field, "")
        instead = "" if self._is_refused(other, model) else other
        refused = UnsupportedField(field, "" if field == "stream_options" else model, instead)
        self._refused.add((refused.model, field))
        if self._endpoint.remember is not None:
            self._endpoint.remember(refused)

    def _limit_name(self, model: str) -> str:
        """Return the name of the token limit. Models of one server may differ."""
        usual = self._endpoint.max_tokens_field
        other = _OTHER_LIMIT[usual]
        return other if self._is_refused(usual, model) and not self._is_refused(other, model) else usual

    def _is_refused(self, field: str, model: str) -> bool:
        return not self._refused.isdisjoint({("", field), (model, field)})

    def _is_optional(self, field: str) -> bool:
        """Return whether a request may omit the field. With the usage mode `ask`, `stream_options` is required."""
        if field == "stream_options":
            return self._endpoint.usage_mode == "auto"
        return field not in ("model", "messages", "prompt", "stream")

    def _think_tags(self, request: CompletionRequest) -> ThinkTags | None:
        kind = self._endpoint.think_tags
        # A continued answer is past its reasoning.
        is_opened = kind == "opened" and request.messages[-1]["role"] != "assistant"
        return ThinkTags(is_opened) if kind in ("tagged", "opened") else None


class _ReadLimits:
    """Computes the deadline of the next read from the TimeLimits."""

    def __init__(self, limits: TimeLimits, sent_at: float, meaning: ChunkMeaning) -> None:
        self._limits = limits
        self._meaning = meaning
        self._clock = asyncio.get_running_loop().time
        # Admins set the limits for bytes only; a longer limit for bytes extends the one for content.
        self._first_content_by = sent_at + max(limits.first_content, limits.first_byte)
        self._idle_content = max(limits.idle_content, limits.idle)
        self._has_read = False
        self._deltas = 0
        self._delta_at = 0.0
        self._progress = 0
        self._progress_at = 0.0

    def until(self) -> float:
        """Return the deadline of the read that starts now, in the loop's time, without the time spent on our side."""
        now, limits, meaning = self._clock(), self._limits, self._meaning
        if meaning.progress != self._progress:
            self._progress, self._progress_at = meaning.progress, now
        if meaning.deltas != self._deltas:
            self._deltas, self._delta_at = meaning.deltas, now
        silence = limits.idle if self._has_read else limits.first_body
        self._has_read = True
        if meaning.finish_reason:
            return self._progress_at + limits.after_finish
        content_by = self._delta_at + self._idle_content if self._deltas else self._first_content_by
        return min(now + silence, content_by)

    def failure(self) -> ProviderError:
        """Return the error for a passed deadline. It is permanent, because the request may be billed already."""
        if self._meaning.deltas:
            return ProviderError(Code.UPSTREAM_STALLED)
        return ProviderError(Code.UPSTREAM_TIMEOUT, permanent=True)


def _is_complete(meaning: ChunkMeaning) -> bool:
    """Return whether a broken connection came after the answer's end, so that only usage can be missing."""
    return bool(meaning.finish_reason) and not meaning.finish_doubted
