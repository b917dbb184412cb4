"""Fifty people, each with words of their own; no word reaches another, and the provider's key nobody: P19."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import httpx
import websockets

from tests.reliability.figure import Figure, Result
from tests.reliability.stage import UNLIMITED, Stage
from tests.support.portal import Portal
from tests.support.upstream import Pause, Rst, Script, answer, error, stream

PEOPLE = 50
WORD = re.compile("zq[0-9a-f]{16}")
SCRIPTS = 40
ADMIN_PAGES = ("", "chat/provider/", "chat/provider/1/change/", "chat/languagemodel/", "chat/usagerecord/")


class Person:
    """Somebody with a word in every prompt, and another in every answer; what they see goes through `look`."""

    def __init__(self, name: str, model: str, client: httpx.Client, watch: Watch, dice: random.Random) -> None:
        self.name, self.model, self.client, self.watch, self.dice = name, model, client, watch, dice
        self.asks, self.hears = f"zq{dice.getrandbits(64):016x}", f"zq{dice.getrandbits(64):016x}"
        self.conversations: list[str] = []
        self.seen: set[str] = set()

    def look(self, text: str) -> None:
        """Look for words that are not one's own, and for the key."""
        words = set(WORD.findall(text))
        self.seen |= words
        self.watch.foreign += len(words - {self.asks, self.hears})
        self.watch.look(text)

    def script(self, key: str) -> Script:
        """What the model server answers this person: mostly text, at times a fault; one of them repeats the key."""
        pieces = [part for n in range(self.dice.randrange(5, 40)) for part in (f"{self.hears} {n} ", Pause(0.02))]
        chance = self.dice.random()
        if chance < 0.1:
            return error(401, f"Incorrect API key provided: {key}. You said: {self.asks}", code="invalid_api_key")
        if chance < 0.2:
            return (*stream(*pieces, whole=False), Rst())
        return answer(*pieces)

    async def live(self, portal: Portal, until: float) -> None:
        """Open a tab, use it, lose it, again and again."""
        while time.monotonic() < until:
            with contextlib.suppress(websockets.ConnectionClosed, TimeoutError):
                await self._use_a_tab(portal, until)

    async def _use_a_tab(self, portal: Portal, until: float) -> None:
        connection = (await portal.connect_raw(self.client)).connection
        try:
            models = json.loads(await self._frame(connection))["models"]
            (model,) = (one["id"] for one in models if one["label"] == self.model)
            await connection.send(json.dumps({"type": "watch", "conversation": None}))
            for _ in range(self.dice.randint(1, 3)):
                conversation = self.dice.choice([None, *self.conversations[-2:]])
                prompt = {"key": str(uuid.uuid4()), "conversation": conversation, "text": f"Say {self.asks}."}
                await connection.send(json.dumps({"type": "send", "model": model, **prompt}))
                await self._see_it_through(connection)
                await asyncio.sleep(min(self.dice.random() * 2, max(0.0, until - time.monotonic())))
        finally:
            connection.transport.abort()

    async def _see_it_through(self, connection: websockets.ClientConnection) -> None:
        """Read some of the answer or all of it; at times stop it, follow another's, or leave."""
        left, generation = self.dice.randrange(2, 60), ""
        while left:
            frame = json.loads(await self._frame(connection))
            left -= 1
            if frame["type"] == "accepted":
                generation = frame["generation"]
                self.conversations.append(frame["conversation"])
                self.watch.generations.append(generation)
            elif frame["type"] == "finished" and frame["generation"] == generation:
                return
            elif frame["type"] == "delta" and self.dice.random() < 0.05:
                await connection.send(json.dumps({"type": "stop", "generation": generation}))
            elif frame["type"] == "delta" and self.dice.random() < 0.05:
                somebodys = self.dice.choice(self.watch.generations)
                await connection.send(json.dumps({"type": "follow", "generation": somebodys, "after": 0}))
        raise TimeoutError

    async def _frame(self, connection: websockets.ClientConnection) -> str:
        text = str(await asyncio.wait_for(connection.recv(), 15))
        self.watch.frames += 1
        self.look(text)
        return text

    def read_pages(self, others: Iterable[str]) -> None:
        """One's own pages, and those of others, which are not there."""
        mine = set(self.conversations)
        for conversation in ["", *sorted(mine)[:2], *others]:
            answer_ = self.client.get(f"/chat/{conversation}/" if conversation else "/chat/")
            self.watch.pages += 1
            self.look(answer_.text)
            if conversation and conversation not in mine:
                self.watch.opened += answer_.status_code != 404


