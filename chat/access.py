"""Access to the socket: the checks of origin, host and session, and a bound on its input."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie
from django.http.request import validate_host
from django.utils import translation

from chat.protocol.objects import User

Scope = MutableMapping[str, Any]
ASGIMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[ASGIMessage]]
Send = Callable[[ASGIMessage], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

INBOUND_FRAMES = 64
INBOUND_BYTES = 2 * 1024 * 1024
TOO_FAST = 4008


class ExactOrigin:
    """Refuses a handshake (403) with a missing, doubled or unlisted Origin (PORTAL_ORIGINS), or a Host not allowed.

    Channels' own validator ignores port and scheme, and accepts a missing Origin for '*'.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, or close the connection before it is accepted."""
        if _is_ours(scope):
            await self._application(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close"})


def _is_ours(scope: Scope) -> bool:
    origins = _headers(scope, b"origin")
    hosts = _headers(scope, b"host")
    # guard: the origin is one of ours
    # guard: there is one origin
    if len(origins) != 1 or len(hosts) != 1 or origins[0] not in settings.PORTAL_ORIGINS:
        return False
    try:
        host = urlsplit("//" + hosts[0]).hostname or ""
    except ValueError:
        return False
    # guard: the host is one of ours
    return validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS)


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


def session_key(scope: Scope) -> str:
    """Return the session's key from the cookie, or ''."""
    return _request(scope).COOKIES.get(settings.SESSION_COOKIE_NAME, "")


def language_of(scope: Scope) -> str:
    """Return the reader's language: from the cookie, or else Accept-Language, or else the portal's."""
    return translation.get_language_from_request(_request(scope))


def _request(scope: Scope) -> HttpRequest:
    """Return a request with the cookies and languages of a handshake, for Django's functions."""
    request = HttpRequest()
    request.COOKIES = parse_cookie("; ".join(_headers(scope, b"cookie")))
    request.META["HTTP_ACCEPT_LANGUAGE"] = ",".join(_headers(scope, b"accept-language"))
    return request


class SessionData(dict[str, Any]):
    """A read-only session, because a socket can't send the cookie of a changed one.

    Django's get_user changes a session that was signed with an old key, and ends one whose password has changed. The
    next request for a page does both.
    """

    def cycle_key(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""


def user_of_session(key: str) -> User | None:
    """Return `{id, name}` of the active user of a session, or None.

    Reads the database in every call, so that a logout, a changed password or a deactivation takes effect at once.
    """
    if not key:
        return None
    request = HttpRequest()
    # guard: a socket changes no session
    session = SessionData(import_module(settings.SESSION_ENGINE).SessionStore(key).items())
    request.session = session  # type: ignore[assignment]  # get_user asks for no more than these have in common
    # guard: a session ends with its account
    # guard: a session ends with its password
    user = get_user(request)
    if not user.is_authenticated:
        return None
    return {"id": user.pk, "name": user.get_full_name() or user.get_username()}


class InboundGuard:
    """Limits the input that is queued for a consumer, because Daphne's queue has no limit.

    Beyond 64 frames or 2 MiB the socket is closed with 4008, and further input is dropped.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with a bounded queue."""
        waiting: asyncio.Queue[tuple[ASGIMessage, int]] = asyncio.Queue()
        size = 0

        async def pump() -> None:
            nonlocal size
            full = False
            while True:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    waiting.put_nowait((message, 0))
                    return
                length = len(message.get("text") or message.get("bytes") or "")
                # guard: what comes in is bounded in frames
                # guard: what comes in is bounded in bytes
                if full or waiting.qsize() >= INBOUND_FRAMES or size + length > INBOUND_BYTES:
                    if not full:
                        await send({"type": "websocket.close", "code": TOO_FAST})
                    full = True
                    continue
                size += length
                waiting.put_nowait((message, length))

        async def bounded_receive() -> ASGIMessage:
            nonlocal size
            message, length = await waiting.get()
            size -= length
            return message

        pumping = asyncio.get_running_loop().create_task(pump())
        try:
            await self._application(scope, bounded_receive, send)
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)
