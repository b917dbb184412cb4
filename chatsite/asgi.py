"""The ASGI application with health probes, pages and sockets around one runner. Any ASGI server can run it."""

from __future__ import annotations

import asyncio
import logging
import shutil
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.db import DatabaseError

from chat.access import Application, Receive, Scope, Send
from chat.generation.runner import Runner
from chat.portal import SCOPE_KEY, Portal
from chat.routing import websocket_application

logger = logging.getLogger(__name__)

READY_SECONDS = 1.0
DISK_BYTES = 100 * 1024 * 1024


def build_application(runner: Runner) -> Application:
    """Return the application for all paths of the portal."""
    pages: Any = get_asgi_application()
    sockets = websocket_application()
    portal = Portal(runner)

    async def http(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] not in ("/healthz", "/readyz"):
            await pages({**scope, SCOPE_KEY: portal}, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await _plain(send, 405, "only GET", (b"allow", b"GET, HEAD"))
        elif scope["path"] == "/healthz":
            await _plain(send, 200, "alive")
        else:
            problem = await why_not_ready(runner)
            await _plain(send, 503 if problem else 200, problem or "ready")

    async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
        await sockets({**scope, SCOPE_KEY: portal}, receive, send)

    return ProtocolTypeRouter({"http": http, "websocket": websocket})  # type: ignore[no-any-return]


async def why_not_ready(runner: Runner) -> str:
    """Return why the portal is not ready, or '': it is draining, the database can't be written, or the disk is full.

    Django does not handle the probes, so that they need no allowed host and no page thread.
    """
    if runner.draining.is_set():
        return "draining"
    try:
        async with asyncio.timeout(READY_SECONDS):
            await runner.database.write(_nothing)  # its transaction takes the write lock
    except (DatabaseError, TimeoutError, RuntimeError) as error:
        logger.warning("not ready: the database does not write: %s", error or "no answer within a second")
        return "the database does not write"
    if shutil.disk_usage(settings.PORTAL_DATA_DIR).free < DISK_BYTES:
        return "the disk is full"
    return ""


def _nothing() -> None:
    """Do nothing, inside a transaction."""


async def _plain(send: Send, status: int, text: str, *more: tuple[bytes, bytes]) -> None:
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"x-frame-options", b"DENY"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
