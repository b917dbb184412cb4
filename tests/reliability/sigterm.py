"""G9: SIGTERM while ten answers are written, two wait, and somebody has sent half of an HTTP request.

Three of the answers end within the drain and have to be completed, the others are cut and kept; every browser is told
and closed with 4012; nobody new is let in; the two that waited are answered by the next start. The control is the same
signal to a portal that has nothing to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import socket as sockets
import time
from collections import Counter
from typing import Any

import httpx
import websockets

from chat.models import Generation
from tests.reliability.figure import Figure, Result, Time
from tests.reliability.stage import Stage, milliseconds
from tests.support.portal import Portal, Socket
from tests.support.upstream import Gate, Pause, answer

DRAIN, GRACE = 1, 2
RUNNING, ENDING, WAITING, IDLE = 10, 3, 2, 3
RESTARTING = 4012
WORDS = [f"w{number} " for number in range(2000)]
WHOLE = "".join(WORDS)
AFTER = "answered by the next start"


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` signals to the same portal, each time started again, and one more when it has nothing to do."""
    portal = await stage.portal(PORTAL_DRAIN_SECONDS=str(DRAIN), PORTAL_USER_RUNNING=str(RUNNING))
    (owner,) = await stage.people(portal, "owner")
    result, took, left = Result(), [], 0
    for number in range(size):
        took.append(await one_signal(stage, portal, owner, result, number, dice))
        await stage.restart(portal)
        left += await stage.rest(portal)
    idle = await stage.connect(portal, owner)
    control = await terminate(stage, portal, [idle], result)
    asked = Generation.objects.filter(message__parent__content__startswith="waiting ")
    waited = await stage.wait(portal.rows, asked.values_list("state", "message__content"))
    right = waited.count(("completed", AFTER))
    result.count(
        {"waiting prompts that were not answered": size * WAITING - right, "answers without an end": left}
        | await stage.faults(portal)
    )
    result.times["from the signal to the exit, most"] = Time(max(took), (DRAIN + GRACE) * 1000, control)
    result.facts = {
        "each time": f"{RUNNING} answers, {ENDING} of which end in time, {WAITING} waiting, {IDLE + 1} browsers",
        "drain": f"{DRAIN} s",
    }
    return result


async def one_signal(
    stage: Stage, portal: Portal, owner: httpx.Client, result: Result, number: int, dice: random.Random
) -> float:
    """Fill the portal, end it, and look at what it kept; the milliseconds it took to end."""
    gate = f"ends in time {number}"
    ending = answer("almost ", Gate(gate), "done")
    endless = answer(*(step for word in WORDS for step in (word, Pause(0.01))))
    stage.upstream.play("fake", *[ending] * ENDING, *[endless] * (RUNNING - ENDING), answer(AFTER))
    busy = await stage.connect(portal, owner)
    others = [await stage.connect(portal, owner) for _ in range(IDLE)]
    running = [(await busy.prompt(f"running {number}.{one}"))["generation"] for one in range(RUNNING)]
    await busy.until(lambda frame: all(busy.texts[one].text for one in running))
    for one in range(WAITING):
        await busy.prompt(f"waiting {number}.{one}")
    half_sent = sockets.create_connection(("127.0.0.1", portal.port))
    half_sent.sendall(b"GET /chat/ HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    with contextlib.suppress(TimeoutError):
        await busy.until(lambda frame: False, dice.random())
    took = await terminate(stage, portal, [busy, *others], result, gate)
    half_sent.close()
    rows = {one: await stage.wait(portal.generation, one) for one in running}
    result.count(judged(rows, busy))
    return took


async def terminate(stage: Stage, portal: Portal, sockets_: list[Socket], result: Result, gate: str = "") -> float:
    """Send the signal, listen to what the browsers are told, try to come in; the milliseconds until it has ended."""
    listening = [asyncio.create_task(listen(socket)) for socket in sockets_]
    began = time.monotonic()
    portal.send_signal(signal.SIGTERM)
    ending = asyncio.create_task(stage.wait(portal.wait))
    told = await asyncio.gather(*(listened(socket) for socket in sockets_))
    let_in = await stage.wait(comes_in, portal)
    if gate:
        await stage.wait(stage.upstream.open, gate)
    code = await ending
    took = milliseconds(began, time.monotonic())
    closes = await asyncio.gather(*listening)
    result.count(
        {
            "exit codes other than 0": int(code != 0),
            "browsers that were not told": told.count(False),
            "browsers not closed with 4012": sum(code != RESTARTING for code in closes),
            "connections that were let in": int(let_in),
        }
    )
    return took


async def listen(socket: Socket) -> int:
    """Read to the end; the close code."""
    try:
        while True:
            await socket.frame(60)
    except websockets.ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


async def listened(socket: Socket) -> bool:
    """Whether the socket was told, at the latest when it is closed."""
    while not (told := any(frame["type"] == "restart" for frame in socket.frames)):
        if socket.connection.close_code is not None:
            return False
        await asyncio.sleep(0.01)
    return told


def comes_in(portal: Portal) -> bool:
    """Whether a new connection is still taken."""
    try:
        sockets.create_connection(("127.0.0.1", portal.port), timeout=2).close()
    except OSError:
        return False
    return True


def judged(rows: dict[str, dict[str, Any]], busy: Socket) -> dict[str, int]:
    """What the database kept, against what was on the screen."""
    states = Counter((row["state"], row["error_code"]) for row in rows.values())
    cut = [one for one, row in rows.items() if row["state"] == "interrupted"]
    done = [one for one, row in rows.items() if row["state"] == "completed"]
    return {
        "answers that ended in time and are not completed": abs(states["completed", ""] - ENDING),
        "cut answers that do not say so": abs(states["interrupted", "server_shutdown"] - (RUNNING - ENDING)),
        "texts other than on the screen": sum(
            not busy.texts[one].text or rows[one]["content"] != busy.texts[one].text for one in rows
        ),
        "texts that are no prefix": sum(not WHOLE.startswith(rows[one]["content"]) for one in cut)
        + sum(rows[one]["content"] != "almost done" for one in done),
    }


FIGURE = Figure("G9", "SIGTERM in mid-answer", run, size=5, unit="signals", seconds=120)
