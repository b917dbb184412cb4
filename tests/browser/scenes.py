"""The states of the pages, each brought about as a person would: for pictures, and for whatever looks at all of them.

A scene is a context manager: within it the page is in its state; afterwards nothing runs on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import F
from django.utils import timezone
from playwright.sync_api import Browser, Locator, Page, expect

from chat.models import Conversation, Message, Provider, UsageRecord
from tests.support.portal import Portal, Socket
from tests.support.upstream import Upstream
from tests.support.upstream.script import At, Fin, Gate, Part, Rst, Script, chunk, error, stream, usage_chunk

MODELS = ("gpt-4o-mini", "qwen2.5-7b-instruct")
TOKEN = re.compile(r"\s*\S{1,5}|\s+\Z")
FIRST_TOKEN, PER_SECOND = 0.4, 50
TEXTS: dict[str, Any] = json.loads((Path(__file__).parent / "scenes.json").read_text())
"""What people ask here, and what they are told: lists of [prompt, answer]."""


def paced(text: str, *more: Part, prompt_tokens: int, pace: bool, finish: str | None = "stop") -> Script:
    """An answer about a token at a time, with pauses as a model makes them, when there is a pace."""
    tokens = TOKEN.findall(text)
    parts: list[Part] = []
    for number, token in enumerate(tokens):
        # No model writes evenly.
        wobble = 0.25 * (number * 7 % 5) / PER_SECOND
        parts += [At(FIRST_TOKEN + number / PER_SECOND + wobble)] if pace else []
        parts.append(token)
    parts += more
    if finish is not None:
        parts += [chunk(finish=finish), usage_chunk(prompt_tokens, len(tokens)), b"data: [DONE]\n\n"]
    return stream(*parts, whole=finish is not None)


@dataclass
class Stage:
    """A portal with people and conversations in it.

    pace  answers take their time, so that their receipts show what one sees in daily life
    """

    portal: Portal
    upstream: Upstream
    pace: bool = False
    addresses: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def furnished(cls, upstream: Upstream, pace: bool = False) -> Iterator[Stage]:
        """Everybody has asked something."""
        portal = Portal(upstream.base_url, ",".join(MODELS), PORTAL_ADMIN_USER="staff", PORTAL_USER_RUNNING="0")
        try:
            stage = cls(portal.start(), upstream, pace)
            portal.clients_of("owner", "colleague")
            colleague = get_user_model().objects.filter(username="colleague")
            portal.change(lambda: colleague.update(is_staff=True))
            with ThreadPoolExecutor(1) as thread:  # Playwright keeps a loop in this one
                thread.submit(lambda: asyncio.run(stage._converse())).result()
            portal.change(lambda: Conversation.objects.update(seen_at=timezone.now()))
            for number, name in enumerate(("long", *(f"owner{number}" for number in range(len(TEXTS["owner"]))))):
                stage._date_back(name, 2 * number * number)
            yield stage
        finally:
            portal.remove()

    async def _converse(self) -> None:
        """One prompt of each conversation at once, then the long one."""
        sockets = {}
        for who in ("owner", "colleague"):
            sockets[who] = await self.portal.connect(*await asyncio.to_thread(self.portal.clients_of, who))
        running = []
        for who in ("owner", "colleague"):
            for number, turn in enumerate(TEXTS[who]):
                accepted = await self._ask(sockets[who], turn[0], turn[1], None)
                self.addresses[f"{who}{number}"] = f"{self.portal.url}/chat/{accepted['conversation']}/"
                running.append((sockets[who], accepted["generation"]))
        for socket, generation in running:
            while not self.portal.generation(generation)["finished_at"]:
                await socket.frame()
        conversation = None
        for prompt, text in TEXTS["long"]:
            accepted = await self._ask(sockets["owner"], prompt, text, conversation)
            conversation = accepted["conversation"]
            await sockets["owner"].next("finished", generation=accepted["generation"])
        self.addresses["long"] = f"{self.portal.url}/chat/{conversation}/"
        for socket in sockets.values():
            await socket.close()

    async def _ask(self, socket: Socket, prompt: str, text: str, conversation: str | None) -> dict[str, Any]:
        """The `accepted`; the model server has begun to answer."""
        asked = len(self.upstream.requests)
        models = {one["label"]: one["id"] for one in socket.hello["models"]}
        self.play(text, prompt_tokens=len(prompt) // 4 + (9 if conversation is None else 190))
        accepted = await socket.prompt(prompt, conversation, model=models[MODELS[asked % 4 == 3]])
        await asyncio.to_thread(self.upstream.wait_for_requests, asked + 1)
        return accepted

    def play(self, text: str, *more: Part, prompt_tokens: int = 64, finish: str | None = "stop") -> None:
        """The next answer of any model."""
        for model in MODELS:
            self.upstream.play(model, paced(text, *more, prompt_tokens=prompt_tokens, pace=self.pace, finish=finish))

    def _date_back(self, name: str, hours: int) -> None:
        conversation, earlier = id_of(self.addresses[name]), timedelta(hours=hours)

        def change() -> None:
            Conversation.objects.filter(pk=conversation).update(updated_at=F("updated_at") - earlier)
            Message.objects.filter(conversation=conversation).update(created_at=F("created_at") - earlier)
            records = UsageRecord.objects.filter(generation__message__conversation=conversation)
            records.update(created_at=F("created_at") - earlier)

        self.portal.change(change)

    def forget(self, address: str) -> None:
        """Delete a conversation."""
        self.portal.change(lambda: Conversation.objects.filter(pk=id_of(address)).update(deleted_at=F("seen_at")))

    def new_page(self, browser: Browser, width: int, height: int, theme: str, who: str | None = "owner") -> Page:
        """A page of a browser in which `who` is logged in."""
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
            has_touch=width < 640,
        )
        if who is not None:
            (client,) = self.portal.clients_of(self.portal.admin_user if who == "staff" else who)
            cookies = [{"name": c.name, "value": c.value or "", "url": self.portal.url} for c in client.cookies.jar]
            context.add_cookies(cookies)  # type: ignore[arg-type]
        return context.new_page()


@dataclass(frozen=True)
class Scene:
    """A name for the picture's file, who looks, and how it comes about; `widths`: only there."""

    name: str
    play: Callable[[Stage, Page], contextlib.AbstractContextManager[object]]
    who: str | None = "owner"
    widths: tuple[int, ...] = ()


