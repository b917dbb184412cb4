"""Store an accepted prompt: one transaction with prompt, key, generation and open usage record.

All functions run in the writer's thread, inside its transaction.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.utils import timezone
from msgspec import structs

from chat import ledger
from chat.codes import Code
from chat.generation.log import KeptText
from chat.limits import ANSWER_BYTES, TEXT_BYTES
from chat.models import Conversation, Generation, LanguageModel, Message, State
from chat.models.conversation import title_from
from chat.pricing import Rate
from chat.protocol import Continue, PromptCommand, Regenerate, Send


@dataclass(frozen=True)
class Admitted:
    """A stored prompt: a new one, or the one that was stored earlier with the same key."""

    conversation: uuid.UUID
    user_message: uuid.UUID
    assistant_message: uuid.UUID
    generation: uuid.UUID
    state: str
    duplicate: bool
    usage_record: int
    provider: int | None
    provider_slots: int
    """How many answers the provider may write at the same time; 0 = no limit."""
    waits_for: uuid.UUID | None
    """The unfinished generation whose answer this prompt follows."""
    rate: Rate | None = None
    """The prices that were valid when the prompt was accepted."""
    kept: KeptText = KeptText()
    """The text that the answer starts with when it continues an earlier one."""


class Refusal(Exception):
    """The prompt is refused. `code` is of Kind.REFUSAL; `parameters` fill in its sentence."""

    def __init__(self, code: Code, retry_after_ms: int | None = None, **parameters: object) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after_ms = retry_after_ms
        self.parameters = parameters


def accept(user_id: int, command: PromptCommand) -> Admitted:
    """Store the command as a queued generation, or return the one stored with its key. Raises Refusal.

    The key is looked up before the limits are checked, so that no limit refuses a command that is sent again.
    """
    request_hash = hash_of(command)
    # guard: a key belongs to its user
    made = Generation.objects.owned_by(user_id).filter(key=command.key).values_list("pk", "request_hash").first()
    # guard: a key is looked up
    if made is not None:
        # guard: a key stands for one content
        if made[1] != request_hash:
            raise Refusal(Code.IDEMPOTENCY_MISMATCH)
        return _admitted(_with_relations().get(pk=made[0]), duplicate=True)
    if isinstance(command, Send):
        _check_text(command.text)
    # guard: sending again is never too much
    _check_limits(user_id)
    match command:
        case Send():
            order = _AnswerRequest(_stored_prompt(user_id, command), command.model, command.options or {})
        case Regenerate():
            order = _AnswerRequest(_repeated_prompt(user_id, command), command.model, command.options or {})
        case Continue():
            order = _rest_of_answer(user_id, command)
    return _admitted(_queue(user_id, command.key, order, request_hash), duplicate=False)


@dataclass(frozen=True)
class _AnswerRequest:
    """An answer to write: its prompt, its model (None = the conversation's) and the text it starts with."""

    prompt: Message
    model: str | None
    options: dict[str, Any]
    content: str = ""
    reasoning: str = ""


def hash_of(command: PromptCommand) -> str:
    """Return the SHA-256 of everything but the key. Two commands with one key are the same if their hashes match."""
    content = {
        name: str(value) if isinstance(value, uuid.UUID) else value for name, value in structs.asdict(command).items()
    }
    del content["key"]
    return hashlib.sha256(json.dumps([command.type, content], sort_keys=True).encode()).hexdigest()


def _check_text(text: str) -> None:
    if not text.strip():
        raise Refusal(Code.EMPTY)
    # guard: the length of a prompt is limited
    if len(text) > TEXT_BYTES or len(text.encode()) > TEXT_BYTES:
        raise Refusal(Code.TOO_LONG)


def _check_limits(user_id: int) -> None:
    """Check the user's own limits (0 = none). Raises Refusal.

    Running and queued prompts are counted together, because a new prompt starts at once when a slot is free.
    """
    now = timezone.now()
    running, queued = settings.PORTAL_USER_RUNNING, settings.PORTAL_USER_QUEUED
    # guard: running and queued prompts are limited
    if running and queued and Generation.objects.owned_by(user_id).unfinished().count() >= running + queued:
        raise Refusal(Code.LIMIT_USER, limit=running + queued)
    per_minute = settings.PORTAL_USER_PROMPTS_PER_MINUTE
    recent = Generation.objects.owned_by(user_id).filter(created_at__gt=now - timedelta(minutes=1))
    # guard: prompts per minute are limited
    if per_minute and recent.count() >= per_minute:
        wait_ms = _until_one_leaves(user_id, now, per_minute)
        raise Refusal(Code.RATE_LIMITED, wait_ms, retry_after=wait_ms / 1000)


def _until_one_leaves(user_id: int, now: datetime, per_minute: int) -> int:
    """Return the milliseconds until fewer than `per_minute` prompts lie within the last minute."""
    times = Generation.objects.owned_by(user_id).order_by("-created_at").values_list("created_at", flat=True)
    leaves = times[per_minute - 1] + timedelta(minutes=1)
    return max(1, round((leaves - now).total_seconds() * 1000))


def _stored_prompt(user_id: int, command: Send) -> Message:
    if command.conversation is None:
        if command.parent is not None:
            raise Refusal(Code.NOT_FOUND)
        conversation = Conversation.objects.create(owner_id=user_id, title=title_from(command.text))
        parent = None
    else:
        # guard: a prompt goes into one's own conversation
        found = Conversation.objects.owned_by(user_id).filter(pk=command.conversation).first()
        if found is None:
            raise Refusal(Code.NOT_FOUND)
        conversation = found
        parent = parent_id(conversation, command.parent)
        if not conversation.title:  # created to hold options before its first prompt
            conversation.title = title_from(command.text)
            conversation.save(update_fields=["title"])
    return Message.objects.create(
        conversation=conversation, parent_id=parent, role=Message.Role.USER, content=command.text
    )


def parent_id(conversation: Conversation, chosen: uuid.UUID | None) -> uuid.UUID | None:
    """Return the answer that a prompt follows: the chosen one, or else the newest message. Raises Refusal."""
    if chosen is None:
        return conversation.newest_leaf_id()
    # guard: a prompt follows an answer of its conversation
    if not conversation.messages.filter(pk=chosen, role=Message.Role.ASSISTANT).exists():
        raise Refusal(Code.NOT_FOUND)
    return chosen


def _repeated_prompt(user_id: int, command: Regenerate) -> Message:
    # guard: regenerate is for one's own answers
    message = Message.objects.owned_by(user_id).filter(pk=command.message).select_related("parent").first()
    if message is not None and message.role == Message.Role.ASSISTANT:
        message = message.parent
    if message is None or message.role != Message.Role.USER:
        raise Refusal(Code.NOT_FOUND)
    return message


def _rest_of_answer(user_id: int, command: Continue) -> _AnswerRequest:
    """Ask again with the same options, from where the answer was cut. An answer without text starts over."""
    # guard: an answer is continued by its owner
    owned = Generation.objects.owned_by(user_id).filter(message__conversation__deleted_at=None)
    cut = owned.filter(message=command.message).select_related("message__parent").first()
    if cut is None or cut.message.parent is None:
        raise Refusal(Code.NOT_FOUND)
    if not cut.is_final:
        raise Refusal(Code.BUSY_TRY_AGAIN, 1000)
    answer = cut.message
    if len(answer.content.encode()) + len(answer.reasoning.encode()) >= ANSWER_BYTES:
        raise Refusal(Code.TOO_LONG, limit=f"{ANSWER_BYTES // 1024} KiB")
    model = None if cut.model_id is None else str(cut.model_id)
    kept = (answer.content, answer.reasoning) if answer.content else ("", "")
    return _AnswerRequest(cast(Message, answer.parent), model, cut.options, *kept)


def choose_model(user_id: int, chosen: str | None, conversation: Conversation | None) -> LanguageModel:
    """Return the chosen model, or else the conversation's, or else the portal's default. Raises Refusal."""
    usable = {str(model.pk): model for model in LanguageModel.objects.usable_by(user_id)}
    if not usable:
        raise Refusal(Code.NO_MODEL)
    if chosen is not None:
        if chosen not in usable:
            raise Refusal(Code.UNKNOWN_MODEL)
        return usable[chosen]
    if conversation is not None and str(conversation.model_id) in usable:
        return usable[str(conversation.model_id)]
    return next(iter(usable.values()))


def _queue(user_id: int, key: uuid.UUID, order: _AnswerRequest, request_hash: str) -> Generation:
    prompt = order.prompt
    conversation = prompt.conversation
    model = choose_model(user_id, order.model, conversation)
    user = get_user_model().objects.get(pk=user_id)
    now = timezone.now()
    answer = Message.objects.create(
        conversation=conversation,
        parent=prompt,
        role=Message.Role.ASSISTANT,
        created_at=max(now, prompt.created_at + timedelta(microseconds=1)),
        content=order.content,
        reasoning=order.reasoning,
    )
    generation = Generation.objects.create(
        user=user,
        message=answer,
        model=model,
        options=order.options,
        kept_characters=len(order.content),
        key=key,
        request_hash=request_hash,
        created_at=now,
    )
    ledger.open_record(
        generation=generation,
        user=user,
        user_name=user.get_username(),
        provider=model.provider,
        provider_name=model.provider.name,
        model=model,
        model_name=model.name,
        created_at=now,
    )
    Conversation.objects.filter(pk=conversation.pk).update(model=model, updated_at=now)
    return generation


def _admitted(generation: Generation, *, duplicate: bool) -> Admitted:
    answer = generation.message
    provider = generation.model.provider if generation.model else None
    before = Generation.objects.unfinished().filter(message__children=answer.parent_id).first()
    return Admitted(
        conversation=answer.conversation_id,
        user_message=cast(uuid.UUID, answer.parent_id),  # an answer always has its prompt
        assistant_message=answer.pk,
        generation=generation.pk,
        state=generation.state,
        duplicate=duplicate,
        usage_record=generation.usage.pk,
        rate=generation.usage.rate,
        provider=provider.pk if provider else None,
        provider_slots=provider.max_parallel if provider else 0,
        waits_for=before.pk if before else None,
        kept=KeptText(answer.content, answer.reasoning) if generation.kept_characters else KeptText(),
    )


def _with_relations() -> QuerySet[Generation]:
    return Generation.objects.select_related("message", "model__provider", "usage")


def queued_admissions() -> list[tuple[int, Admitted]]:
    """Return every queued generation with its user's id, oldest first. A new process puts them back into its queue."""
    queued = _with_relations().filter(state=State.QUEUED).order_by("created_at")
    return [(generation.user_id, _admitted(generation, duplicate=False)) for generation in queued]
