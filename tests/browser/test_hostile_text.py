"""Texts that attack (payloads.py) wherever a text is shown: nothing of them runs, and nothing gets out of the page.

Three kinds of witnesses, tried out themselves in the last test:
- in the page: a trap for what the texts would run, and a look at every element the moment it appears;
- at the browser: dialogs, navigations, windows, downloads, requests, and the console with its breaches of the policy;
- outside: a listener that all their hosts lead to, and the browser's own log of look-ups and connections.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from playwright.sync_api import Error as PlaywrightError

from chat.models import Conversation, LanguageModel
from chat.models.conversation import title_from
from chat.providers.redaction import redact
from tests.browser.payloads import EXFILTRATION, XSS, armed
from tests.browser.witness import ZONE, Canary, Witness
from tests.support.chromium import ARGUMENTS, Watch, find_chromium
from tests.support.page import answers, ask, content, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Part, Pause, Script, answer, chunk, error, stream, usage_chunk

"""Names below localhost lead to this machine without a name server, and the browser trusts them most."""
AN_ANSWER = 20
"""So many texts stand in one answer."""
LABEL = 200
"""Characters of a model's label, and of the reason of an error."""
PIECE = 8
PIECE_SECONDS = 0.004


@pytest.fixture
def canary() -> Iterator[Canary]:
    one = Canary()
    yield one
    one.close()


@pytest.fixture
def net_log(tmp_path: Path) -> Path:
    """The browser's own log of every look-up and connection, whole when its context is closed."""
    return tmp_path / "net.json"


@pytest.fixture
def context(chromium: Browser, tmp_path: Path, net_log: Path) -> Iterator[BrowserContext]:
    """A regular profile: in the private ones of other tests, a browser looks nothing up before it must."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    one = chromium.browser_type.launch_persistent_context(
        tmp_path / "profile",
        executable_path=find_chromium(),
        args=[*ARGUMENTS, *sandbox, f"--log-net-log={net_log}"],
        viewport={"width": 1280, "height": 800},
        locale="en-GB",
    )
    yield one
    one.close()


@pytest.fixture
def witness(context: BrowserContext, canary: Canary, net_log: Path) -> Witness:
    return Witness(context, canary, net_log)


@pytest.fixture
def page(context: BrowserContext, watch: Watch, witness: Witness) -> Page:
    return context.new_page()


def in_pieces(text: str, chance: random.Random) -> Iterator[str]:
    at = 0
    while at < len(text):
        length = chance.randint(1, 2 * PIECE - 1)
        yield text[at : at + length]
        at += length


def streamed(text: str, reasoning: str, finish: str, seed: int) -> Script:
    """An answer cut at random places."""
    chance = random.Random(seed)
    parts: list[Part] = []
    for piece, thought in zip_longest(in_pieces(text, chance), in_pieces(reasoning, chance)):
        parts += [chunk(piece, reasoning=thought), Pause(PIECE_SECONDS)]
    return stream(*parts, chunk(finish=finish), usage_chunk(7, 5), b"data: [DONE]\n\n")


def rendered(message: Locator) -> str:
    """An answer's HTML, without the colours of code, which come when they come."""
    html: str = content(message).evaluate(
        "element => { const copy = element.cloneNode(true);"
        " copy.querySelectorAll('code').forEach((code) => {"
        " delete code.dataset.coloured; code.textContent = code.textContent; });"
        " return copy.innerHTML; }"
    )
    return html


def add_model(portal: Portal, name: str, label: str) -> str:
    """One more model of the same provider; its id."""

    def add() -> str:
        model = LanguageModel.objects.get(name="fake")
        model.pk, model.name, model.label = None, name, label
        model.save()
        return str(model.pk)

    return portal.change(add)


def packed(lines: Iterable[str]) -> list[str]:
    """The lines, as many together as a label holds."""
    packs = [""]
    for line in lines:
        assert len(line) <= LABEL, line
        if packs[-1] and len(packs[-1]) + 3 + len(line) > LABEL:
            packs.append("")
        packs[-1] += f" · {line}" if packs[-1] else line
    return packs