def id_of(address: str) -> uuid.UUID:
    """The id of a conversation with this address."""
    return uuid.UUID(address.rstrip("/").rpartition("/")[2])


def answers(page: Page) -> Locator:
    return page.locator("[data-message-id][data-role=assistant]")


def open_page(stage: Stage, page: Page, address: str) -> None:
    page.goto(stage.portal.url + address if address.startswith("/") else address)


def ask(page: Page, prompt: str) -> Locator:
    """Ask, and wait until there is an answer; returns it."""
    count = answers(page).count()
    page.locator("textarea[name=prompt]").fill(prompt)
    page.locator("button[data-action=send]").click()
    answer = answers(page).nth(count)
    expect(answer).to_have_attribute("data-generation", re.compile("."))
    return answer


def at(address: str) -> Callable[[Stage, Page], contextlib.AbstractContextManager[object]]:
    """A page that only has to be opened."""

    @contextlib.contextmanager
    def play(stage: Stage, page: Page) -> Iterator[None]:
        open_page(stage, page, stage.addresses.get(address, address))
        yield

    return play


@contextlib.contextmanager
def fresh(stage: Stage, page: Page) -> Iterator[None]:
    """A new conversation that nobody sees afterwards."""
    open_page(stage, page, "/chat/")
    yield
    stage.forget(page.url)


@contextlib.contextmanager
def login_wrong(stage: Stage, page: Page) -> Iterator[None]:
    open_page(stage, page, "/accounts/login/")
    page.locator("input[autocomplete=username]").fill("owner")
    page.locator("input[type=password]").fill("not this one")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    yield


@contextlib.contextmanager
def streaming(stage: Stage, page: Page) -> Iterator[None]:
    """The second turn, in the middle of its table."""
    (first, told), (second, text) = TEXTS["live"]
    half = text.index("\n", text.index("| batches"))
    gate = f"scene{len(stage.upstream.requests)}"
    with fresh(stage, page):
        stage.play(told, prompt_tokens=19)
        expect(ask(page, first)).to_have_attribute("data-state", "completed")
        stage.play(text[:half], Gate(gate), text[half:], prompt_tokens=214)
        answer = ask(page, second)
        stage.upstream.wait_for_gate(gate, timeout=15)
        expect(answer.locator("td", has_text="batches")).to_be_visible()
        yield
        stage.upstream.open(gate)
        expect(answer).to_have_attribute("data-state", "completed")


@contextlib.contextmanager
def failed(stage: Stage, page: Page) -> Iterator[None]:
    """A model server that went away in the middle."""
    prompt, text = TEXTS["live"][0]
    with fresh(stage, page):
        stage.play(text[: text.index("```")], Rst(), finish=None)
        expect(ask(page, prompt)).to_have_attribute("data-state", "failed")
        yield


@contextlib.contextmanager
def retrying(stage: Stage, page: Page) -> Iterator[None]:
    """A busy model server that asks to wait."""
    with fresh(stage, page):
        for model in MODELS:
            stage.upstream.play(model, error(503, headers={"Retry-After": "25"}))
        answer = ask(page, TEXTS["live"][0][0])
        expect(answer.locator("[data-part=phase]")).to_contain_text("Attempt 2")
        yield
        page.locator("button[data-action=stop]").click()
        expect(answer).to_have_attribute("data-state", "stopped")


