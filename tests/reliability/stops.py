"""G8: a stop at any moment: the upstream sees its connection closed, what came is kept, what had ended stays as it is.

The owner's answers stream beside it all the time and fill the owner's places, so that checkpoints are written and a
prompt of the owner waits; in the end they are stopped all at once. The colleague's are stopped one after the other. The
control is a bare socket that asks the same upstream and closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket as sockets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import websockets

from tests.reliability.figure import Figure, Result, Time, percentile
from tests.reliability.stage import Stage, milliseconds
from tests.support.portal import Portal, Socket
from tests.support.upstream import Gate, Pause, RequestLog, Stall, Upstream, answer, chunk, error, stream
from tests.support.upstream.script import Script

PLACES = 3
PROMISE_MS = 250
ROUND = 33
NOBODY = "nobody opens this"
WORDS = tuple(step for number in range(1000) for step in (f"w{number} ", Pause(0.005)))
BESIDE = answer(*(step for number in range(10_000) for step in (f"beside {number} ", Pause(0.02))))

Wanted = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Point:
    """A moment to stop at: what the upstream plays, and which frame (or gate of the upstream) comes before the stop.

    Up to `later` seconds pass after it. `asks`: the upstream is asked before, and has to see the end.
    """

    name: str
    script: Script
    after: Wanted | None = None
    gate: str = ""
    later: float = 0.0
    asks: bool = True
    end: str = "stopped"


def phase(name: str) -> Wanted:
    """A status of that phase."""
    return lambda frame: frame["type"] == "status" and frame["phase"] == name


def kind(name: str) -> Wanted:
    """A frame of that type."""
    return lambda frame: frame["type"] == name


WAITING = Point("waiting for a place", answer("never asked"), phase("queued"), asks=False)
RETRYING = Point("waiting for another try", error(429, headers={"Retry-After": "25"}), phase("retrying"), asks=False)
POINTS = (
    WAITING,
    Point("at once", answer(*WORDS), None, asks=False),
    Point("connecting", answer(*WORDS), phase("connecting"), asks=False),
    Point("before the headers", (Stall(),), phase("waiting")),
    Point("after the headers", stream(Stall()), phase("waiting"), later=0.05),
    RETRYING,
    Point("at the first word", answer(*WORDS), kind("delta")),
    Point("in mid-stream", answer(*WORDS), kind("delta"), later=1.0),
    Point("in silence", answer("some text", Stall()), kind("delta"), later=0.3),
    Point("in a checkpoint", stream("all of it", chunk(finish="stop"), Gate(NOBODY)), gate=NOBODY),
    Point("after the end", answer("all of it"), kind("finished"), asks=False, end="completed"),
)


@dataclass
class Stopped:
    """What came of one stop."""

    point: Point
    generation: str
    sent_at: float
    finished: dict[str, Any] = field(default_factory=dict)
    seen: str = ""
    closed_at: float | None = None
    open: bool = False


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` stops, every point about as often."""
    portal = await stage.portal(PORTAL_USER_RUNNING=str(PLACES))
    owner, colleague = await stage.people(portal, "owner", "colleague")
    stops: list[Stopped] = []
    beside: list[str] = []
    control: list[float] = []
    for first in range(0, size, ROUND):
        points = [POINTS[number % len(POINTS)] for number in range(first, min(first + ROUND, size))]
        dice.shuffle(points)
        beside += await one_round(stage, portal, owner, colleague, points, stops, dice)
        control += [await stage.wait(bare_close, stage.upstream) for _ in range(10)]
    left = await stage.rest(portal)
    result = await stage.wait(judged, portal, stops, beside)
    result.count({"answers without an end": left, **await stage.faults(portal)})
    closed = [milliseconds(one.sent_at, one.closed_at) for one in stops if one.closed_at is not None]
    result.times["from a stop to the end of upstream's connection, p99"] = Time(
        percentile(closed, 99), PROMISE_MS, percentile(control, 99)
    )
    result.facts["connections closed"] = f"{len(closed)}, median {percentile(closed, 50):.1f} ms"
    return result


async def one_round(
    stage: Stage,
    portal: Portal,
    owner: httpx.Client,
    colleague: httpx.Client,
    points: list[Point],
    stops: list[Stopped],
    dice: random.Random,
) -> list[str]:
    """Stop at these points while the owner's answers stream; returns the owner's, which are stopped then."""
    stage.upstream.play("fake", BESIDE)
    busy = await stage.connect(portal, owner)
    beside = [(await busy.prompt(f"beside {number}"))["generation"] for number in range(PLACES)]
    await busy.until(lambda frame: all(busy.texts[one].deltas for one in beside))
    reading = asyncio.create_task(read_for(busy, 3600))
    for point in points:
        stage.upstream.play("fake", point.script)
        who = owner if point is WAITING else colleague
        stops.append(await one_stop(stage, portal, who, point, f"prompt {len(stops)}.", dice))
    for generation in beside:
        await busy.command("stop", generation=generation)
    await stage.rest(portal)
    await busy.close()
    await reading
    return beside


