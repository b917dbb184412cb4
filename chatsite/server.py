"""Daphne with back-pressure on sockets, a limit for bodies, and a shutdown that saves every answer.

It depends on internals of Daphne 4.2 (pinned). An upgrade must pass tests/process/.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

# The first import of Twisted, because it installs the asyncio reactor.
from daphne.server import Server  # isort: skip
from daphne import http_protocol
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import STDLibLogObserver, globalLogPublisher
from zope.interface import implementer

from chat.protocol import FRAME_BYTES, CloseCode

logger = logging.getLogger(__name__)

reactor: Any = twisted_reactor  # its methods are set at its installation

BODY_BYTES = 5 * 1024 * 1024
BACKLOG = 4096
SLOW_SECONDS = 30.0
UNSENT_BYTES = 128 * 1024
"""The kernel's limit for unsent bytes of a socket. Its default is megabytes, which a browser that doesn't read would
cost; and a slow reader would get old frames."""
TELL_SECONDS = 0.05
CLOSE_FRAMES_SECONDS = 0.2

TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class LimitedRequest(http_protocol.WebRequest):
    """Refuses bodies over 5 MiB while they arrive. Daphne would write the whole body to a file first."""

    _taken = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """Handle the announced length of the body; None if it is chunked."""
        # guard: a body is bounded by what it announces
        if length is not None and length > BODY_BYTES:
            self._refuse()
            length = 0
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        """Handle a piece of the body."""
        self._taken += len(data)
        # guard: a body is bounded as it comes
        if self._taken > BODY_BYTES and not self._refused:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        """Handle the complete request. Drops a header with which a client could change the portal's links."""
        if self._refused:
            return None
        self.requestHeaders.removeHeader(b"daphne-root-path")
        return super().process()

    def handle_exception(self, exception: BaseException) -> None:
        """Close the connection after an exception within a response, so that the client misses the last chunk.

        Daphne would start a second response and raise, which would end the loop that cleans up after all connections.
        """
        if not self._response_started:
            super().handle_exception(exception)
        elif not self.finished and self.channel is not None:
            self.channel.loseConnection()

    def _refuse(self) -> None:
        self._refused = True
        self.channel.transport.write(TOO_LARGE)
        self.channel.loseConnection()


class PortalWebSocket(WebSocketProtocol):
    """Closes connections with a reason, and handles handshakes that fail before Daphne has seen them."""

    def onConnect(self, request: Any) -> Any:
        """Handle the handshake."""
        self.failByDrop = False  # a frame that is too large is answered with 1009
        return super().onConnect(request)

    def sendMessage(self, payload: bytes, isBinary: bool = False, *args: Any, **kwargs: Any) -> None:
        """Send a message. autobahn would apply its limit for incoming messages to long snapshots as well."""
        self.maxMessagePayloadSize = self.maxFramePayloadSize = 0
        try:
            super().sendMessage(payload, isBinary, *args, **kwargs)
        finally:
            self.maxMessagePayloadSize = self.maxFramePayloadSize = FRAME_BYTES

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """Handle the end of the connection."""
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)


@implementer(IPushProducer)
class Gate:
    """Tracks whether the transport takes more bytes. Twisted closes the gate above 64 KiB of unsent bytes."""

    def __init__(self) -> None:
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed_at = 0.0

    async def room(self) -> None:
        """Wait until the next frame may be written.

        Raises TimeoutError when the gate has been closed for 30 s, counted from its closing.
        """
        # guard: the gate is read again after the wait
        while not self._writable.is_set():  # another caller's frame may have closed it again
            async with asyncio.timeout_at(self._closed_at + SLOW_SECONDS):
                await self._writable.wait()

    def pauseProducing(self) -> None:
        """Close the gate, because the transport's buffer is full."""
        if self._writable.is_set():
            self._closed_at = asyncio.get_running_loop().time()
            self._writable.clear()

    def resumeProducing(self) -> None:
        """Open the gate, because the transport's buffer is empty."""
        self._writable.set()

    def stopProducing(self) -> None:
        """Open the gate, because the connection is gone: waiting callers go on and notice it."""
        self._writable.set()