class Watch:
    """What all of them saw."""

    def __init__(self, key: str) -> None:
        self.needles = needles(key)
        self.generations: list[str] = []
        self.frames = self.pages = self.foreign = self.opened = self.keys = 0

    def look(self, text: str) -> None:
        """Look for the key."""
        self.keys += any(needle.decode() in text for needle in self.needles)


def needles(key: str) -> set[bytes]:
    """The key in the forms that it may be written in; in base64 wherever in it the key begins."""
    raw = key.encode()
    found = {raw, quote(key, safe="").encode(), quote(key).encode(), raw.hex().encode(), raw.hex().upper().encode()}
    for before in range(3):
        coded = base64.b64encode(b"x" * before + raw)[4 if before else 0 : -4]
        found |= {coded, coded.replace(b"+", b"-").replace(b"/", b"_")}
    return found


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """50 people for `size` seconds."""
    key = f"sk-canary/{dice.getrandbits(96):024x}+{dice.getrandbits(96):024x}"
    models = [f"model-{number}" for number in range(PEOPLE)]
    portal = Portal(stage.upstream.base_url, ",".join(models), None, **{**UNLIMITED, "OPENAI_API_KEY": key})
    stage.portals.append(portal)
    await stage.wait(portal.start)
    names = [f"colleague-{number}" for number in range(PEOPLE)]
    watch = Watch(key)
    clients = await stage.people(portal, *names)
    people = [
        Person(name, model, client, watch, random.Random(dice.random()))
        for name, model, client in zip(names, models, clients, strict=True)
    ]
    for person in people:
        stage.upstream.play(person.model, *(person.script(key) for _ in range(SCRIPTS)))
    until = time.monotonic() + size
    await asyncio.gather(*(person.live(portal, until) for person in people))
    left = await stage.rest(portal)
    ids = [one for person in people for one in person.conversations]
    for person in people:
        await stage.wait(person.read_pages, dice.sample(ids, min(2, len(ids))))
    await stage.wait(_read_as_admin, portal, watch)
    log = portal.log + "\n".join(portal.lines)
    requests = stage.upstream.requests
    result = Result()
    result.count(
        {
            "words that another saw": watch.foreign,
            "pages of another's conversation": watch.opened,
            "words in the log": len(set(WORD.findall(log))),
            "people who saw nothing of their own": sum(not one.seen for one in people),
            "frames and pages with the provider's key": watch.keys,
            "files with the provider's key": await stage.wait(_files_with, portal, watch.needles),
            "requests without the provider's key": sum(_bearer(one.headers) != key for one in requests),
            "words sent upstream for another": sum(_strangers(one.body, one.model, people) for one in requests),
            "left running": left,
        }
    )
    result.count(await stage.faults(portal))
    result.facts["looked at"] = f"{watch.frames:,} frames, {watch.pages:,} pages, {len(requests):,} requests upstream"
    return result


def _read_as_admin(portal: Portal, watch: Watch) -> None:
    admin = portal.login()
    for page in ADMIN_PAGES:
        answer_ = admin.get(f"/admin/{page}")
        assert answer_.status_code == 200, page
        watch.pages += 1
        watch.look(answer_.text)


def _files_with(portal: Portal, forms: set[bytes]) -> int:
    """How many files of the data directory hold it."""
    files = [path for path in portal.data.rglob("*") if path.is_file()]
    return sum(any(form in content for form in forms) for content in (path.read_bytes() for path in files))


def _bearer(headers: dict[str, str]) -> str:
    return headers.get("authorization", "").removeprefix("Bearer ")


def _strangers(body: Any, model: str, people: list[Person]) -> int:
    """Words of others in the request for somebody's model."""
    own = {word for one in people if one.model == model for word in (one.asks, one.hears)}
    return len(set(WORD.findall(json.dumps(body))) - own)


FIGURE = Figure("G17", "Canaries", run, size=60, unit="seconds of 50 people", seconds=300, alone=False)
