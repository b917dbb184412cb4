"""Build the request for a generation: the branch with its options, fitted to the model, and the provider's endpoint.

Requests are built, and their tokens counted, in a reader thread.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from chat import prompt, tokens
from chat.ledger import Usage
from chat.models import Conversation, Generation, LanguageModel, Message, Provider, State, UsageRecord
from chat.providers.base import CompletionRequest, Endpoint, plain_text


@dataclass(frozen=True)
class PreparedRequest:
    """A request, the encoding that counts its tokens, and how many of the oldest turns did not fit.

    is_plain  whether the request is sent as one text, which has no token overhead per message
    """

    request: CompletionRequest
    encoding: tokens.Encoding
    turns_left_out: int
    is_plain: bool = False


@dataclass(frozen=True)
class Inputs:
    """Everything that a run needs to call the upstream."""

    provider: int
    endpoint: Endpoint
    max_retries: int
    asked: PreparedRequest


class Unusable(Exception):
    """The chosen model or provider is deleted or disabled, or the generation is deleted."""


def read(generation_id: uuid.UUID) -> Inputs:
    """Read the branch, the model and its provider, and fit the prompt to the context window.

    Raises Unusable, or CredentialsUnreadable if the provider's credentials cannot be decrypted.
    """
    generation = _generation(generation_id)
    model = generation.model
    if model is None or not model.enabled or not model.provider.enabled:
        raise Unusable
    return Inputs(
        provider=model.provider_id,
        endpoint=model.provider.endpoint(),
        max_retries=model.provider.max_retries,
        asked=_asked(generation, model),
    )


def prepared_request_of(generation_id: uuid.UUID) -> PreparedRequest:
    """Return the request of a generation: the fitted prompt with all options. Raises Unusable without its model."""
    generation = _generation(generation_id)
    if generation.model is None:
        raise Unusable
    return _asked(generation, generation.model)


@dataclass(frozen=True)
class RequestSettings:
    """The settings that every request of a conversation to a model shares."""

    system_prompt: str
    options: dict[str, Any]
    encoding: tokens.Encoding
    is_plain: bool
    count: prompt.MessageCounter

    @property
    def max_tokens(self) -> int | None:
        """The most tokens that an answer may take; None = a share of the context window."""
        return self.options.get("max_tokens")


def settings_for(
    model: LanguageModel, conversation: Conversation | None, options: Mapping[str, Any] | None = None
) -> RequestSettings:
    """Return the settings of a conversation (None = a new one). `options` take precedence over its own."""
    encoding = tokens.encoding_for(model.name, model.encoding)
    return RequestSettings(
        system_prompt=(conversation.system_prompt if conversation else "") or model.system_prompt,
        options=_merged(model.default_options, conversation.options if conversation else {}, options or {}),
        encoding=encoding,
        is_plain=model.provider.dialect == Provider.Dialect.COMPLETIONS,
        count=partial(tokens.count_message, encoding=encoding.name, model=model.name),
    )


def _asked(generation: Generation, model: LanguageModel) -> PreparedRequest:
    terms = settings_for(model, generation.message.conversation, generation.options)
    takes_up = terms.is_plain or model.provider.continuation == Provider.Continuation.PREFILL
    built = prompt.build(
        turns_to(generation.message),
        system_prompt=terms.system_prompt,
        context_window=model.context_window,
        max_tokens=terms.max_tokens,
        # A generation that has ended has its own text there as well, so only the kept beginning is taken.
        cut_answer=generation.message.content[: generation.kept_characters],
        go_on="" if takes_up else prompt.GO_ON,
        count=terms.count,
    )
    request = CompletionRequest(model.name, built.messages, terms.options)
    return PreparedRequest(request, terms.encoding, built.turns_left_out, terms.is_plain)


def _generation(generation_id: uuid.UUID) -> Generation:
    """Raises Unusable if the generation was deleted."""
    found = Generation.objects.select_related("message__conversation", "model__provider").filter(pk=generation_id)
    generation = found.first()
    if generation is None:
        raise Unusable
    return generation


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge layers of options: later layers take precedence, and a null removes an option."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer)
    return {name: value for name, value in merged.items() if value is not None}


def turns_to(answer: Message) -> list[prompt.Turn]:
    """Return the turns of the branch that ends with `answer`; the last turn is its own prompt."""
    return turns_of(answer.conversation.branch_to(answer.pk), answer.pk)


def turns_of(branch: Sequence[Message], unanswered: uuid.UUID | None = None) -> list[prompt.Turn]:
    """Return the turns of a branch, without failed answers and without the answer `unanswered`, not written yet."""
    failed = set(Generation.objects.filter(message__in=branch, state=State.FAILED).values_list("message_id", flat=True))
    turns: list[prompt.Turn] = []
    for message in branch:
        if message.role == Message.Role.USER:
            turns.append(prompt.Turn(message.content))
        elif turns and message.pk not in failed and message.pk != unanswered:
            turns[-1] = prompt.Turn(turns[-1].prompt, message.content or None)
    return turns


def count_usage(asked: PreparedRequest, text: str, reasoning: str) -> Usage:
    """Count the tokens ourselves: messages as in OpenAI's cookbook, everything else as plain text."""
    messages, (encoding, is_exact) = asked.request.messages, asked.encoding
    if asked.is_plain:
        prompt_tokens = tokens.count_text(plain_text(messages), encoding)
    else:
        prompt_tokens = tokens.count_prompt(messages, encoding, asked.request.model)
    reasoning_tokens = tokens.count_text(reasoning, encoding)
    completion_tokens = tokens.count_text(text, encoding) + reasoning_tokens
    return Usage(
        prompt_tokens,
        completion_tokens,
        prompt_tokens + completion_tokens,
        reasoning_tokens or None,
        source=UsageRecord.UsageSource.COUNTED,
        counted_with=encoding,
        is_estimated=not is_exact,
    )
