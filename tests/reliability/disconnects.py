"""G2: random disconnects, reloads and repeated prompts: every character once, in both tabs and in the database.

A browser sends its prompt one to three times with the same key, loses its connection after a few frames again and again
(a reset of TCP, without a word), and goes on from where it stood; three in ten times it was reloaded and has no
text. A second tab follows all the time. Each answer is another text, of characters that are easily broken, and its
events come cut at any byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
import websockets
from django.db.models import F

from chat.models import Generation
from tests.reliability.figure import Figure, Result
from tests.reliability.stage import Stage
from tests.support.portal import Portal, Socket, Text
from tests.support.upstream import DONE, At, RequestLog, chunk, event, stream, usage_chunk
from tests.support.upstream.script import Part, Script

AT_ONCE = 8
SCRIPTS = 100
"""So many answers are given to the upstream at once."""
RELOADS = 0.3
PIECES = [
    *("word ", "a", " ", "\n", "\r", "\r\n", "\t", "\u2028", "\u2029", "\u0085", "\u000b", "\u000c", "\ufeff", "\x00?"),
    *(
        "e\u0301",
        "\u0301",
        "\U0001f469\u200d\U0001f52c",
        "\U0001f1e6",
        "\U0001f1fa",
        "\U00020000",
        "\U0010fffd",
        "\u200d",
    ),
    *("\u05d0\u202e", "\u0e33", '"', "\\", "\\u2028", "</script>", "data: ", "[DONE]", "```\n", "&amp;"),
]


@dataclass
class Seen:
    """What became of one prompt, as its browser knows it."""

    prompt: str
    key: str
    generation: str = ""
    text: str | None = None
    sha256: str = ""
    gaps: int = 0
    aborts: int = 0
    reloads: int = 0
    sent: int = 0
    other_ids: int = 0


class SecondTab:
    """Follows every answer on one socket that never breaks."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.gaps = 0
        self._ended: dict[str, asyncio.Event] = {}

    async def read(self) -> None:
        """Read until the connection is closed."""
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                try:
                    frame = await self.socket.frame(600)
                except AssertionError:
                    self.gaps += 1
                else:
                    if frame["type"] == "finished":
                        self._ended[frame["generation"]].set()

    async def follow(self, generation: str) -> None:
        """Follow from the beginning."""
        if generation not in self._ended:
            self._ended[generation] = asyncio.Event()
            await self.socket.command("follow", generation=generation, after=0)

    async def text(self, generation: str) -> str | None:
        """The whole text; None when no end comes."""
        try:
            await asyncio.wait_for(self._ended[generation].wait(), 30)
        except TimeoutError:
            return None
        return self.socket.texts[generation].text


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` answers, a few at a time."""
    texts = [[dice.choice(PIECES) * dice.randint(1, 3) for _ in range(dice.randint(40, 100))] for _ in range(size)]
    portal = await stage.portal()
    (owner,) = await stage.people(portal, "owner")
    second = SecondTab(await stage.connect(portal, owner))
    reading = asyncio.create_task(second.read())
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, chances: random.Random) -> Seen:
        async with room:
            return await browse(stage, portal, owner, second, f"prompt {number}", chances)

    seen: list[Seen] = []
    for first in range(0, size, SCRIPTS):
        block = range(first, min(first + SCRIPTS, size))
        stage.upstream.play("fake", *(script(texts[number], dice) for number in block))
        seen += await asyncio.gather(*(one(number, random.Random(dice.random())) for number in block))
    beside = [await second.text(one.generation) for one in seen]
    await second.socket.close()
    await reading
    left = await stage.rest(portal)
    written = ["".join(text) for text in texts]
    result = await stage.wait(judged, portal, seen, beside, written, stage.upstream.requests)
    result.count({"gaps or repetitions on a socket": second.gaps, "answers without an end": left})
    result.count(await stage.faults(portal))
    return result


def script(texts: list[str], dice: random.Random) -> Script:
    """An answer of these deltas, a few milliseconds apart; the bytes of every other event come in two writes."""
    parts: list[Part] = []
    at = 0.0
    for text in texts:
        at += dice.random() * 0.02
        parts.append(At(at))
        data = event(chunk(text))
        cut = dice.randrange(1, len(data)) if dice.random() < 0.5 else len(data)
        parts += [part for part in (data[:cut], data[cut:]) if part]
    return stream(*parts, chunk(finish="stop"), usage_chunk(7, len(texts)), DONE)


async def browse(
    stage: Stage, portal: Portal, client: httpx.Client, second: SecondTab, prompt: str, dice: random.Random
) -> Seen:
    """One browser, from its prompt to the end of the answer."""
    seen = Seen(prompt, str(uuid.UUID(int=dice.getrandbits(128), version=4)))
    known = Text()
    copies = dice.randint(1, 3)
    while seen.text is None:
        socket = await stage.connect(portal, client)
        if seen.generation:
            socket.texts[seen.generation] = known
            place = {"epoch": known.epoch or None, "after": known.seq or 0}
            await socket.command("follow", generation=seen.generation, **place)
        if not seen.generation or seen.sent < copies:
            seen.sent += 1
            await socket.command("send", key=seen.key, conversation=None, text=prompt)
        try:
            await read_some(socket, seen, second, dice.randint(0, 8))
        except AssertionError:
            seen.gaps += 1
        known = socket.texts.get(seen.generation, Text())
        socket.connection.transport.abort()
        if seen.text is None:
            seen.aborts += 1
            if dice.random() < RELOADS:
                seen.reloads += 1
                known = Text()
    return seen


async def read_some(socket: Socket, seen: Seen, second: SecondTab, frames: int) -> None:
    """So many frames, or up to the end of the answer."""
    for _ in range(frames):
        frame = await socket.frame(30)
        if frame["type"] == "accepted":
            seen.other_ids += bool(seen.generation) and seen.generation != frame["generation"]
            seen.generation = frame["generation"]
            await second.follow(seen.generation)
        elif frame["type"] == "finished":
            seen.text, seen.sha256 = socket.texts[seen.generation].text, frame["sha256"]
            return


def judged(
    portal: Portal, seen: list[Seen], beside: list[str | None], written: list[str], requests: list[RequestLog]
) -> Result:
    """Compare byte by byte: the model server plays its texts in the order in which it is asked."""
    expected = dict(
        zip((request.prompt for request in sorted(requests, key=lambda one: one.number)), written, strict=False)
    )
    rows = portal.rows(Generation.objects.values("pk", "state", content=F("message__content")))
    stored = {str(row["pk"]): row for row in rows}
    asked = Counter(request.prompt for request in requests)
    kept: list[dict[str, Any]] = [dict(stored.get(one.generation, {})) for one in seen]
    whole = [expected.get(one.prompt) for one in seen]
    hashes = [hashlib.sha256((text or "").encode()).hexdigest() for text in whole]
    result = Result()
    result.counts = {
        "texts that differ in the browser": sum(one.text != text for one, text in zip(seen, whole, strict=True)),
        "in the second tab": sum(one != text for one, text in zip(beside, whole, strict=True)),
        "in the database": sum(one.get("content") != text for one, text in zip(kept, whole, strict=True)),
        "wrong SHA-256": sum(one.sha256 != sha256 for one, sha256 in zip(seen, hashes, strict=True)),
        "prompts not stored exactly once": abs(len(rows) - len(seen)) + sum(one.other_ids for one in seen),
        "prompts not asked exactly once": sum(asked[one.prompt] != 1 for one in seen),
        "answers not completed": sum(one.get("state") != "completed" for one in kept),
        "gaps or repetitions on a socket": sum(one.gaps for one in seen),
    }
    result.facts = {
        "disconnects": f"{sum(one.aborts for one in seen)}, of them reloads {sum(one.reloads for one in seen)}",
        "prompts sent": str(sum(one.sent for one in seen)),
        "bytes compared": f"{sum(len((text or '').encode()) for text in whole):,}",
    }
    return result


FIGURE = Figure(
    "G2", "Disconnects at random, reloads, a second tab", run, size=100, unit="answers", seconds=180, alone=False
)
