"""G1: `kill -9` at random moments. What was accepted is there, asked once, and its text is what the upstream had sent.

Each cycle sends its prompts on one socket, and again those of the last cycle whose `accepted` never came, with their
keys. The kill comes when a random number of them is accepted, or of deltas has come while others still wait. What the
database holds is read before the next start, and everything once more at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx
import websockets
from django.db.models import F

from chat.models import Generation, Segment
from tests.reliability.figure import Figure, Result, Time, percentile
from tests.reliability.stage import Stage, milliseconds
from tests.support.portal import ROOT, Portal, Socket
from tests.support.upstream import At, RequestLog, answer

PROMPTS = 20
RUNNING = "8"
TEXTS = [f"w\u00f6rt {number} \U0001f469\u200d\U0001f52c\u2028" for number in range(40)]
EVERY_SECONDS = 0.012
WHOLE = "".join(TEXTS)
CHECKPOINT_MS = 250
AT_ONCE = 40
"""A portal closes sockets on which more than 64 commands wait."""


ANSWERS = Generation.objects.values(
    "pk", "state", "error_code", content=F("message__content"), prompt=F("message__parent__content")
)
"""Each generation with its answer and its prompt."""


@dataclass
class Book:
    """What the clients know: they forget nothing, whatever happens to the portal."""

    prompts: dict[str, str] = field(default_factory=dict)
    """Key → text, of all that were sent."""
    generations: dict[str, str] = field(default_factory=dict)
    """Key → generation, of all that were accepted."""
    queued: set[str] = field(default_factory=set)
    """Generations that waited at a kill."""
    running: set[str] = field(default_factory=set)
    """Generations that were being written at a kill."""
    behind_ms: list[float] = field(default_factory=list)
    unsaved: list[int] = field(default_factory=list)
    gaps: int = 0
    again: int = 0
    lost: int = 0

    @property
    def unanswered(self) -> list[str]:
        """Keys that have to be sent again."""
        return [key for key in self.prompts if key not in self.generations]


class Client:
    """One socket of the owner until the portal is gone: sends, a few at a time, and reads."""

    def __init__(self, socket: Socket, book: Book) -> None:
        self.socket = socket
        self.moment = asyncio.Event()
        self._book = book
        self._frames: Counter[str] = Counter()
        self._to_send = iter(book.unanswered)
        self._stop_at = ("", 0)

    def kill_after(self, kind: str, number: int) -> None:
        """Set `moment` when so many frames of a kind have come."""
        self._stop_at = (kind, number)
        self._look()

    def _look(self) -> None:
        kind, number = self._stop_at
        if self._frames[kind] >= number:
            self.moment.set()

    async def use(self) -> None:
        """Send and read until the connection is gone."""
        try:
            await self.send_all()
            while True:
                await self._read()
        except websockets.ConnectionClosed:
            self.moment.set()

    async def send_all(self) -> None:
        """Send all that has no answer yet, and read until it has."""
        for _ in range(AT_ONCE):
            await self._send_next()
        while self._book.unanswered:
            await self._read()

    async def _send_next(self) -> None:
        if (key := next(self._to_send, None)) is not None:
            await self.socket.command("send", key=key, conversation=None, text=self._book.prompts[key])

    async def _read(self) -> None:
        try:
            frame = await self.socket.frame(60)
        except AssertionError:
            self._book.gaps += 1
            return
        self._frames[frame["type"]] += 1
        if frame["type"] == "accepted":
            known = self._book.generations.setdefault(frame["key"], frame["generation"])
            self._book.lost += known != frame["generation"]
            await self._send_next()
        self._look()


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` kills, then a last start in which everything comes to its end."""
    steps = (step for number, text in enumerate(TEXTS) for step in (At(number * EVERY_SECONDS), text))
    stage.upstream.play("fake", answer(*steps))
    portal = await stage.portal(PORTAL_USER_RUNNING=RUNNING)
    (owner,) = await stage.people(portal, "owner")
    book = Book()
    control = start_control(portal)
    for cycle in range(size):
        new = {str(uuid.UUID(int=dice.getrandbits(128), version=4)): f"{cycle}.{n} \U0001f469" for n in range(PROMPTS)}
        await one_kill(stage, portal, owner, book, new, dice)
        await stage.restart(portal)
    longest_ms = float((await stage.wait(control.communicate))[0])
    await Client(await stage.connect(portal, owner), book).send_all()
    left = await stage.rest(portal, 60)
    result = await stage.wait(judged, portal, book, stage.upstream.requests)
    result.count({"answers without an end": left, **await stage.faults(portal)})
    behind = max(book.behind_ms, default=math.nan)
    result.times["text behind at the kill, most"] = Time(behind, max(CHECKPOINT_MS, longest_ms), longest_ms)
    return result


