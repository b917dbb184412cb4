"""What is asked, and of whom: the branch with its options, fitted to the model, and the provider's endpoint. Run in a
reader thread; so is the counting of what it took.
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
    """What is asked, the encoding to count it with, and how many of the oldest turns did not fit.

    is_plain  it is sent as one text, which has no overhead of messages
    """

    request: CompletionRequest
    encoding: tokens.Encoding
    turns_left_out: int
    is_plain: bool = False


@dataclass(frozen=True)
class Inputs:
    """All that a run needs to know before it calls the upstream."""

    provider: int
    endpoint: Endpoint
    max_retries: int
    asked: PreparedRequest


class Unusable(Exception):
    """The model or provider that was chosen is not there any more."""


def read(generation_id: uuid.UUID) -> Inputs:
    """Read the branch, the model and its provider, and fit the prompt.

    Raises Unusable, or CredentialsUnreadable of the provider.
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
    """What a generation asks its model: the fitted prompt with all options. Raises Unusable when the model is gone."""
    generation = _generation(generation_id)
    if generation.model is None:
        raise Unusable
    return _asked(generation, generation.model)


@dataclass(frozen=True)
class RequestSettings:
    """How a model is asked in a conversation, whatever is asked."""

    system_prompt: str
    options: dict[str, Any]
    encoding: tokens.Encoding
    is_plain: bool
    count: prompt.MessageCounter

    @property
    def max_tokens(self) -> int | None:
        """What an answer may take; None = a share of the window."""
        return self.options.get("max_tokens")


def settings_for(
    model: LanguageModel, conversation: Conversation | None, options: Mapping[str, Any] | None = None
) -> RequestSettings:
    """The terms of a conversation, None = a new one; `options` win over its own."""
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
        # Once it has ended, its own text stands there too: what it began with is what was asked to be continued.
        cut_answer=generation.message.content[: generation.kept_characters],
        go_on="" if takes_up else prompt.GO_ON,
        count=terms.count,
    )
    request = CompletionRequest(model.name, built.messages, terms.options)
    return PreparedRequest(request, terms.encoding, built.turns_left_out, terms.is_plain)


def _generation(generation_id: uuid.UUID) -> Generation:
    """Raises Unusable when it was deleted."""
    found = Generation.objects.select_related("message__conversation", "model__provider").filter(pk=generation_id)
    generation = found.first()
    if generation is None:
        raise Unusable
    return generation


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Options, the later ones winning; a null takes one away."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update(layer)
    return {name: value for name, value in merged.items() if value is not None}


def turns_to(answer: Message) -> list[prompt.Turn]:
    """The turns of the branch that ends with `answer`, its own prompt last."""
    return turns_of(answer.conversation.branch_to(answer.pk), answer.pk)


def turns_of(branch: Sequence[Message], unanswered: uuid.UUID | None = None) -> list[prompt.Turn]:
    """The turns of a branch. Failed answers are no context, and the answer `unanswered` is still to be written."""
    failed = set(Generation.objects.filter(message__in=branch, state=State.FAILED).values_list("message_id", flat=True))
    turns: list[prompt.Turn] = []
    for message in branch:
        if message.role == Message.Role.USER:
            turns.append(prompt.Turn(message.content))
        elif turns and message.pk not in failed and message.pk != unanswered:
            turns[-1] = prompt.Turn(turns[-1].prompt, message.content or None)
    return turns


def count_usage(asked: PreparedRequest, text: str, reasoning: str) -> Usage:
    """Our own count: messages by the cookbook, everything else as plain text."""
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