@contextlib.contextmanager
def incomplete(stage: Stage, page: Page) -> Iterator[None]:
    """One answer was cut at its limit, twice; another one was stopped by its reader."""
    prompt, text = TEXTS["owner"][0]
    gate = f"scene{len(stage.upstream.requests)}"
    with fresh(stage, page):
        stage.play(text[: len(text) // 3], prompt_tokens=30, finish="length")
        expect(ask(page, prompt)).to_have_attribute("data-state", "completed")
        answers(page).first.locator("[data-action=again]").click()
        expect(answers(page).first.locator("[data-part=place]")).to_have_text("2/2")
        expect(answers(page).first).to_have_attribute("data-state", "completed")
        stage.play(text[: len(text) // 2], Gate(gate), Fin(), finish=None)
        answer = ask(page, "Once more, for people who have never seen a terminal.")
        stage.upstream.wait_for_gate(gate, timeout=15)
        page.locator("button[data-action=stop]").click()
        expect(answer).to_have_attribute("data-state", "stopped")
        yield


@contextlib.contextmanager
def receipt(stage: Stage, page: Page) -> Iterator[None]:
    open_page(stage, page, stage.addresses["long"])
    answers(page).last.locator("details[data-part=receipt] > summary").click()
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    yield


@contextlib.contextmanager
def panel(stage: Stage, page: Page) -> Iterator[None]:
    open_page(stage, page, stage.addresses["long"])
    page.locator("[data-action=options]").click()
    options = page.locator("[data-part=panel]")
    for name, value in (("system_prompt", TEXTS["instruction"]), ("temperature", "0.2"), ("max_tokens", "2000")):
        expect(options.locator(f"[name={name}]")).to_be_editable()
        options.locator(f"[name={name}]").fill(value)
        options.locator(f"[name={name}]").blur()
    yield


@contextlib.contextmanager
def keys(stage: Stage, page: Page) -> Iterator[None]:
    open_page(stage, page, stage.addresses["long"])
    page.locator("[data-part=title]").click()
    page.keyboard.press("?")
    expect(page.locator("[data-part=keys]")).to_be_visible()
    yield


@contextlib.contextmanager
def drawer(stage: Stage, page: Page) -> Iterator[None]:
    open_page(stage, page, stage.addresses["long"])
    page.locator("[popovertarget=sidebar]").first.click()
    expect(page.locator("#sidebar")).to_be_visible()
    yield


@contextlib.contextmanager
def menus(stage: Stage, page: Page) -> Iterator[None]:
    """All that folds out of the sidebar, and a conversation that may still come back."""
    open_page(stage, page, stage.addresses["long"])
    page.locator("#sidebar summary").click()
    entries = page.locator("#sidebar [data-conversation]")
    entries.nth(2).hover()
    entries.nth(2).locator("[data-action=more]").click()
    page.locator("#sidebar [data-action=delete]").click()
    expect(page.locator("[data-action=undo]")).to_be_visible()
    entries.nth(3).hover()
    entries.nth(3).locator("[data-action=more]").click()
    expect(page.locator("#sidebar [data-action=rename]")).to_be_visible()
    yield
    page.locator("[data-action=undo]").first.click()
    expect(page.locator("[data-action=undo]")).to_have_count(0)


@contextlib.contextmanager
def diagnosis(stage: Stage, page: Page) -> Iterator[None]:
    """A provider that was examined just now, with a suggestion."""
    open_page(stage, page, "/admin/chat/provider/1/examine/")
    page.locator("[name=model]").fill("behaving:refuses-usage+one-piece+ignores-stop")
    page.get_by_role("button", name="Examine").click()
    expect(page.locator("[data-part=status]")).to_have_text("Examined.")
    yield
    stage.portal.change(lambda: Provider.objects.update(findings=[], examined_at=None))


SCENES = (
    Scene("login", at("/accounts/login/"), who=None),
    Scene("login-wrong", login_wrong, who=None),
    Scene("empty", at("/chat/")),
    Scene("streaming", streaming),
    Scene("failed", failed),
    Scene("retrying", retrying),
    Scene("incomplete", incomplete),
    Scene("long", at("long")),
    Scene("receipt", receipt),
    Scene("panel", panel),
    Scene("keys", keys),
    Scene("drawer", drawer, widths=(360, 768)),
    Scene("menus", menus, widths=(1280, 1440)),
    Scene("password", at("/accounts/password_change/")),
    Scene("404", at("/nowhere/")),
    Scene("403", at("/admin/chat/usagerecord/"), who="colleague"),
    Scene("admin", at("/admin/"), who="staff"),
    Scene("usage", at("/admin/chat/usagerecord/"), who="staff"),
    Scene("provider", at("/admin/chat/provider/1/change/"), who="staff"),
    Scene("diagnosis", diagnosis, who="staff"),
)
