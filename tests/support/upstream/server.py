"""The upstream itself: HTTP/1.1 over raw sockets, one script a request, every moment logged by the monotonic clock.

Runs in a process of its own, so that neither the portal's nor the tests' work delays it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.upstream.behaving import BEHAVING, behave
from tests.support.upstream.demos import named, names
from tests.support.upstream.script import (
    At,
    Fin,
    Gate,
    Pause,
    Repeat,
    Rst,
    Script,
    Send,
    Stall,
    answer,
    document,
    error,
)

Report = Callable[[dict[str, Any]], None]
"""Told of everything that happens, as one JSON object each; see client.py for what is made of it."""


@dataclass
class Stage:
    """What is to be played, and what was: shared by all connections."""

    report: Report
    scripts: dict[str, list[Script]] = field(default_factory=dict)
    plays: dict[str, int] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    turn_away: int = 0
    connections: int = 0
    requests: int = 0
    open: set[Connection] = field(default_factory=set)

    def play(self, key: str, scripts: Sequence[Script]) -> None:
        """Play these scripts for a key, one a request, the last again and again."""
        self.scripts[key] = list(scripts)
        self.plays.pop(key, None)

    def gate(self, name: str) -> asyncio.Event:
        """The gate of a name."""
        return self.gates.setdefault(name, asyncio.Event())

    def reset(self) -> None:
        """Forget all scripts and gates, and drop all connections."""
        for connection in list(self.open):
            connection.transport.abort()
        self.scripts.clear()
        self.plays.clear()
        self.gates.clear()
        self.turn_away = 0

    def script_for(self, method: str, path: str, model: str, body: object = None) -> Script:
        """The script of a request: by method and path, else by model, else one that is always there."""
        by_path = f"{method} {path.partition('?')[0]}"
        key = by_path if by_path in self.scripts else model
        if key in self.scripts:
            at = self.plays.get(key, 0)
            self.plays[key] = at + 1
            return self.scripts[key][min(at, len(self.scripts[key]) - 1)]
        if path.partition("?")[0].endswith("/models"):
            ids = [name for name in self.scripts if " " not in name] + names()
            return document({"object": "list", "data": [{"id": name, "object": "model"} for name in ids]})
        if model.partition(":")[0] == BEHAVING and isinstance(body, dict):
            return behave(path.partition("?")[0], body)
        if path.partition("?")[0].endswith("/completions"):
            return named(model) or answer("This is ", "a short ", "answer.")
        return error(404, f"No such path: {path}", type="not_found_error")


class Connection(asyncio.Protocol):
    """One connection, and the requests that come over it, one after the other."""

    transport: asyncio.Transport

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        stage.connections += 1
        self._number = stage.connections
        self._received = b""
        self._playing: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._how = "upstream"
        self._request = 0
        self._sends: list[tuple[float, int]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._stage.open.add(self)
        self._stage.report({"event": "connection", "connection": self._number, "at": time.monotonic()})
        if self._stage.turn_away:
            self._stage.turn_away -= 1
            self._reset()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._take_request()

    def eof_received(self) -> bool:
        self._how = "fin"
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and self._how == "upstream":
            self._how = "rst"
        self._stage.open.discard(self)
        if self._playing is not None:
            self._playing.cancel()
        self._flush()
        self._stage.report({"event": "closed", "connection": self._number, "at": time.monotonic(), "how": self._how})

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _take_request(self) -> None:
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found or self._playing is not None:
            if len(self._received) > 64 and b"HTTP/1" not in self._received.partition(b"\r\n")[0]:
                self.transport.close()  # no HTTP, such as the greeting of TLS
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._received = rest[length:]
        at = time.monotonic()
        method, path = (lines[0].split(" ") + ["", ""])[:2]
        body = _parsed(rest[:length])
        model = str(body.get("model", "")) if isinstance(body, dict) else ""
        self._stage.requests += 1
        self._request = self._stage.requests
        self._stage.report(
            {
                "event": "request",
                "connection": self._number,
                "request": self._request,
                "method": method,
                "path": path,
                "model": model,
                "headers": headers,
                "body": body,
                "at": at,
                "time": time.time(),
            }
        )
        script = self._stage.script_for(method, path, model, body)
        self._playing = asyncio.get_running_loop().create_task(self._play(script, at))

    async def _play(self, script: Script, received_at: float) -> None:
        for step in script:
            await self._do(step, received_at)
        self._flush()
        self._stage.report({"event": "ended", "request": self._request, "at": time.monotonic()})
        self._playing = None
        self._take_request()

    async def _do(self, step: object, received_at: float) -> None:
        match step:
            case Send(data):
                await self._send(data)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case At(seconds):
                await asyncio.sleep(max(0.0, received_at + seconds - time.monotonic()))
            case Repeat(data, every, count):
                while count is None or count > 0:
                    await self._send(data)
                    await asyncio.sleep(every)
                    count = None if count is None else count - 1
            case Gate(name):
                self._flush()
                self._stage.report({"event": "gate", "request": self._request, "name": name, "at": time.monotonic()})
                await self._stage.gate(name).wait()
            case Stall():
                await asyncio.Event().wait()  # until connection_lost cancels the script
            case Fin():
                self.transport.close()
            case Rst():
                self._reset()

    async def _send(self, data: bytes) -> None:
        await self._writable.wait()
        if self.transport.is_closing():
            return
        if not self._sends:
            asyncio.get_running_loop().call_soon(self._flush)
        self._sends.append((time.monotonic(), len(data)))
        self.transport.write(data)

    def _flush(self) -> None:
        """Report what was sent, all of one turn of the loop at once."""
        if self._sends:
            sends, self._sends = self._sends, []
            self._stage.report({"event": "sends", "request": self._request, "sends": sends})

    def _reset(self) -> None:
        """Close so that the peer sees a reset, not an end."""
        raw: socket.socket | None = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def listen(stage: Stage, port: int = 0, certificate: tuple[str, str] | None = None) -> asyncio.Server:
    """Accept connections on loopback; `certificate` is the files of a certificate and its key."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(stage), "127.0.0.1", port, backlog=4096, ssl=context)


def port_of(server: asyncio.Server) -> int:
    """The port it listens on."""
    port: int = server.sockets[0].getsockname()[1]
    return port


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("latin-1")
