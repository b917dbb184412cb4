"""What no page would send, over real sockets: answered as documented, and nothing has changed (see hostile)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import websockets

from tests.reliability.figure import Figure, Result
from tests.reliability.hostile import FRAME_BYTES, Attacker, Hostile, Known, wire
from tests.reliability.stage import Stage
from tests.support.portal import Portal, Socket
from tests.support.upstream import answer

BATCH = 20
"""Unreadable commands that a socket may send within 10 s."""
FLOOD = 3 * BATCH
WORKERS = 6
WARM_UP = 0.1
MEMORY_MB = 20
TOO_LARGE, TOO_FAST = 1009, 4008


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` frames of one who is logged in, and has heard of somebody else's ids."""
    result = Result()
    portal = await stage.portal(PORTAL_SOCKET_COMMANDS_PER_SECOND="0")
    owner, colleague = await stage.people(portal, "owner", "colleague")
    stage.upstream.play("fake", answer("Fine, ", "thanks."))
    theirs = await (await stage.connect(portal, owner)).prompt("How are you?")
    own_key = str(uuid.uuid4())
    socket = await stage.connect(portal, colleague)
    await socket.prompt("And you?", key=own_key)
    await stage.rest(portal)
    known = Known(theirs["conversation"], theirs["assistant_message"], theirs["generation"], own_key)
    before = await stage.wait(_content, portal)
    attack = _Attack(portal, colleague, Attacker(known, dice), dice)
    await attack.play(round(size * WARM_UP))
    memory = await stage.memory(portal)
    await attack.play(size - attack.sent)
    grown = await stage.memory(portal) - memory
    changed = await stage.wait(_changed, portal, before)
    # Not on the socket from before: whoever reads nothing for minutes is let go.
    socket = await stage.connect(portal, colleague)
    finished = await socket.ask("Still there?")
    finished_text = socket.texts[finished["generation"]].text
    result.count(attack.wrong)
    result.count(
        {
            "tables that changed": changed,
            "errors in the log": portal.log.count(" ERROR "),
            "prompts that fail afterwards": int((finished["state"], finished_text) != ("completed", "Fine, thanks.")),
            "requests upstream": stage.upstream.count() - 3,
            f"MB of memory beyond {MEMORY_MB}": max(0, math.ceil(grown - MEMORY_MB)),
        }
    )
    result.count(await stage.faults(portal))
    result.facts["frames"] = f"{attack.sent:,} over {attack.sockets:,} sockets"
    result.facts["answered"] = ", ".join(f"{code} {count:,}" for code, count in sorted(attack.answers.items()))
    result.facts["closed with"] = ", ".join(f"{code} × {count}" for code, count in sorted(attack.closed.items()))
    result.facts["memory"] = f"{grown:+.0f} MB"
    return result


class _Attack:
    """Opens sockets and sends; counts what came."""

    def __init__(self, portal: Portal, client: httpx.Client, attacker: Attacker, dice: random.Random) -> None:
        self.portal, self.client, self.attacker, self.dice = portal, client, attacker, dice
        self.sent = self.sockets = 0
        self.answers: Counter[str] = Counter()
        self.closed: Counter[int] = Counter()
        self.wrong = {"frames not answered as documented": 0, "wrong close codes": 0}

    async def play(self, frames: int) -> None:
        """So many frames, over several sockets at once."""
        until = self.sent + frames
        batches = self._batches(until)

        async def work() -> None:
            for batch in batches:
                await batch

        await asyncio.gather(*(work() for _ in range(WORKERS)))

    def _batches(self, until: int) -> Iterator[Any]:
        """Made here and counted at once: the dice fall in the same order however the sockets take turns."""
        while self.sent < until:
            chance = self.dice.random()
            if chance < 0.02:
                self.sent += 1
                yield self._break(*wire(self.dice))
            elif chance < 0.03:
                self.sent += 1
                yield self._too_large(self.dice.randrange(1, 100_000))
            elif chance < 0.45:
                self.sent += FLOOD
                yield self._flood([self.attacker.unreadable() for _ in range(FLOOD)])
            else:
                self.sent += BATCH
                yield self._send([self.attacker.next() for _ in range(BATCH)])

    async def _open(self) -> Socket:
        self.sockets += 1
        socket = await self.portal.connect(self.client)
        Socket.opened.remove(socket)
        return socket

    async def _send(self, batch: list[Hostile]) -> None:
        """Each frame gets one answer; what is asked last works."""
        socket = await self._open()
        came: Counter[str] = Counter()
        with contextlib.suppress(websockets.ConnectionClosed, TimeoutError):  # what is missing is counted
            for one in batch:
                await socket.connection.send(one.payload)
            for _ in batch:
                came[_name(await socket.frame())] += 1
            await socket.command("hb")
            came[_name(await socket.frame())] += 1
        socket.connection.transport.abort()
        self.answers += came
        exact = Counter(answer for one in batch for answer in one.answers if len(one.answers) == 1)
        exact["hb"] += 1
        either = {answer for one in batch for answer in one.answers if len(one.answers) > 1}
        self.wrong["frames not answered as documented"] += sum((exact - came).values()) + sum(
            count for name, count in (came - exact).items() if name not in either
        )

    async def _flood(self, batch: list[Hostile]) -> None:
        """20 are answered, then the door is closed."""
        socket = await self._open()
        with contextlib.suppress(websockets.ConnectionClosed):
            for one in batch:
                await socket.connection.send(one.payload)
        await self._is_closed(socket, {TOO_FAST})
        came = [_name(frame) for frame in socket.frames if frame["type"] == "error"]
        self.answers.update(came)
        expected = [next(iter(one.answers)) for one in batch[:BATCH]]
        self.wrong["frames not answered as documented"] += came != expected

    async def _too_large(self, beyond: int) -> None:
        socket = await self._open()
        await socket.connection.send("x" * (FRAME_BYTES + beyond))
        await self._is_closed(socket, {TOO_LARGE})

    async def _break(self, data: bytes, codes: set[int]) -> None:
        """Past the client's library, which would never write this."""
        socket = await self._open()
        socket.connection.transport.write(data)
        await self._is_closed(socket, codes)

    async def _is_closed(self, socket: Socket, codes: set[int]) -> None:
        try:
            code = await socket.close_code()
        except TimeoutError:
            code = 0
        self.closed[code] += 1
        self.wrong["wrong close codes"] += code not in codes
        socket.connection.transport.abort()


def _name(frame: dict[str, Any]) -> str:
    return f"{frame['type']} {frame['code']}" if "code" in frame else str(frame["type"])


def _content(portal: Portal) -> dict[str, str]:
    """A fingerprint of every table."""
    return {
        table: hashlib.sha256(repr(rows).encode()).hexdigest()
        for table, rows in portal.database.tables().items()
        if table != "chat_selfcheck"
    }


def _changed(portal: Portal, before: dict[str, str]) -> int:
    """How many tables hold something else now."""
    after = _content(portal)
    return sum(after[table] != before[table] for table in before)


FIGURE = Figure("G5", "Hostile frames", run, size=50_000, unit="frames", seconds=300, alone=False)
