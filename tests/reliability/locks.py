"""Another process holds the database's write lock, again and again, while answers stream: P11."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import websockets

from tests.reliability.figure import Figure, Result, Time, percentile
from tests.reliability.stage import Stage
from tests.support.portal import Portal, Socket
from tests.support.upstream import At, Script, answer

HOLDS = (1.0, 5.0, 15.0)
"""Seconds."""
ANSWERS, SOCKETS = 20, 4
EVERY, LEAD, TAIL = 0.05, 3.0, 2.0
GAP_MS = 250
END_SECONDS = 30.0
LATE = "late but here"


class Tab:
    """One socket that reads all the time, and when its deltas came."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.deltas: dict[str, list[float]] = {}
        self.prompts: dict[str, str] = {}
        """Key → prompt, of what was sent and is not accepted yet."""
        self.accepted: dict[str, str] = {}
        """Prompt → generation."""
        self.finished: dict[str, dict[str, Any]] = {}
        self.refused: Counter[str] = Counter()

    async def send(self, text: str) -> None:
        """Send a prompt under a new key."""
        key = str(uuid.uuid4())
        self.prompts[key] = text
        await self.socket.command("send", key=key, conversation=None, text=text)

    async def read(self) -> None:
        """Read until the end; what is refused for a moment is sent again with the same key, as the page does."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await self.take(await self.socket.frame(60))

    async def take(self, frame: dict[str, Any]) -> None:
        """Note one frame."""
        match frame["type"]:
            case "delta":
                self.deltas.setdefault(frame["generation"], []).append(time.monotonic())
            case "accepted" if frame["key"] in self.prompts:
                self.accepted[self.prompts.pop(frame["key"])] = frame["generation"]
            case "refused":
                self.refused[frame["code"]] += 1
                text = self.prompts[frame["key"]]
                await self.socket.command("send", key=frame["key"], conversation=None, text=text)
            case "finished":
                self.finished[frame["generation"]] = frame


def gaps(times: Sequence[float], spans: Sequence[tuple[float, float]]) -> list[float]:
    """Milliseconds between one and the next, where the next one came in one of the spans."""
    return [
        (after - before) * 1000
        for before, after in pairwise(times)
        if any(since <= after <= until for since, until in spans)
    ]


def hold(database: Path, seconds: float) -> None:
    """Another process's hand on the database."""
    connection = sqlite3.connect(database, timeout=20, isolation_level=None)
    connection.execute("begin exclusive")
    time.sleep(seconds)
    connection.execute("rollback")
    connection.close()


def text_of(number: int, seconds: float) -> list[str]:
    """The deltas of an answer that takes so long."""
    return [f"<{number}> ", *(f"w{n} " for n in range(1, round(seconds / EVERY)))]


def script_of(texts: list[str]) -> Script:
    """The answer, a delta every 50 ms."""
    return answer(*(step for n, text in enumerate(texts) for step in (At(n * EVERY), text)))


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` holds, three of them to a round of 20 answers, a prompt sent during each."""
    result = Result()
    portal = await stage.portal()
    (owner,) = await stage.people(portal, "owner")
    seen: list[float] = []
    sent: list[float] = []
    again = 0
    for first in range(0, size, len(HOLDS)):
        tabs = [Tab(await stage.connect(portal, owner)) for _ in range(SOCKETS)]
        reading = [asyncio.create_task(tab.read()) for tab in tabs]
        stage.upstream.reset()
        try:
            spans = await _round(stage, portal, dice.sample(HOLDS, min(len(HOLDS), size - first)), dice, tabs, result)
        finally:
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        for tab in tabs:
            seen += [gap for times in tab.deltas.values() for gap in gaps(times, spans)]
            again += tab.refused["busy_try_again"]
        for request in stage.upstream.requests:
            sent += gaps([at for at, _ in request.sends], spans)
    result.count({"times 'database is locked' was logged": portal.log.count("database is locked")})
    result.count(await stage.faults(portal))
    result.times["gap between deltas, p99 (control: as they left upstream)"] = Time(
        percentile(seen, 99), GAP_MS, percentile(sent, 99)
    )
    result.facts["deltas while it was locked"] = f"{len(seen):,}"
    result.facts["longest gap"] = f"{max(seen, default=0):,.0f} ms (upstream's own {max(sent, default=0):,.0f} ms)"
    result.facts["prompts asked to wait"] = str(again)
    return result


async def _round(
    stage: Stage, portal: Portal, holds: list[float], dice: random.Random, tabs: list[Tab], result: Result
) -> list[tuple[float, float]]:
    """Stream, lock, send under the lock, wait for all ends; when it was locked."""
    pauses = [dice.uniform(0.3, 1.0) for _ in holds]
    seconds = LEAD + sum(holds) + sum(pauses) + TAIL
    # Half of them end sometime on the way, most of these while nothing can be stored.
    lengths = [seconds if number % 2 else dice.uniform(LEAD, seconds) for number in range(ANSWERS)]
    texts = [text_of(number, length) for number, length in enumerate(lengths)]
    stage.upstream.play("fake", *map(script_of, texts), answer(LATE))
    prompts = [f"prompt {number}" for number in range(ANSWERS + len(holds))]
    for number in range(ANSWERS):
        await tabs[number % SOCKETS].send(prompts[number])
    await asyncio.sleep(LEAD)
    spans = []
    for number, (held, pause) in enumerate(zip(holds, pauses, strict=True)):
        await asyncio.sleep(pause)
        since = time.monotonic()
        holding = asyncio.create_task(stage.wait(hold, portal.data / "chatsite.sqlite3", held))
        await asyncio.sleep(dice.uniform(0.2, 0.8) * held)
        await tabs[number % SOCKETS].send(prompts[ANSWERS + number])
        await holding
        spans.append((since, time.monotonic()))
    until = time.monotonic() + END_SECONDS
    while any(tab.prompts or len(tab.finished) < len(tab.accepted) for tab in tabs) and time.monotonic() < until:
        await asyncio.sleep(0.05)
    result.count(await stage.wait(_wrong, portal, tabs, texts))
    requests = Counter(request.prompt for request in stage.upstream.requests)
    result.count(
        {
            "prompts lost": sum(requests[prompt] < 1 for prompt in prompts) + sum(len(tab.prompts) for tab in tabs),
            "prompts asked upstream twice": sum(requests[prompt] > 1 for prompt in prompts),
        }
    )
    return spans


def _wrong(portal: Portal, tabs: list[Tab], texts: list[list[str]]) -> dict[str, int]:
    """What is not as upstream sent it: each answer says by its first word which one it is."""
    whole = {f"<{number}>": "".join(text) for number, text in enumerate(texts)}
    unfinished, differing = 0, 0
    for tab in tabs:
        for generation in tab.accepted.values():
            row, seen = portal.generation(generation), tab.socket.texts[generation].text
            unfinished += row["state"] != "completed" or generation not in tab.finished
            sent = whole.pop(seen.partition(" ")[0], LATE)
            differing += not sent == seen == row["content"]
    return {"answers that did not complete": unfinished, "answers that differ": differing + len(whole)}


FIGURE = Figure("G13", "Database locked", run, size=3, unit="holds of 1, 5 or 15 s", seconds=90)
