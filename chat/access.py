"""Who may open the socket: the exact origin, the allowed host, the session's user; and a bound on what comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.http import parse_cookie
from django.http.request import validate_host
from django.utils import translation
from django.utils.crypto import constant_time_compare
from django.utils.translation.trans_real import parse_accept_lang_header

Scope = MutableMapping[str, Any]
ASGIMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[ASGIMessage]]
Send = Callable[[ASGIMessage], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

INBOUND_FRAMES = 64
INBOUND_BYTES = 2 * 1024 * 1024
TOO_FAST = 4008


class ExactOrigin:
    """Refuses a handshake (403) whose Origin is missing, doubled or not in PORTAL_ORIGINS, or whose Host isn't ours.

    Channels' own validator ignores the port and the scheme, and lets a missing Origin pass for '*'.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the connection on, or close it before it is accepted."""
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
    """The session's key from the cookie, '' without one."""
    cookies: dict[str, str] = {}
    for header in _headers(scope, b"cookie"):
        cookies.update(parse_cookie(header))
    return cookies.get(settings.SESSION_COOKIE_NAME, "")


def user_of_session(key: str) -> dict[str, Any] | None:
    """`{id, name}` of the active user who is logged in with this session; None when nobody is.

    Reads the database. The same questions as django.contrib.auth.get_user asks, at every call anew, so that a logout, a
    changed password or a deactivation counts at once.
    """
    if not key:
        return None
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    if session.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return None
    # guard: a session ends with its account
    user = get_user_model().objects.filter(pk=session.get(SESSION_KEY), is_active=True).first()
    if user is None:
        return None
    # guard: a session ends with its password
    if not constant_time_compare(session.get(HASH_SESSION_KEY, ""), user.get_session_auth_hash()):
        return None
    return {"id": user.pk, "name": user.get_full_name() or user.get_username()}


def language_of(scope: Scope) -> str:
    """The reader's language by the Accept-Language of the handshake, else the portal's."""
    for header in _headers(scope, b"accept-language"):
        for wanted, _ in parse_accept_lang_header(header[:500]):
            try:
                return translation.get_supported_language_variant(wanted)
            except LookupError:
                continue
    return settings.LANGUAGE_CODE


class InboundGuard:
    """Bounds what waits for a consumer: Daphne's own queue for a socket has no end.

    Beyond 64 frames or 2 MiB the socket is closed with 4008; what follows is dropped.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application behind a bounded queue."""
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
