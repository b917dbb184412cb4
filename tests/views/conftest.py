"""The cast, and a provider with a model."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from chat.models import LanguageModel, Provider


@pytest.fixture
def owner(db):
    return get_user_model().objects.create_user("owner", password="the right password")


@pytest.fixture
def colleague(db):
    return get_user_model().objects.create_user("colleague", password="the right password")


@pytest.fixture
def staff(db):
    return get_user_model().objects.create_superuser("staff", password="the right password")


@pytest.fixture
def model(db):
    provider = Provider.objects.create(name="upstream", base_url="https://api.example.com/v1")
    return LanguageModel.objects.create(provider=provider, name="gpt-4o-mini", label="GPT-4o mini")


@pytest.fixture
def browse(client: Client, owner) -> Client:
    """The owner's browser, logged in."""
    client.force_login(owner)
    return client
