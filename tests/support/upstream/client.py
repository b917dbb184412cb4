"""The tests' handle on an upstream in its own process: what to play, and what happened, over the process's pipes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests.support.upstream.script import Script, to_wire

ROOT = Path(__file__).resolve().parents[3]
T = TypeVar("T")


@dataclass
class RequestLog:
    """One request as the upstream saw it; all `_at` are time.monotonic(), which all processes of a machine share.

    number       counts from 1 over the upstream's life; `connection` likewise: the same one twice means it was re-used
    body         the decoded JSON, else the text
    received_at  the whole request was here; received_time is the same by time.time()
    sends        (when, how many bytes) of every write, framing included
    ended_at     the script came to its end; None while it plays, or if the connection ended first
    closed_at    its connection ended; `closed_how` is `fin` or `rst` by the client, `upstream` by us
    """

    number: int
    connection: int
    method: str
    path: str
    model: str
    headers: dict[str, str]
    body: Any
    received_at: float
    received_time: float
    sends: list[tuple[float, int]] = field(default_factory=list)
    gates: list[str] = field(default_factory=list)
    ended_at: float | None = None
    closed_at: float | None = None
    closed_how: str = ""

    @property
    def prompt(self) -> str:
        """The text of the last user message, or the legacy prompt."""
        if not isinstance(self.body, dict):
            return ""
        texts = [entry.get("content") for entry in self.body.get("messages", ()) if entry.get("role") == "user"]
        return str(texts[-1] if texts else self.body.get("prompt", ""))


@dataclass
class ConnectionLog:
    """One connection, also one that never sent a request."""

    number: int
    accepted_at: float
    closed_at: float | None = None
    closed_how: str = ""


class Upstream:
    """A scripted model server. `Upstream.start()`, or `with Upstream.start() as upstream:`; `close()` ends its process.

    Attributes are filled by a thread; whoever waits for something says so with `wait_for`, never with a sleep.
    In a coroutine: `await asyncio.to_thread(upstream.wait_for_gate, "name")`.
    """

    def __init__(self, process: subprocess.Popen[bytes], scheme: str) -> None:
        self._process = process
        self._scheme = scheme
        self._changed = threading.Condition()
        self._commands = 0
        self._acknowledged = 0
        self._conditions = 0
        self._requests: dict[int, RequestLog] = {}
        self._connections: dict[int, ConnectionLog] = {}
        self.port = 0
        self._reader = threading.Thread(target=self._read, name="upstream-log", daemon=True)
        self._reader.start()

    @classmethod
    def start(cls, certificate: tuple[str, str] | None = None, port: int = 0) -> Upstream:
        """Start one on a loopback port, 0 = a free one; `certificate` (files of certificate and key): it speaks TLS."""
        command = [sys.executable, "-m", "tests.support.upstream", "--control", "--port", str(port)]
        if certificate is not None:
            command += ["--certificate", *certificate]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        upstream = cls(process, "https" if certificate else "http")
        upstream.wait_for(lambda: upstream.port, timeout=20)
        return upstream

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """What a provider's base_url is set to."""
        return f"{self._scheme}://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> list[RequestLog]:
        """All requests since the last reset, in the order they came; whoever has seen an answer finds its request."""
        self._catch_up()
        with self._changed:
            return list(self._requests.values())

    @property
    def connections(self) -> list[ConnectionLog]:
        """All connections since the last reset."""
        self._catch_up()
        with self._changed:
            return list(self._connections.values())

    def play(self, key: str, *scripts: Script) -> None:
        """Play the first script for the first request, and so on; the last one for all that follow.

        key  the model's name, or method and path such as `GET /v1/models`
        """
        self._command(do="play", key=key, scripts=[to_wire(script) for script in scripts])

    def open(self, gate: str) -> None:
        """Let everything pass that waits at this gate, now and later."""
        self._command(do="open", gate=gate)

    def turn_away(self, times: int) -> None:
        """Reset the next connections as soon as they are accepted."""
        self._command(do="turn_away", times=times)

    def reset(self) -> None:
        """Forget scripts, gates and logs; drop all connections. For fixtures that share one process."""
        self._command(do="reset")
        with self._changed:
            self._requests.clear()
            self._connections.clear()

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)
        self._reader.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def matching(self, model: str | None = None, prompt: str | None = None) -> list[RequestLog]:
        """Requests for a model, or whose last user message holds a text."""
        return [
            request
            for request in self.requests
            if (model is None or request.model == model) and (prompt is None or prompt in request.prompt)
        ]

    def count(self, model: str | None = None, prompt: str | None = None) -> int:
        """How many requests match."""
        return len(self.matching(model, prompt))

    def wait_for(self, condition: Callable[[], T], timeout: float = 20.0) -> T:
        """Wait until the condition, looked at after every report, gives something true; returns that."""
        until = time.monotonic() + timeout
        with self._changed:
            while not (value := self._value(condition)):
                left = until - time.monotonic()
                if left <= 0 or self._process.poll() is not None:
                    raise AssertionError(f"upstream waited in vain; requests: {list(self._requests.values())}")
                self._changed.wait(left)
            return value

    def wait_for_requests(self, count: int = 1, model: str | None = None, timeout: float = 20.0) -> list[RequestLog]:
        """Wait until so many requests came."""
        self.wait_for(lambda: self.count(model) >= count, timeout)
        return self.matching(model)

    def wait_for_gate(self, gate: str, times: int = 1, timeout: float = 20.0) -> RequestLog:
        """Wait until so many requests have come to a gate; returns the last of them."""
        found = self.wait_for(lambda: self._at_gate(gate) if len(self._at_gate(gate)) >= times else None, timeout)
        assert found
        return found[-1]

    def wait_for_close(self, request: RequestLog, timeout: float = 20.0) -> float:
        """Wait until a request's connection ended; returns when that was."""
        self.wait_for(lambda: request.closed_at is not None, timeout)
        assert request.closed_at is not None
        return request.closed_at

    def _value(self, condition: Callable[[], T]) -> T:
        self._conditions += 1
        try:
            return condition()
        finally:
            self._conditions -= 1

    def _catch_up(self) -> None:
        """Wait for the reports of what has happened by now; not within a condition, which is looked at after each."""
        with self._changed:
            if not self._conditions and self._process.poll() is None:
                self._command(do="sync")

    def _at_gate(self, gate: str) -> list[RequestLog]:
        return [request for request in self.requests if gate in request.gates]

    def _command(self, **command: Any) -> None:
        with self._changed:
            self._commands += 1
            number = self._commands
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(command | {"number": number}).encode() + b"\n")
            self._process.stdin.flush()
        self.wait_for(lambda: self._acknowledged >= number)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._take(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _take(self, report: dict[str, Any]) -> None:
        kind = report.pop("event")
        if kind == "ready":
            self.port = report["port"]
        elif kind == "acknowledged":
            self._acknowledged = report["number"]
        elif kind == "connection":
            number = report["connection"]
            self._connections[number] = ConnectionLog(number, report["at"])
        elif kind == "request":
            number = report.pop("request")
            received = {"received_at": report.pop("at"), "received_time": report.pop("time")}
            self._requests[number] = RequestLog(number=number, **received, **report)
        elif kind == "closed":
            self._close(report["connection"], report["at"], report["how"])
        elif (request := self._requests.get(report["request"])) is not None:
            if kind == "sends":
                request.sends += [(at, length) for at, length in report["sends"]]
            elif kind == "gate":
                request.gates.append(report["name"])
            elif kind == "ended":
                request.ended_at = report["at"]

    def _close(self, connection: int, at: float, how: str) -> None:
        logs: list[RequestLog | ConnectionLog] = [
            *(request for request in self._requests.values() if request.connection == connection),
            *(log for log in self._connections.values() if log.number == connection),
        ]
        for log in logs:
            log.closed_at, log.closed_how = at, how
