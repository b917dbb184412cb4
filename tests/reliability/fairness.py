"""One user sends all that goes, over as many tabs as go; how five others fare: P10."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from typing import Any

import httpx

from chat.models import Generation, Provider
from tests.reliability.figure import Figure, Result, Time, percentile
from tests.reliability.stage import UNLIMITED, Stage, milliseconds
from tests.support.portal import Portal, Socket
from tests.support.upstream import Gate, Pause, answer

OTHERS = tuple(f"colleague-{number}" for number in range(5))
RUNNING, QUEUED, SOCKETS, PROMPTS = 3, 10, 20, 50
LIMITS = {
    "PORTAL_USER_RUNNING": str(RUNNING),
    "PORTAL_USER_QUEUED": str(QUEUED),
    "PORTAL_USER_SOCKETS": str(SOCKETS),
}
TOO_MANY_SOCKETS = 4029
SLOWER = 1.5
AGAIN_SECONDS = 0.5
SHORT = answer(*(step for n in range(5) for step in (f"w{n} ", Pause(0.02))))
LONG = answer(*(step for n in range(60) for step in (f"w{n} ", Pause(0.05))))
ORDER = Generation.objects.filter(started_at__isnull=False).order_by("-started_at")


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` first deltas of five others in peace, and as many beside the greedy one; by turns, in four parts."""
    result = Result()
    portal = Portal(stage.upstream.base_url, "fake,long", None, **{**UNLIMITED, **LIMITS})
    stage.portals.append(portal)
    await stage.wait(portal.start)
    greedy, *others = await stage.people(portal, "owner", *OTHERS)
    tabs = [await stage.connect(portal, one) for one in others]
    many = [await stage.connect(portal, greedy) for _ in range(SOCKETS)]
    await _limits(stage, portal, greedy, many, result)
    stage.upstream.play("fake", SHORT)
    stage.upstream.play("long", LONG)
    await _first_deltas(tabs, dice)
    usual: list[float] = []
    beside: list[float] = []
    refused: Counter[str] = Counter()
    rounds = max(1, size // len(tabs) // 2)
    for _ in range(2):
        for _ in range(rounds):
            usual += await _first_deltas(tabs, dice)
        pressing = [asyncio.create_task(_press(one, refused)) for one in many]
        await asyncio.sleep(2 * AGAIN_SECONDS)  # until its queue is full
        for _ in range(rounds):
            beside += await _first_deltas(tabs, dice)
        for task in pressing:
            task.cancel()
        await asyncio.gather(*pressing, return_exceptions=True)
        await _stop_all(stage, portal, many[0])
    await _turns(stage, portal, tabs, many, result)
    result.count({"left running": await stage.rest(portal)})
    result.count(await stage.faults(portal))
    wait = percentile(usual, 95)
    result.times["others' first delta, p95"] = Time(percentile(beside, 95), SLOWER * wait, wait)
    result.facts["median"] = f"{percentile(beside, 50):.0f} ms (in peace {percentile(usual, 50):.0f} ms)"
    result.facts["refused to the greedy one meanwhile"] = ", ".join(f"{n:,} {code}" for code, n in refused.items())
    return result


async def _first_deltas(tabs: list[Socket], dice: random.Random) -> list[float]:
    """All of them ask at about the same time; the milliseconds until each has its first delta."""

    async def wait(tab: Socket) -> float:
        await asyncio.sleep(dice.random() * 0.05)
        began = time.monotonic()
        generation = (await tab.prompt("How long does it take?"))["generation"]
        await tab.next("delta", generation=generation)
        until = time.monotonic()
        await tab.next("finished", generation=generation)
        return milliseconds(began, until)

    return await asyncio.gather(*map(wait, tabs))


async def _reply(tab: Socket, text: str, model: str = "fake") -> dict[str, Any]:
    """Send a prompt; `accepted` or `refused`."""
    key = str(uuid.uuid4())
    (chosen,) = (one["id"] for one in tab.hello["models"] if one["label"] == model)
    await tab.command("send", key=key, conversation=None, text=text, model=chosen)
    return await tab.until(lambda frame: frame.get("key") == key)


async def _press(tab: Socket, refused: Counter[str]) -> None:
    """One tab of the greedy one: ask, and ask again, for ever."""
    while True:
        reply = await _reply(tab, "Mine first.", "long")
        if reply["type"] == "accepted":
            await tab.next("finished", generation=reply["generation"], seconds=60)
        else:
            refused[reply["code"]] += 1
            await asyncio.sleep(AGAIN_SECONDS)


async def _stop_all(stage: Stage, portal: Portal, tab: Socket) -> None:
    for one in await stage.wait(portal.rows, Generation.objects.unfinished()):
        await tab.command("stop", generation=str(one.pk))
    await stage.rest(portal)


async def _limits(stage: Stage, portal: Portal, greedy: httpx.Client, many: list[Socket], result: Result) -> None:
    """50 prompts over 20 sockets, while nothing ends: 3 run, 10 wait, the others and another socket are refused."""
    stage.upstream.play("fake", answer("a ", Gate("limits"), "b"))
    batches = await asyncio.gather(*(_burst(tab, PROMPTS, number) for number, tab in enumerate(many)))
    replies = Counter(reply.get("code", "accepted") for batch in batches for reply in batch)
    await stage.wait(stage.upstream.wait_for_gate, "limits", RUNNING)
    running = stage.upstream.count()
    code = await (await portal.connect_raw(greedy)).close_code()
    Socket.opened.pop()
    stage.upstream.open("limits")
    left = await stage.rest(portal)
    result.count(
        {
            "prompts taken beyond or below the limit": abs(replies["accepted"] - RUNNING - QUEUED),
            "prompts refused for another reason": PROMPTS - replies["accepted"] - replies["limit_user"],
            "answers at once beyond the limit": max(0, running - RUNNING),
            "sockets taken beyond the limit": int(code != TOO_MANY_SOCKETS),
            "left running": left,
        }
    )


async def _burst(tab: Socket, prompts: int, number: int) -> list[dict[str, Any]]:
    """This tab's share of so many prompts."""
    return [await _reply(tab, f"Mine too, {n}.") for n in range(number, prompts, SOCKETS)]


async def _turns(stage: Stage, portal: Portal, tabs: list[Socket], many: list[Socket], result: Result) -> None:
    """A model server with 3 places, all taken, and ten more of the greedy one in line: the others come before these.

    One of the greedy one's may start before them: it was first in the round.
    """
    await stage.wait(portal.change, lambda: Provider.objects.update(max_parallel=RUNNING))
    stage.upstream.play("fake", answer("a ", Gate("turns"), "b"))
    await asyncio.gather(*(_reply(tab, "Mine all.") for tab in many[: RUNNING + QUEUED]))
    await asyncio.gather(*(_reply(tab, "Mine, please.") for tab in tabs))
    stage.upstream.open("turns")
    await stage.rest(portal)
    names = ORDER.values_list("user__username", flat=True)
    started = (await stage.wait(portal.rows, names))[: RUNNING + QUEUED + len(tabs)]
    in_time = started[::-1][RUNNING : RUNNING + 1 + len(tabs)]
    result.count({"others who waited for two of the greedy one's": len(set(OTHERS) - set(in_time))})


FIGURE = Figure("G15", "Fairness", run, size=60, unit="first deltas", seconds=60)