class PortalServer(Server):
    """Listens on one address. `started` is awaited once the port is open, `drain` before the sockets are closed.

    `failure`: why it could not listen, or ''.
    """

    def __init__(
        self,
        application: Any,
        *,
        host: str,
        port: int,
        started: Callable[[int], Awaitable[None]],
        drain: Callable[[], Awaitable[None]],
        hurry: Callable[[], None],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        kind, address = ("tcp6", host.replace(":", r"\:")) if ":" in host else ("tcp", host)
        super().__init__(
            application,
            endpoints=[f"{kind}:port={port}:interface={address}:backlog={BACKLOG}"],
            signal_handlers=False,
            server_name="chatsite",
            websocket_max_message_size=FRAME_BYTES,
            websocket_max_frame_size=FRAME_BYTES,
        )
        self.failure = ""
        self.ports: list[Any] = []
        self._started = started
        self._drain = drain
        self._hurry = hurry
        self._close = close
        self._stopping = False
        self._starting: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Serve until a signal or a failure to listen."""
        http_protocol.WebRequest = LimitedRequest
        WebSocketFactory.protocol = PortalWebSocket
        globalLogPublisher.addObserver(cast(Any, STDLibLogObserver("twisted")))
        reactor.callWhenRunning(self._start)
        super().run()

    def listen_success(self, port: Any) -> None:
        """Store the port, which is closed first at shutdown."""
        super().listen_success(port)
        self.ports.append(port)

    def listen_error(self, failure: Any) -> None:
        """Store the reason, which the caller reports."""
        self.failure = failure.getErrorMessage()
        self.stop()

    def _start(self) -> None:
        loop = asyncio.get_event_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.on_signal)
        self._starting = loop.create_task(self._start_serving())

    async def _start_serving(self) -> None:
        try:
            await self._started(self.ports[0].getHost().port)
        except Exception as error:
            logger.exception("the portal could not start")
            self.failure = f"the portal could not start: {error}"
            self.on_signal()

    def on_signal(self) -> None:
        """Drain at the first signal; stop waiting at the next one."""
        if self._stopping:
            self._hurry()
            return
        self._stopping = True
        asyncio.get_running_loop().call_soon(reactor.stop)

    def protocol_disconnected(self, protocol: Any) -> None:
        """Record the time of a disconnect. Daphne reports a refused handshake twice, perhaps after its cleanup."""
        if protocol in self.connections:
            super().protocol_disconnected(protocol)

    def create_application(self, protocol: Any, scope: Any) -> Any:
        """Give sockets `portal.room`. They await it before they build a frame, so that none waits for a slow client."""
        if scope["type"] == "websocket":
            scope["portal.room"] = partial(self._room, protocol)
        return super().create_application(protocol, scope)

    async def handle_reply(self, protocol: Any, message: Any) -> None:
        """Pass a message to the client; a frame of a socket only when the client has room for it.

        Raises TimeoutError if it has none for 30 s.
        """
        if message["type"] == "websocket.send":
            await self._room(protocol)
            if protocol.state != protocol.STATE_OPEN:
                return  # the browser is closing; autobahn would raise
        await super().handle_reply(protocol, message)

    async def _room(self, protocol: Any) -> None:
        # guard: a frame is written when there is room
        if protocol.state == protocol.STATE_OPEN:
            await (getattr(protocol, "portal_gate", None) or self._install_gate(protocol)).room()

    def _install_gate(self, protocol: Any) -> Gate:
        gate = protocol.portal_gate = Gate()
        protocol.transport.unregisterProducer()  # Daphne leaves the HTTP channel registered
        protocol.transport.registerProducer(gate, True)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            with contextlib.suppress(OSError):  # the browser may have just disconnected
                protocol.transport.getHandle().setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        return gate

    def kill_all_applications(self) -> Deferred[None]:
        """Shut down; the reactor waits for this. Daphne's own method fails if a request has been sent partly."""
        return Deferred.fromFuture(asyncio.ensure_future(self._shut_down()))

    async def _shut_down(self) -> None:
        """Stop listening, drain, close every socket with a reason, cancel the other requests, close the runner."""
        for port in self.ports:
            port.stopListening()
        await self._drain()
        await asyncio.sleep(
            TELL_SECONDS
        )  # every socket sends `restart` before it is closed, also if nothing was running
        for connection in list(self.connections):
            if isinstance(connection, WebSocketProtocol) and connection.state == connection.STATE_OPEN:
                connection.serverClose(code=int(CloseCode.RESTARTING))
        await asyncio.sleep(CLOSE_FRAMES_SECONDS)
        await self._end_applications()
        await self._close()

    async def _end_applications(self) -> None:
        applications = [details.get("application_instance") for details in self.connections.values()]
        left = [one for one in applications if one is not None and not one.done()]
        for application in left:
            application.cancel()
        if left:
            await asyncio.wait(left, timeout=1)
