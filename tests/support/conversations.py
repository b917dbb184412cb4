"""Conversations as they are stored, without an upstream."""

from __future__ import annotations

import uuid
from decimal import Decimal

from chat.models import Conversation, Generation, Message, State, UsageRecord


def make_conversation(owner, model, turns=1, state=State.COMPLETED, **generation):
    """A conversation of `turns` prompts and answers; the last answer is in `state`."""
    conversation = Conversation.objects.create(owner=owner, title="About rivers", model=model)
    parent = None
    for number in range(turns):
        is_last = number == turns - 1
        prompt = Message.objects.create(
            conversation=conversation, parent=parent, role="user", content=f"prompt {number}"
        )
        parent = Message.objects.create(
            conversation=conversation, parent=prompt, role="assistant", content=f"answer {number}"
        )
        add_generation(owner, model, parent, state if is_last else State.COMPLETED, **(generation if is_last else {}))
    return conversation


def add_generation(owner, model, message, state, **values):
    one = Generation.objects.create(
        user=owner, message=message, model=model, key=uuid.uuid4(), request_hash="x", state=state, **values
    )
    UsageRecord.objects.create(
        generation=one,
        user=owner,
        user_name=owner.username,
        provider_name="upstream",
        model_name=model.name,
        prompt_tokens=1204,
        completion_tokens=31,
        total_tokens=1235,
        usage_source="reported",
        ttft_ms=442,
        duration_ms=19213,
        writing_ms=Decimal("18000.000"),
        deltas=31,
        characters=100,
        state=state,
        finish_reason="stop" if state == State.COMPLETED else None,
    )
    return one
