"""What a figure plays on: real portals, scripted upstreams, people and their sockets; all of it ends with the stage.

    async with Stage() as stage:                       # __main__ does this; `run` gets the stage
        upstream = stage.upstream                      # tests.support.upstream.Upstream, a process of its own, empty
        upstream.play("fake", answer("one ", "two"))   # "fake" is the portal's model
        portal = await stage.portal(PORTAL_USER_RUNNING="3")   # tests.support.portal.Portal, started, on fresh data
        owner, colleague = await stage.people(portal, "owner", "colleague")  # httpx.Clients, logged in
        socket = await stage.connect(portal, owner)    # tests.support.portal.Socket after its hello
        await socket.ask("hi")
        await stage.rest(portal)                       # until nothing is queued or running
        result.count(await stage.faults(portal))       # broken invariants, tracebacks, open usage records: all 0

Whatever blocks (Portal's and Upstream's own methods, the database) goes through `stage.wait(function, *arguments)`.
"""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from django.db.models import Count

from chat.models import Generation
from tests.support.portal import Portal, Socket
from tests.support.upstream import Upstream

T = TypeVar("T")

UNLIMITED = {
    "PORTAL_USER_RUNNING": "0",
    "PORTAL_USER_QUEUED": "0",
    "PORTAL_USER_SOCKETS": "0",
    "PORTAL_USER_PROMPTS_PER_MINUTE": "0",
    "PORTAL_SOCKET_COMMANDS_PER_SECOND": "0",
}
"""A figure that is about a limit sets it."""


class Stage:
    """Makes the cast of one figure and clears it away."""

    def __init__(self) -> None:
        self.upstreams: list[Upstream] = []
        self.portals: list[Portal] = []
        self._sockets: list[Socket] = []
        self._templates: dict[str, Path] = {}

    @property
    def upstream(self) -> Upstream:
        """The first upstream: the one that portals ask when none is named."""
        return self.upstreams[0]

    async def __aenter__(self) -> Stage:
        await self.new_upstream()
        return self

    async def __aexit__(self, *exception: object) -> None:
        for socket in self._sockets:
            socket.connection.transport.abort()
        for portal in self.portals:
            await self.wait(portal.remove)
        for upstream in self.upstreams:
            await self.wait(upstream.close)

    async def wait(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run what blocks in a thread."""
        return await asyncio.to_thread(work, *arguments)

    async def new_upstream(self) -> Upstream:
        """Another upstream."""
        upstream = await self.wait(Upstream.start)
        self.upstreams.append(upstream)
        return upstream

    async def portal(self, upstream: Upstream | None = None, **env: str) -> Portal:
        """A started portal on data of its own; `env` are its variables, UNLIMITED where they say nothing."""
        url = (upstream or self.upstream).base_url
        if url not in self._templates:  # migrating takes longer than starting
            self.portals.append(template := Portal(url, "fake"))
            await self.wait(template.setup)
            self._templates[url] = template.data
        portal = Portal(url, "fake", self._templates[url], **{**UNLIMITED, **env})
        self.portals.append(portal)
        await self.wait(portal.start, False)
        return portal

    async def restart(self, portal: Portal) -> float:
        """Start a portal that has ended, on the same port and data; the milliseconds until it was ready."""
        began = time.monotonic()
        await self.wait(portal.start, False)
        return (time.monotonic() - began) * 1000

    async def people(self, portal: Portal, *names: str) -> list[httpx.Client]:
        """Add users and log them in, without the form; a client each. They can be many."""
        return await self.wait(portal.clients_of, *names)

    async def connect(self, portal: Portal, client: httpx.Client) -> Socket:
        """A socket after its hello; closed with the stage if not before."""
        socket = await portal.connect(client)
        Socket.opened.remove(socket)
        self._sockets = [one for one in self._sockets if one.connection.close_code is None] + [socket]
        return socket

    async def rest(self, portal: Portal, seconds: float = 30) -> int:
        """Wait until nothing is queued or running; how many still were when the time was over."""
        until = time.monotonic() + seconds
        while (left := len(await self.wait(portal.rows, Generation.objects.unfinished()))) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        return left

    async def faults(self, portal: Portal) -> dict[str, int]:
        """What may never be, in a portal at rest: counts for Result.count."""
        return await self.wait(_faults, portal)

    async def memory(self, portal: Portal) -> float:
        """The megabytes that the portal's process holds (RSS)."""
        assert portal.process
        command = ["ps", "-o", "rss=", "-p", str(portal.process.pid)]
        done = await self.wait(lambda: subprocess.run(command, check=True, capture_output=True, text=True))
        return int(done.stdout) / 1024


def _faults(portal: Portal) -> dict[str, int]:
    broken = 0
    try:
        portal.check_invariants()
    except AssertionError as error:
        print(f"  invariant: {error}", file=sys.stderr)
        broken = 1
    records = Generation.objects.annotate(records=Count("usage")).exclude(records=1, usage__closed_at__isnull=False)
    usage = portal.rows(records)
    return {
        "broken invariants": broken,
        "missing, double or open usage records": len(usage),
        "tracebacks in the log": portal.log.count("Traceback"),
    }


def milliseconds(since: float, until: float | None) -> float:
    """Between two times of time.monotonic(); infinite when it never came."""
    return math.inf if until is None else (until - since) * 1000