def start_control(portal: Portal) -> subprocess.Popen[bytes]:
    """The bare checkpoints, beside the portal's database."""
    command = [sys.executable, "-m", "tests.reliability.checkpoints", str(portal.data / "control.sqlite3")]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def one_kill(
    stage: Stage, portal: Portal, owner: httpx.Client, book: Book, new: dict[str, str], dice: random.Random
) -> None:
    """Send, kill at a random moment, and look at what the dead portal left."""
    book.again += len(book.unanswered)
    book.prompts |= new
    client = Client(await stage.connect(portal, owner), book)
    client.kill_after(
        *(("accepted", dice.randint(0, PROMPTS)) if dice.random() < 1 / 3 else ("delta", dice.randint(1, 250)))
    )
    using = asyncio.create_task(client.use())
    with contextlib.suppress(TimeoutError):  # not so many frames: then everything is answered
        await asyncio.wait_for(client.moment.wait(), 3)
    await asyncio.sleep(dice.random() * CHECKPOINT_MS / 1000)
    killed_at = time.monotonic()
    portal.send_signal(signal.SIGKILL)
    await stage.wait(portal.wait)
    await using
    await stage.wait(look, portal, book, client.socket, stage.upstream.requests, killed_at)


def look(portal: Portal, book: Book, socket: Socket, requests: list[RequestLog], killed_at: float) -> None:
    """Read the dead portal's data: who waited, and how far behind the text of those that were being written is."""
    asked = {request.prompt: request for request in requests}
    for row in portal.rows(ANSWERS.filter(state__in=("queued", "running"))):
        generation = str(row["pk"])
        if row["state"] == "queued":
            book.queued.add(generation)
            continue
        book.running.add(generation)
        saved = portal.rows(Segment.objects.filter(generation=row["pk"]).order_by("seq"))
        seq = saved[-1].seq if saved else 0
        request = asked.get(row["prompt"])
        if request is not None:
            # The first two writes are the headers and the role.
            unsaved_since = [at for at, _ in request.sends[2 + seq : 2 + len(TEXTS)] if at < killed_at]
            book.behind_ms.append(milliseconds(unsaved_since[0], killed_at) if unsaved_since else 0.0)
        seen = socket.texts.get(generation)
        if seen is not None:
            book.unsaved.append(len(seen.text) - sum(len(one.text) for one in saved))


def judged(portal: Portal, book: Book, requests: list[RequestLog]) -> Result:
    """Compare the clients' book, the database, and the upstream's log."""
    rows = portal.rows(ANSWERS)
    stored = {str(row["pk"]): row for row in rows}
    asked = Counter(request.prompt for request in requests)
    states = Counter(row["state"] for row in rows)
    kept = {key: stored.get(generation) for key, generation in book.generations.items()}
    result = Result()
    result.counts = {
        "lost prompts": sum(row is None or row["prompt"] != book.prompts[key] for key, row in kept.items()) + book.lost,
        "prompts stored twice": len(rows) - len({row["prompt"] for row in rows}),
        "prompts asked twice": sum(number > 1 for number in asked.values()),
        "cut answers that only waited": sum(
            row["state"] == "interrupted" and str(row["pk"]) not in book.running for row in rows
        ),
        "texts that are no prefix": sum(not WHOLE.startswith(row["content"]) for row in rows),
        "complete answers that are not": sum(row["content"] != WHOLE for row in rows if row["state"] == "completed"),
        "other ends": sum(row["state"] not in ("completed", "interrupted") for row in rows),
        "gaps or repetitions on a socket": book.gaps,
    }
    result.facts = {
        "prompts": f"{len(book.generations)} accepted, {states['completed']} completed, {states['interrupted']} cut",
        "waited at a kill": str(len(book.queued)),
        "sent again without an answer": str(book.again),
        "text behind at the kill": " ".join(f"p{p} {percentile(book.behind_ms, p):.0f} ms" for p in (50, 90, 95, 99)),
        "characters seen and not saved, most": str(max(book.unsaved, default=0)),
    }
    return result


FIGURE = Figure("G1", "kill -9 at random moments, 20 prompts each", run, size=25, unit="kills", seconds=240)
