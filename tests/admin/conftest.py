"""The admin's browser, and one row of everything."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth import get_user_model

from chat.models import Conversation, Generation, LanguageModel, Message, Provider, Segment, State, UsageRecord
from tests.support.admin_pages import SECRET


@pytest.fixture
def staff(db):
    return get_user_model().objects.create_superuser("staff", password="the right password")


@pytest.fixture
def browse(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def provider(db):
    one = Provider(name="upstream", base_url="https://api.example.com/v1")
    one.set_credentials(SECRET)
    one.save()
    return one


@pytest.fixture
def rows(staff, provider):
    """One row of each model, by its name."""
    model = LanguageModel.objects.create(provider=provider, name="gpt-4o-mini")
    conversation = Conversation.objects.create(owner=staff, title="About rivers", model=model)
    message = Message.objects.create(conversation=conversation, role="assistant", content="<b>long</b> " + "x" * 5000)
    generation = Generation.objects.create(
        user=staff, message=message, model=model, key=uuid.uuid4(), request_hash="x", state=State.RUNNING
    )
    segment = Segment.objects.create(generation=generation, prev=0, seq=3, text="y" * 5000, at_ms=5)
    usage = UsageRecord.objects.create(
        generation=generation, user=staff, user_name="staff", provider=provider, provider_name="upstream",
        model=model, model_name="gpt-4o-mini",
    )  # fmt: skip
    return {
        "provider": provider,
        "languagemodel": model,
        "conversation": conversation,
        "message": message,
        "generation": generation,
        "segment": segment,
        "usagerecord": usage,
    }