def play_and_read(page: Page, portal: Portal, upstream: Upstream, batches: list[list[str]]) -> None:
    """A batch of texts as prompt, reasoning and answer, while they come and again from the database."""
    sources = []
    for number, texts in enumerate(batches):
        source = "\n\n".join(f"text {number}.{index}:\n\n{text}" for index, text in enumerate(texts)) + "\n\nThe end.\n"
        prompt, reasoning = "\n".join(["Attack", *texts]), "\n".join(texts)
        sources.append((source, prompt, reasoning, texts[0][:100]))
        upstream.play("fake", streamed(source, reasoning, texts[0][:100], seed=number))
        ask(page, prompt)
        in_state(answers(page).nth(number), "completed")
    live = [rendered(answers(page).nth(number)) for number in range(len(batches))]
    for _ in range(2):
        for number, (source, prompt, reasoning, finish) in enumerate(sources):
            message = answers(page).nth(number)
            in_state(message, "completed")
            expect(content(message).locator("> p", has_text="The end.")).to_have_count(1)
            stored = portal.generation(message.get_attribute("data-generation") or "")
            assert (stored["content"], stored["reasoning"]) == (source, reasoning)
            marks = content(message).locator("> p").all_text_contents()
            assert [f"text {number}.{index}:" in marks for index in range(len(batches[number]))].count(False) == 0
            assert message.locator("[data-part=reasoning-text]").text_content() == reasoning
            assert page.locator("[data-role=user] [data-part=content]").nth(number).text_content() == prompt
            assert finish in (message.locator("[data-figure=finish]").text_content() or "")
            assert rendered(message) == live[number]
            expect(message.locator("[data-part=reasoning]")).to_be_visible()
            message.locator("[data-part=reasoning] summary").click()
        page.reload()


def test_attacks_in_answers_reasoning_and_prompts_stay_text(
    page: Page, watch: Watch, witness: Witness, portal: Portal, upstream: Upstream
) -> None:
    attacks = armed(XSS, witness.canary.host)
    assert len(attacks) >= 60
    log_in(page, portal)
    play_and_read(page, portal, upstream, [attacks[at : at + AN_ANSWER] for at in range(0, len(attacks), AN_ANSWER)])
    witness.saw_nothing(portal, watch)


def test_nothing_in_an_answer_is_loaded_or_looked_up(
    page: Page, watch: Watch, witness: Witness, portal: Portal, upstream: Upstream
) -> None:
    leaks = armed(EXFILTRATION, witness.canary.host)
    assert len(leaks) >= 20
    log_in(page, portal)
    play_and_read(page, portal, upstream, [leaks])
    assert content(answers(page).first).locator("a").count() > len(leaks) / 2
    witness.saw_nothing(portal, watch)


def test_a_link_is_not_looked_up_before_it_is_followed(
    page: Page, watch: Watch, witness: Witness, portal: Portal, upstream: Upstream
) -> None:
    links = [f"{image}[x](https://n{number}.{ZONE}/x)" for number, image in enumerate(("", "", "!", "!"))]
    upstream.play("fake", answer("\n\n".join(links)))
    log_in(page, portal)
    ask(page, "Where to?")
    in_state(answers(page).first, "completed")
    shown = content(answers(page).first).locator("a").all()
    assert len(shown) == len(links)
    shown[0].hover()
    shown[1].focus()
    shown[2].hover()
    shown[3].focus()
    witness.saw_nothing(portal, watch)


