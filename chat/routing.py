"""The ASGI stack of the socket: exact origin › bounded input › consumer, on one path."""

from __future__ import annotations

from chat.access import Application, ExactOrigin, InboundGuard, Receive, Scope, Send
from chat.consumers import ChatConsumer
from chat.protocol import SOCKET_PATH


def websocket_application() -> Application:
    """Return the ASGI application for sockets. It refuses other paths before the handshake is accepted."""
    chat = ExactOrigin(InboundGuard(ChatConsumer.as_asgi()))

    async def by_path(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == SOCKET_PATH:
            await chat(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close"})

    return by_path
