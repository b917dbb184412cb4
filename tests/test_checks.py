"""The system checks of the chat app."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.checks import Tags, run_checks

from chat.models import Provider


def warnings(**options):
    return [one for one in run_checks(**options) if one.id.startswith("chat.")]


@pytest.fixture
def lost_key(db, settings):
    one = Provider(name="upstream", base_url="https://api.example.com/v1")
    one.set_credentials("sk-canary")
    one.save()
    settings.PORTAL_KEYRING = [Fernet.generate_key().decode()]


def test_a_key_that_cannot_be_decrypted_is_said_when_the_database_is_asked(lost_key):
    (one,) = warnings(tags=[Tags.database], databases=["default"])
    assert one.id == "chat.W001" and "upstream" in one.msg and one.hint
    assert "sk-canary" not in one.msg


def test_the_usual_run_asks_no_database(lost_key, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert warnings() == []


def test_a_readable_key_is_nothing_to_say(db):
    one = Provider(name="upstream", base_url="https://api.example.com/v1")
    one.set_credentials("sk-canary")
    one.save()
    assert warnings(tags=[Tags.database], databases=["default"]) == []
