"""Who may open the socket, asked without one; and the bound on what waits for a consumer."""

import asyncio

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.models import Session
from django.test import Client

from chat.access import (
    INBOUND_BYTES,
    INBOUND_FRAMES,
    ExactOrigin,
    InboundGuard,
    language_of,
    session_key,
    user_of_session,
)

ORIGIN, HOST = (b"origin", b"http://testserver"), (b"host", b"testserver")


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ([ORIGIN, HOST], True),
        ([HOST], False),
        ([ORIGIN, ORIGIN, HOST], False),
        ([ORIGIN], False),
        ([ORIGIN, HOST, HOST], False),
        ([(b"origin", b"http://testserver:8000"), HOST], False),
        ([(b"origin", b"https://testserver"), HOST], False),
        ([ORIGIN, (b"host", b"evil.test")], False),
        ([ORIGIN, (b"host", b"[")], False),
    ],
)
async def test_only_one_known_origin_at_one_of_our_hosts_comes_in(headers, is_ours):
    came_in, sent = [], []

    async def application(scope, receive, send):
        came_in.append(scope)

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    await ExactOrigin(application)({"type": "websocket", "headers": headers}, receive, send)
    assert (len(came_in), sent) == ((1, []) if is_ours else (0, ["websocket.close"]))


@pytest.mark.parametrize(
    ("length", "taken"), [(1, INBOUND_FRAMES), (1024 * 1024, INBOUND_BYTES // (1024 * 1024)), (INBOUND_BYTES + 1, 0)]
)
async def test_what_waits_for_a_busy_consumer_is_bounded(length, taken):
    frames = [{"type": "websocket.receive", "text": "x" * length} for _ in range(INBOUND_FRAMES + 5)]
    coming = iter([*frames, {"type": "websocket.disconnect"}])
    all_came, got, sent = asyncio.Event(), [], []

    async def receive():
        message = next(coming)
        if message["type"] == "websocket.disconnect":
            all_came.set()
        return message

    async def send(message):
        sent.append(message)

    async def application(scope, receive, send):
        await all_came.wait()
        while (message := await receive())["type"] != "websocket.disconnect":
            got.append(message)

    async with asyncio.timeout(10):
        await InboundGuard(application)({"type": "websocket"}, receive, send)
    assert len(got) == taken
    assert sent == [{"type": "websocket.close", "code": 4008}]


@pytest.fixture
def owner(db):
    return get_user_model().objects.create_user("owner", password="the right password")


@pytest.fixture
def session(client: Client, owner):
    client.force_login(owner)
    return client.session


def test_a_session_is_its_users(owner, session):
    assert user_of_session(session.session_key) == {"id": owner.pk, "name": "owner"}
    assert user_of_session("") is None
    assert user_of_session("unknown") is None


def test_a_session_ends_with_the_account(owner, session):
    owner.is_active = False
    owner.save()
    assert user_of_session(session.session_key) is None


def test_a_session_ends_with_its_password(owner, session):
    owner.set_password("another password")
    owner.save()
    assert user_of_session(session.session_key) is None


def test_a_session_of_a_door_that_was_closed_is_none(session, settings):
    settings.AUTHENTICATION_BACKENDS = ["another.Backend"]
    assert user_of_session(session.session_key) is None


def test_a_session_signed_with_an_old_key_is_its_users_and_stays_as_it_is(owner, session, settings):
    stored = Session.objects.get().session_data
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key of the portal"

    assert user_of_session(session.session_key) == {"id": owner.pk, "name": "owner"}
    assert Session.objects.get(pk=session.session_key).session_data == stored, "the browser's cookie still names it"


def test_a_session_signed_with_a_key_that_was_taken_out_is_nobodys_and_stays_as_it_is(session, settings):
    settings.SECRET_KEY = "another key of the portal"

    assert user_of_session(session.session_key) is None
    assert Session.objects.filter(pk=session.session_key).exists()


class OfficeHours(ModelBackend):
    """A back-end with a rule of its own."""

    are_over = False

    def get_user(self, user_id):
        return None if self.are_over else super().get_user(user_id)


def test_the_back_end_that_let_somebody_in_is_asked(client: Client, owner, settings, monkeypatch):
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.OfficeHours"]
    client.force_login(owner)
    key = client.session.session_key or ""
    assert user_of_session(key) == {"id": owner.pk, "name": "owner"}

    monkeypatch.setattr(OfficeHours, "are_over", True)

    assert user_of_session(key) is None


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ([], "en"),
        ([(b"accept-language", b"de-AT, fr;q=0.5")], "de"),
        ([(b"accept-language", b"xx, fr;q=0.5")], "fr"),
        ([(b"accept-language", b"xx"), (b"accept-language", b"fr")], "fr"),
        ([(b"accept-language", b"de"), (b"cookie", b"django_language=fr")], "fr"),
        ([(b"accept-language", b"de"), (b"cookie", b"a=b"), (b"cookie", b"django_language=fr")], "fr"),
        ([(b"accept-language", b"de"), (b"cookie", b"django_language=xx")], "de"),
    ],
)
def test_the_language_is_chosen_as_for_pages(headers, language, settings):
    settings.LANGUAGES = [("en", "English"), ("de", "German"), ("fr", "French")]

    assert language_of({"type": "websocket", "headers": headers}) == language


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], ""),
        ([(b"cookie", b"other=1; NAME=abc")], "abc"),
        ([(b"cookie", b"other=1"), (b"cookie", b"NAME=abc")], "abc"),
    ],
)
def test_the_session_is_named_by_its_cookie(headers, key, settings):
    named = [(name, value.replace(b"NAME", settings.SESSION_COOKIE_NAME.encode())) for name, value in headers]

    assert session_key({"type": "websocket", "headers": named}) == key
