"""Daphne made safe: back-pressure on sockets, a bound on bodies, and a shutdown that saves every answer.

It leans on internals of Daphne 4.2 (pinned); tests/process/ is the contract that an upgrade must pass.
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

# First of all Twisted imports: it installs the asyncio reactor.
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

reactor: Any = twisted_reactor  # its methods are put there when it is installed

BODY_BYTES = 5 * 1024 * 1024
BACKLOG = 4096
SLOW_SECONDS = 30.0
UNSENT_BYTES = 128 * 1024
"""What the kernel takes of a socket beyond what is on its way. Its own bound is megabytes: a browser that doesn't read
would cost these, and whoever reads slowly would get old frames."""
TELL_SECONDS = 0.05
CLOSE_FRAMES_SECONDS = 0.2

TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class LimitedRequest(http_protocol.WebRequest):
    """Refuses bodies over 5 MiB while they arrive; Daphne would put all of them into a file before it calls anybody."""

    _taken = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        """The announced length of the body; None when it comes in chunks."""
        # guard: a body is bounded by what it announces
        if length is not None and length > BODY_BYTES:
            self._refuse()
            length = 0
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body."""
        self._taken += len(data)
        # guard: a body is bounded as it comes
        if self._taken > BODY_BYTES and not self._refused:
            self._refuse()
        if not self._refused:
            super().handleContentChunk(data)

    def process(self) -> Any:
        """The request is whole. A header with which a client could change our links is dropped."""
        if self._refused:
            return None
        self.requestHeaders.removeHeader(b"daphne-root-path")
        return super().process()

    def handle_exception(self, exception: BaseException) -> None:
        """What breaks in the middle of an answer cuts the line: the last chunk is missing, so whoever reads it knows.

        Daphne would begin a second answer, and raise: the loop that clears up after all connections would end.
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
    """Says why it ends a connection, and survives a handshake that fails before Daphne has seen it."""

    def onConnect(self, request: Any) -> Any:
        """The handshake is read."""
        self.failByDrop = False  # a frame that is too large gets its 1009 instead of a cut line
        return super().onConnect(request)

    def sendMessage(self, payload: bytes, isBinary: bool = False, *args: Any, **kwargs: Any) -> None:
        """Send; autobahn would hold its limit for what comes in against a long snapshot, too."""
        self.maxMessagePayloadSize = self.maxFramePayloadSize = 0
        try:
            super().sendMessage(payload, isBinary, *args, **kwargs)
        finally:
            self.maxMessagePayloadSize = self.maxFramePayloadSize = FRAME_BYTES

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        """The connection is gone."""
        if hasattr(self, "server"):
            super().onClose(wasClean, code, reason)


@implementer(IPushProducer)
class Gate:
    """Open while the transport takes more; Twisted closes it above 64 KiB of unsent bytes."""

    def __init__(self) -> None:
        self._writable = asyncio.Event()
        self._writable.set()
        self._closed_at = 0.0

    async def room(self) -> None:
        """Return when the next frame may be written.

        Raises TimeoutError when the gate has been closed for 30 s, whoever waited for it meanwhile.
        """
        # guard: the gate is read again after the wait
        while not self._writable.is_set():  # whoever went through before may have closed it again
            async with asyncio.timeout_at(self._closed_at + SLOW_SECONDS):
                await self._writable.wait()

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        if self._writable.is_set():
            self._closed_at = asyncio.get_running_loop().time()
            self._writable.clear()

    def resumeProducing(self) -> None:
        """The transport's buffer has emptied."""
        self._writable.set()

    def stopProducing(self) -> None:
        """The connection is gone: whoever waits goes on, and finds out."""
        self._writable.set()


class PortalServer(Server):
    """Listens on one address; `started` is awaited once the port is open, `drain` before the sockets are closed.

    `failure` says why it could not listen; '' when it could.
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
        """Serve until a signal or a failure to listen ends it."""
        http_protocol.WebRequest = LimitedRequest
        WebSocketFactory.protocol = PortalWebSocket
        globalLogPublisher.addObserver(cast(Any, STDLibLogObserver("twisted")))
        reactor.callWhenRunning(self._start)
        super().run()

    def listen_success(self, port: Any) -> None:
        """Remember what to close first."""
        super().listen_success(port)
        self.ports.append(port)

    def listen_error(self, failure: Any) -> None:
        """Remember why; the caller says it."""
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
        """The first one drains, the next one ends the waiting."""
        if self._stopping:
            self._hurry()
            return
        self._stopping = True
        asyncio.get_running_loop().call_soon(reactor.stop)

    def protocol_disconnected(self, protocol: Any) -> None:
        """Note when a connection went; Daphne reports a refused handshake twice and may have cleared it up between."""
        if protocol in self.connections:
            super().protocol_disconnected(protocol)

    def create_application(self, protocol: Any, scope: Any) -> Any:
        """Give sockets `portal.room`: to be awaited before a frame is made, so that none is held for a slow client."""
        if scope["type"] == "websocket":
            scope["portal.room"] = partial(self._room, protocol)
        return super().create_application(protocol, scope)

    async def handle_reply(self, protocol: Any, message: Any) -> None:
        """Pass the message to the client; a socket's frame only when the client has room for it.

        Raises TimeoutError when it has none for 30 s.
        """
        if message["type"] == "websocket.send":
            await self._room(protocol)
            if protocol.state != protocol.STATE_OPEN:
                return  # the browser is on its way out; autobahn would raise
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
            with contextlib.suppress(OSError):  # the browser may have gone this moment
                protocol.transport.getHandle().setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        return gate

    def kill_all_applications(self) -> Deferred[None]:
        """In place of Daphne's, which fails on a half-sent request: the reactor waits for this before it ends."""
        return Deferred.fromFuture(asyncio.ensure_future(self._shut_down()))

    async def _shut_down(self) -> None:
        """Stop listening, drain, say good-bye to every socket, end what is left, close."""
        for port in self.ports:
            port.stopListening()
        await self._drain()
        await asyncio.sleep(TELL_SECONDS)  # every socket says `restart` before it is closed, also when nothing ran
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