def test_attacks_in_titles_labels_errors_and_names_stay_text(
    page: Page, watch: Watch, witness: Witness, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    portal = new_portal()
    lines = [" ".join(text.split()) for text in armed(XSS + EXFILTRATION, witness.canary.host)]
    packs = packed(lines[: len(XSS)])
    models = [add_model(portal, f"m{number}", pack) for number, pack in enumerate(packs)]
    for number, pack in enumerate(packs):
        upstream.play(f"m{number}", error(400, pack))
    log_in(page, portal)
    everything = " · ".join(lines)
    for number, model in enumerate(models):
        page.locator("select[name=model]").select_option(value=model)
        page.locator("textarea[name=prompt]").fill(packs[number] if number else everything)
        page.locator("textarea[name=prompt]").press("Enter")
        in_state(answers(page).nth(number), "failed")
    beginning = title_from(everything)
    assert page.locator("[data-part=title]").text_content() == beginning
    assert page.locator(".entry__title").all_text_contents() == [beginning]
    assert page.locator("head title").text_content() == f"{beginning} · chatsite"
    reasons = [f"The model server rejected the request: {redact(pack)}" for pack in packs]
    assert sum("__pwn=" in reason for reason in reasons) > len(reasons) / 2

    portal.change(lambda: Conversation.objects.update(title=everything, system_prompt=everything))
    portal.change(lambda: Conversation.objects.update(options={"stop": packs[:4]}))
    for name in ("first_name", "username"):
        assert answers(page).locator("[data-part=reason]").all_text_contents() == reasons
        assert answers(page).locator("[data-part=speaker]").all_text_contents() == packs
        names = page.locator("select[name=model] option").all_text_contents()[1 : 1 + len(packs)]
        assert [name.removesuffix(" · 100 % failed") for name in names] == packs
        called = {"first_name": "", name: everything}
        portal.change(lambda called=called: get_user_model().objects.update(**called))  # type: ignore[misc]
        page.reload()
        assert page.locator(".menu__name").text_content() == everything
        assert page.locator("[data-part=title]").text_content() == everything
        assert page.locator(".entry__title").all_text_contents() == [everything]
        assert page.locator("head title").text_content() == f"{everything} · chatsite"
    page.get_by_role("button", name="Options").click()
    expect(page.locator("textarea[name=system_prompt]")).to_have_value(everything)
    expect(page.locator("textarea[name=stop]")).not_to_have_value("")
    page.locator("li[data-conversation] [data-action=more]").click()
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.locator(".sidebar input[name=title]")).to_have_value(everything)
    page.keyboard.press("Escape")
    page.locator("li[data-conversation] [data-action=more]").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator(".undo__text")).to_contain_text(lines[0])
    witness.saw_nothing(portal, watch)


def test_the_page_demands_trusted_types(page: Page, watch: Watch, portal: Portal) -> None:
    watch.expected = ["TrustedHTML", "policy: require-trusted-types-for", "policy: trusted-types", "TrustedTypePolicy"]
    log_in(page, portal)
    with pytest.raises(PlaywrightError, match="TrustedHTML"):
        page.evaluate("document.createElement('p').innerHTML = '<b>x</b>'")
    with pytest.raises(PlaywrightError, match="Policy"):
        page.evaluate("trustedTypes.createPolicy('another', { createHTML: (html) => html })")


def test_the_witnesses_see_what_they_are_for(page: Page, watch: Watch, witness: Witness, portal: Portal) -> None:
    canary = witness.canary
    host = f"{ZONE}:{canary.port}"
    canary.page = f"""<!doctype html><title>x</title><article data-role=assistant><div data-part=content>
        <p dir=auto onclick=x>a handler</p><b>an element</b><a href="javascript:x">an address</a></div></article>
        <article data-role=user><div data-part=content><i>not text</i></div></article>
        <img src=/image><link rel=dns-prefetch href="//named.{ZONE}"><a href="http://linked.{ZONE}/">a link</a>
        <svg onload="__pwn=1; alert(1); window.open('about:blank')"></svg>"""
    watch.expected = ["HOSTILE"]
    watch.hosts.clear()
    page.goto(f"http://{host}/")
    page.wait_for_load_state("networkidle")
    page.locator("a", has_text="a link").hover()
    seen = "\n".join(watch.errors)
    for wanted in ("ran text 1", "attribute onclick", "an element: <b>", "attribute href", "an element within a text"):
        assert f"HOSTILE: {wanted}" in seen, seen
    assert witness.events == ["dialog: 1", "window: about:blank"]
    assert f"http://{host}/image" in witness.foreign(portal)
    assert any(b"GET /image" in heard for heard in canary.heard)
    assert {f"named.{ZONE}", f"linked.{ZONE}", ZONE} <= witness.looked_up()
    watch.hosts.clear()