async def one_stop(
    stage: Stage, portal: Portal, client: httpx.Client, point: Point, prompt: str, dice: random.Random
) -> Stopped:
    """Ask, wait for the moment, stop, and see what both sides say."""
    socket = await stage.connect(portal, client)
    generation = (await socket.prompt(prompt))["generation"]
    await moment(stage, socket, generation, point, prompt)
    if point.later:
        await read_for(socket, dice.random() * point.later)
    stop = Stopped(point, generation, time.monotonic())
    await socket.command("stop", generation=generation)
    stop.finished = await finished(socket, generation)
    stop.seen = socket.texts[generation].text
    requests = await stage.wait(asked, stage.upstream, prompt, point.asks)
    if point is WAITING:
        stop.open = bool(requests)
    elif point.end == "stopped" and requests and point is not RETRYING:
        try:
            stop.closed_at = await stage.wait(stage.upstream.wait_for_close, requests[-1])
        except AssertionError:
            stop.open = True
    elif point.asks:
        stop.open = True
    await socket.close()
    return stop


def asked(upstream: Upstream, prompt: str, surely: bool) -> list[RequestLog]:
    """What the upstream was asked; `surely`: it may still be reading it."""
    with contextlib.suppress(AssertionError):
        if surely:
            upstream.wait_for(lambda: upstream.matching(prompt=prompt))
    return [request for request in upstream.requests if request.prompt == prompt]


async def moment(stage: Stage, socket: Socket, generation: str, point: Point, prompt: str) -> None:
    """Wait until it is time."""
    if point.gate:
        upstream = stage.upstream
        await stage.wait(
            upstream.wait_for, lambda: [one for one in upstream.matching(prompt=prompt) if point.gate in one.gates]
        )
    elif (wanted := point.after) is not None:
        await socket.until(lambda frame: frame.get("generation") == generation and wanted(frame))


async def read_for(socket: Socket, seconds: float) -> None:
    """Read frames for so long, or to the end."""
    with contextlib.suppress(TimeoutError, websockets.ConnectionClosed):
        await socket.until(lambda frame: False, seconds)


async def finished(socket: Socket, generation: str) -> dict[str, Any]:
    """The end, which may have come before; none when it does not come."""
    for frame in socket.frames:
        if frame["type"] == "finished" and frame["generation"] == generation:
            await socket.command("hb")
            await socket.next("hb")
            return frame
    try:
        return await socket.next("finished", generation=generation)
    except TimeoutError:
        return {}


def bare_close(upstream: Upstream) -> float:
    """The control: a socket asks the upstream for text that goes on for ever, and closes."""
    body = json.dumps({"model": "fake-n10000-i5", "messages": [{"role": "user", "content": "control"}]}).encode()
    with sockets.create_connection(("127.0.0.1", upstream.port), timeout=10) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        client.recv(1)
        closed_at = time.monotonic()
    request = upstream.matching(prompt="control")[-1]
    return milliseconds(closed_at, upstream.wait_for_close(request))


def judged(portal: Portal, stops: list[Stopped], beside: list[str]) -> Result:
    """Compare what the sockets said with what is stored."""
    rows = {stop.generation: portal.generation(stop.generation) for stop in stops}
    ends = [portal.generation(one)["state"] for one in beside]
    result = Result()
    result.counts = {
        "stops without an end": sum(not stop.finished for stop in stops),
        "ends of another kind": sum(rows[stop.generation]["state"] != stop.point.end for stop in stops)
        + sum(state != "stopped" for state in ends),
        "ends told otherwise than stored": sum(
            stop.finished.get("state") != rows[stop.generation]["state"] for stop in stops
        ),
        "texts that differ from what was seen": sum(rows[stop.generation]["content"] != stop.seen for stop in stops),
        "connections left open": sum(stop.open for stop in stops),
    }
    points = Counter(stop.point.name for stop in stops)
    result.facts = {"points": ", ".join(f"{name} {number}" for name, number in points.items())}
    return result


FIGURE = Figure("G8", "Stop at any moment", run, size=60, unit="stops", seconds=150)
