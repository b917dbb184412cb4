"""What a model server that is down costs everybody else, beside a portal whose servers all answer.

Two portals on the same machine, with the same three providers: in one of them the port of `dead` is closed and `deaf`
takes connections and says nothing. People keep asking both. Pages and answers of both portals are measured in pairs.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import django
import httpx

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()  # portals' databases are asked through the models

from django.contrib.auth import get_user_model

from tests.reliability.stage import Stage
from tests.support.portal import Portal, Socket, free_port
from tests.support.upstream import Stall, answer, document

DOWN = ("dead", "deaf")
PAGES = {"chat": "/chat/", "providers": "/admin/chat/provider/", "models": "/admin/chat/languagemodel/"}
PAIR_SECONDS, ASKED_SECONDS = 2.0, 20.0
BACK_SECONDS = 330.0
"""The longest pause between two probes, and a little more."""
RATIO = 1.25
"""Medians of the same page in both portals may differ by so much."""


@dataclass
class Side:
    """A portal with its owner, what was measured of it, and what was wrong."""

    portal: Portal
    client: httpx.Client
    socket: Socket
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    async def measure(self) -> None:
        """Every page once, and an answer of the third provider."""
        for name, path in PAGES.items():
            began = time.perf_counter()
            page = await asyncio.to_thread(self.client.get, path)
            self.seconds[f"page {name}"].append(time.perf_counter() - began)
            self.wrong["pages without 200"] += page.status_code != 200
        began = time.perf_counter()
        running = await self.socket.prompt("How are you?")
        await self.socket.next("delta", generation=running["generation"])
        self.seconds["first words"].append(time.perf_counter() - began)
        finished = await self.socket.next("finished", generation=running["generation"])
        self.wrong["answers of the third provider that failed"] += finished["state"] != "completed"
        self.socket.frames.clear()

    async def models(self) -> dict[str, dict[str, Any]]:
        """What a page that opens now is told of each model."""
        other = await self.portal.connect(self.client)
        Socket.opened.remove(other)
        await other.close()
        return {model["label"]: model for model in other.hello["models"]}

    async def marked(self) -> set[str]:
        """The models that are said not to answer."""
        return {label for label, model in (await self.models()).items() if model.get("stats", {}).get("failing", False)}


async def ask_those_that_are_down(stage: Stage, side: Side) -> None:
    """People who don't look at the mark, for ever."""
    socket = await stage.connect(side.portal, side.client)
    ids = {label: model["id"] for label, model in (await side.models()).items()}
    while True:
        for name in DOWN:
            await socket.prompt("Are you there?", model=ids[name])
        until = time.monotonic() + ASKED_SECONDS
        while (left := until - time.monotonic()) > 0:
            try:
                frame = await socket.frame(left)
            except TimeoutError:
                break
            side.wrong["answers of a server that is down"] += (
                frame["type"] == "finished" and frame["state"] == "completed"
            )
        socket.frames.clear()
        socket.texts.clear()


async def outage(minutes: float) -> int:
    """Measure for so long, print what was seen, and return the exit code."""
    async with Stage() as stage:
        stage.upstream.play("fake", answer("I am ", "fine, ", "thank you."))
        for name in DOWN:
            stage.upstream.play(name, answer("Yes."))
        deaf = await stage.new_upstream()
        deaf.play("deaf", (Stall(),))
        deaf.play("GET /v1/models", (Stall(),))
        closed = free_port()

        sides = []
        for down in (True, False):
            portal = await stage.portal()
            (owner,) = await stage.people(portal, "owner")
            portal.change(lambda: get_user_model().objects.update(is_staff=True, is_superuser=True))
            dead_url = f"http://127.0.0.1:{closed}/v1" if down else stage.upstream.base_url
            deaf_url = deaf.base_url if down else stage.upstream.base_url
            portal.add_provider("dead", dead_url, max_retries=0)
            portal.add_provider("deaf", deaf_url, max_retries=0, first_byte_seconds=10.0)
            sides.append(Side(portal, owner, await stage.connect(portal, owner)))
        ours, control = sides
        asking = asyncio.create_task(ask_those_that_are_down(stage, ours))
        began = time.monotonic()
        marked_after: float | None = None
        pair = 0
        try:
            while time.monotonic() < began + 60 * minutes:
                for side in sides if pair % 2 else reversed(sides):
                    await side.measure()
                pair += 1
                marks = await ours.marked()
                if marked_after is None and marks == set(DOWN):
                    marked_after = time.monotonic() - began
                is_other = marked_after is not None and marks != set(DOWN)
                ours.wrong["looks at which the marks were not those two"] += is_other
                ours.wrong["tasks that ended"] += asking.done()
                if pair % 150 == 0:
                    print(f"{(time.monotonic() - began) / 60:5.1f} min  {pair} pairs", flush=True)
                await asyncio.sleep(PAIR_SECONDS)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        marked = "never" if marked_after is None else f"after {marked_after:.0f} s"
        print(f"down for {minutes:g} min, both marked {marked}; {pair} pairs, medians")
        slow = False
        for name in ours.seconds:
            with_, without = (statistics.median(side.seconds[name]) * 1000 for side in sides)
            slow |= with_ > RATIO * without
            print(f"  {name:15} {with_:7.1f} ms, all answering {without:7.1f} ms, ratio {with_ / without:.2f}")
        probes = sum(request.method == "GET" for request in deaf.requests)
        print(f"  tried again in the background: deaf {probes} times")
        back_after = await back(stage, ours, closed)
        print(f"  the server at the closed port is back: mark gone after {back_after:.0f} s, without being asked")
        wrong = ours.wrong | {f"{name} (all answering)": count for name, count in control.wrong.items()}
        for side in sides:
            faults = await stage.faults(side.portal)
            wrong |= {name: wrong.get(name, 0) + count for name, count in faults.items()}
        for name, count in wrong.items():
            print(f"  {name}: {count}")
        return int(slow or marked_after is None or any(wrong.values()) or back_after >= BACK_SECONDS)


async def back(stage: Stage, side: Side, port: int) -> float:
    """Seconds until a server that listens again has lost its mark."""
    upstream = await stage.wait(lambda: type(stage.upstream).start(port=port))
    stage.upstreams.append(upstream)
    upstream.play("GET /v1/models", document({"data": []}))
    began = time.monotonic()
    while "dead" in await side.marked() and time.monotonic() < began + BACK_SECONDS:
        await asyncio.sleep(1)
    return time.monotonic() - began


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run.py bench outage", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    minutes: float = parser.parse_args(arguments).minutes
    return asyncio.run(outage(minutes))
