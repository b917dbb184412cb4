"""Browsers that never read, on a long answer at full speed: P9."""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket as sockets
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import websockets

from tests.reliability.figure import Figure, Result, Time, percentile
from tests.reliability.stage import Stage, milliseconds
from tests.support.portal import Portal, Socket
from tests.support.upstream import Gate, RequestLog, answer

PIECES, PIECE_BYTES = 500, 3984
"""1.9 MiB: just below what an answer may have."""
MEMORY_MB = 15
CLOSED_SECONDS = 60
SLOWER = 1.5
SAMPLE_SECONDS = 0.5
ESTABLISHED = "01"
RECEIVE_BUFFER = 4096
"""What the kernel takes for a browser that doesn't read: with its usual megabytes it would swallow the whole answer."""


@dataclass
class Seen:
    """What one of the two runs showed."""

    memory: list[float]
    """Megabytes, from before it began."""
    delays: list[float]
    """Milliseconds from upstream to the browser that reads, of each piece."""
    differs: bool
    closed_ms: float = 0.0
    left: int = 0

    @property
    def grown(self) -> float:
        """By how many megabytes memory grew at most."""
        return max(self.memory) - self.memory[0]


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """The same with `size` browsers that read, then with as many that don't; one more reads both times."""
    control = await _flood(stage, size, dice, deaf=False)
    seen = await _flood(stage, size, dice, deaf=True)
    grown, beside = seen.grown, control.grown
    result = Result()
    result.count(
        {
            f"MB of memory beyond the control run's and {MEMORY_MB}": max(0, math.ceil(grown - beside - MEMORY_MB)),
            "deaf sockets that stayed open": seen.left,
            "texts that differ": seen.differs + control.differs,
        }
    )
    for portal in stage.portals:
        if portal.process is not None:
            result.count(await stage.faults(portal))
    delay, usual = percentile(seen.delays, 95), percentile(control.delays, 95)
    result.times["delay at the one that reads, p95"] = Time(delay, SLOWER * usual, usual)
    result.times["until the deaf ones were closed"] = Time(seen.closed_ms, CLOSED_SECONDS * 1000)
    result.facts["memory"] = f"+{grown:.0f} MB (control +{beside:.0f} MB)"
    return result


async def _flood(stage: Stage, size: int, dice: random.Random, deaf: bool) -> Seen:
    pieces = [f"{n:06d} " + chr(dice.randrange(97, 123)) * (PIECE_BYTES - 7) for n in range(PIECES)]
    portal = await stage.portal()
    (owner,) = await stage.people(portal, "owner")
    reader = await stage.connect(portal, owner)
    stage.upstream.reset()
    stage.upstream.play("fake", answer("warm"), answer(Gate("go"), *pieces))
    await reader.ask("warm up")
    generation = (await reader.prompt("at length"))["generation"]
    request = await stage.wait(stage.upstream.wait_for_gate, "go")
    open_before = _connections(portal)
    others = [await _follower(portal, owner, generation, deaf) for _ in range(size)]
    reading = [] if deaf else [asyncio.create_task(_read_on(one)) for one in others]
    samples = [await stage.memory(portal)]
    sampling = asyncio.create_task(_sample(stage, portal, samples))
    began = time.monotonic()
    stage.upstream.open("go")
    came = await _arrivals(reader, generation)
    await asyncio.gather(*reading)
    seen = Seen(samples, _delays(request, came), reader.texts[generation].text != "".join(pieces))
    if deaf:
        seen.left = size
        while seen.left and time.monotonic() - began < 2 * CLOSED_SECONDS:
            await asyncio.sleep(SAMPLE_SECONDS)
            seen.left = max(0, _connections(portal) - open_before)
        seen.closed_ms = milliseconds(began, time.monotonic())
    samples.append(await stage.memory(portal))
    sampling.cancel()
    await asyncio.gather(sampling, return_exceptions=True)
    for one in others:
        one.transport.abort()
    return seen


async def _sample(stage: Stage, portal: Portal, samples: list[float]) -> None:
    while True:
        samples.append(await stage.memory(portal))
        await asyncio.sleep(SAMPLE_SECONDS)


async def _follower(portal: Portal, client: httpx.Client, generation: str, deaf: bool) -> websockets.ClientConnection:
    """A browser that follows from the start; a deaf one has read so far, and reads no more."""
    raw = sockets.socket()
    if deaf:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, RECEIVE_BUFFER)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", portal.port))
    connection = await websockets.connect(
        f"ws://127.0.0.1:{portal.port}/ws/chat/",
        sock=raw,
        additional_headers={"Cookie": "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)},
        origin=portal.url,  # type: ignore[arg-type]
        max_queue=1 if deaf else 16,
        max_size=16 * 1024 * 1024,
        compression=None,
        ping_interval=None,
        close_timeout=1,
    )
    await connection.send(json.dumps({"type": "follow", "generation": generation, "after": 0}))
    while '"type":"status"' not in str(await connection.recv()):
        pass
    if deaf:
        connection.transport.pause_reading()
    return connection


async def _read_on(connection: websockets.ClientConnection) -> None:
    """Read to the end, and look at nothing else: this process has to hear of many."""
    while '"type":"finished"' not in str(await connection.recv())[:100]:
        pass


async def _arrivals(reader: Socket, generation: str) -> list[float]:
    """When each piece came."""
    came: list[float] = []
    while (frame := await reader.frame(60))["type"] != "finished" or frame["generation"] != generation:
        if frame["type"] == "delta":
            came += [time.monotonic()] * (frame["seq"] - frame["prev"])
    return came


def _delays(request: RequestLog, came: list[float]) -> list[float]:
    """Upstream writes the head and a chunk without text before the first piece."""
    return [milliseconds(sent, at) for (sent, _), at in zip(request.sends[2:], came, strict=False)]


def _connections(portal: Portal) -> int:
    """How many connections to its port the portal holds open."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[1].endswith(f":{portal.port:04X}") and line[3] == ESTABLISHED for line in lines)


FIGURE = Figure("G12", "Browsers that never read", run, size=50, unit="deaf sockets", seconds=120)
