"""A fault of the model server, and in the middle of it the portal is killed or ended: each prompt has its end."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass

import pytest

from chat.models import Segment
from tests.support.portal import Portal, Socket
from tests.support.upstream import Upstream
from tests.support.upstream.script import Pause, Script, Send, Stall, error, framed, stream

LETTERS = [Send(bytes([byte])) for byte in framed(b"data: " + b'{"choices":[{"delta":{"content":"never"}}]}')]


@dataclass(frozen=True)
class Fault:
    """What upstream does, the phase in which it is met, and the text that is here by then."""

    script: Script
    phase: str
    text: str = ""


FAULTS = {
    "9 bytes one by one": Fault(
        (*stream("Half", whole=False), *(step for letter in LETTERS for step in (letter, Pause(0.2))), Stall()),
        "writing",
        "Half",
    ),
    "54 silence before the headers": Fault((Stall(),), "waiting"),
    "56 silence in mid-answer": Fault(stream("Half", Stall()), "writing", "Half"),
    "73 a wait before another attempt": Fault(error(429, headers={"Retry-After": "25"}), "retrying"),
}
KILLED = ["9 bytes one by one", "56 silence in mid-answer", "73 a wait before another attempt"]
ENDED = ["54 silence before the headers", "56 silence in mid-answer", "73 a wait before another attempt"]


async def into(fault: Fault, portal: Portal, upstream: Upstream) -> tuple[Socket, str]:
    """A prompt that has met the fault, with what came of its text stored."""
    upstream.play("fake", fault.script)
    socket = await portal.connect()
    generation = (await socket.prompt("hi"))["generation"]
    await socket.next("status", phase=fault.phase)
    if fault.text:
        async with asyncio.timeout(10):
            while not portal.rows(Segment.objects.all()):
                await asyncio.sleep(0.02)
    return socket, generation


@pytest.mark.parametrize("name", KILLED)
async def test_killed_within_a_fault_what_came_is_kept_and_nothing_is_asked_again(
    name: str, new_portal, upstream: Upstream
):
    fault, portal = FAULTS[name], new_portal()
    _, generation = await into(fault, portal, upstream)
    portal.kill()
    portal.start(setup=False)
    row = portal.generation(generation)
    assert (row["state"], row["error_code"], row["content"]) == ("interrupted", "server_restarted", fault.text)
    assert row["usage_state"] == "interrupted" and row["closed_at"]
    assert row["usage_source"] == ("counted" if fault.text else "unknown")
    await asyncio.sleep(0.3)
    assert upstream.count(prompt="hi") == 1


@pytest.mark.parametrize("name", ENDED)
async def test_ended_within_a_fault_the_drain_does_not_wait_for_it(name: str, new_portal, upstream: Upstream):
    fault, portal = FAULTS[name], new_portal(PORTAL_DRAIN_SECONDS="1")
    socket, generation = await into(fault, portal, upstream)
    portal.send_signal(signal.SIGTERM)
    finished = await socket.next("finished", generation=generation)
    assert (finished["state"], finished["code"]) == ("interrupted", "server_shutdown")
    assert await socket.close_code() == 4012
    assert portal.wait(10) == 0
    row = portal.generation(generation)
    assert (row["state"], row["content"], row["usage_state"]) == ("interrupted", fault.text, "interrupted")
    assert upstream.count(prompt="hi") == 1
