"""Two hundred browsers whose portal is restarted: how soon all of them are back, with the page's own back-off.

The control is the same two hundred at a portal that was there all the time, all at once.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time

import httpx
import websockets

from tests.reliability.figure import Figure, Result, Time, percentile
from tests.reliability.stage import Stage, milliseconds
from tests.support.portal import Portal, Socket
from tests.support.upstream import answer

TABS = 20
"""Of one person."""

PROMISED_MS, GIVEN_UP_SECONDS = 3000, 30
SHORTEST, GROWTH, LONGEST = 0.5, 1.5, 15.0
"""Seconds between two tries, as in static/chat/js/socket.js: it draws below a limit that grows with each."""

RESTARTING = 4012
WORDS = "said before the restart"


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` browsers, each of which follows a stored answer again as soon as it is back."""
    stage.upstream.play("fake", answer(WORDS))
    portal = await stage.portal()
    people = await stage.people(portal, *(f"colleague-{number}" for number in range(-(-size // TABS))))
    clients = [people[number // TABS] for number in range(size)]
    answers = {}
    for person in people:
        answers[person] = (await (await stage.connect(portal, person)).ask("Say it."))["generation"]
    began = time.monotonic()
    sockets = await asyncio.gather(*(_timed(stage, portal, client) for client in clients))
    control = percentile([milliseconds(began, at) for at, _ in sockets], 95)

    portal.send_signal(signal.SIGTERM)
    codes = await asyncio.gather(*(socket.close_code(GIVEN_UP_SECONDS) for _, socket in sockets))
    await stage.wait(portal.wait)
    tries = [asyncio.create_task(_back(stage, portal, client, dice)) for client in clients]
    await stage.restart(portal)
    ready = time.monotonic()
    back = await asyncio.gather(*tries)
    took = sorted(max(0.0, milliseconds(ready, at)) for at, _ in back)
    texts = await asyncio.gather(
        *(_read_again(socket, answers[client]) for (_, socket), client in zip(back, clients, strict=True) if socket)
    )
    result = Result()
    result.count(
        {
            "browsers not closed with 4012": sum(code != RESTARTING for code in codes),
            f"browsers not back after {GIVEN_UP_SECONDS} s": sum(socket is None for _, socket in back),
            "texts that differ": sum(text != WORDS for text in texts),
        }
    )
    result.count(await stage.faults(portal))
    result.times["from the ready portal to hello, p95"] = Time(percentile(took, 95), PROMISED_MS, control)
    result.facts["median"] = f"{percentile(took, 50):,.0f} ms"
    result.facts["the last one"] = f"{took[-1]:,.0f} ms"
    return result


async def _timed(stage: Stage, portal: Portal, client: httpx.Client) -> tuple[float, Socket]:
    socket = await stage.connect(portal, client)
    return time.monotonic(), socket


async def _back(stage: Stage, portal: Portal, client: httpx.Client, dice: random.Random) -> tuple[float, Socket | None]:
    """When it had its hello, and the socket; infinite and None when it never had one."""
    attempt, until = 0, time.monotonic() + GIVEN_UP_SECONDS
    while time.monotonic() < until:
        try:
            return await _timed(stage, portal, client)
        except (OSError, TimeoutError, websockets.WebSocketException):
            attempt += 1
            await asyncio.sleep(dice.random() * min(LONGEST, SHORTEST * GROWTH ** min(attempt, 10)))
    return float("inf"), None


async def _read_again(socket: Socket, generation: str) -> str:
    await socket.command("follow", generation=generation, after=0)
    await socket.next("finished", generation=generation)
    return socket.texts[generation].text


FIGURE = Figure("G19", "Everybody back after a restart", run, size=200, unit="browsers", seconds=60)
