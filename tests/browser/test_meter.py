"""What a prompt takes of the context window, told while it is written; and how the models do, where one chooses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from chat.models import LanguageModel, UsageRecord
from chat.tokens import count_message
from tests.support.chromium import Watch
from tests.support.page import answers, ask, box, choose, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import answer, error

PAUSE_MS = 1200
"""Longer than it waits for the next letter."""
HEARTBEAT_MS = 15_000


def meter(page: Page) -> Locator:
    return page.locator("[data-part=tokens]")


def words(page: Page) -> Locator:
    return page.locator("[data-part=words]")


@contextmanager
def counted(page: Page) -> Iterator[list[Request]]:
    """The requests for a count meanwhile."""
    found: list[Request] = []

    def hear(request: Request) -> None:
        if request.url.endswith("/chat/tokens/"):
            found.append(request)

    page.on("request", hear)
    yield found
    page.remove_listener("request", hear)


@pytest.fixture
def windowed(portal: Portal) -> Iterator[Portal]:
    """The portal, with a window for one of its models."""
    portal.change(lambda: LanguageModel.objects.filter(name="gpt-4o-mini").update(context_window=4000))
    yield portal
    portal.change(lambda: LanguageModel.objects.update(context_window=None))


def test_the_figure_follows_what_is_written(page: Page, windowed: Portal, upstream: Upstream) -> None:
    log_in(page, windowed)
    choose(page, "gpt-4o-mini")
    expect(meter(page)).to_be_hidden()
    with counted(page) as requests:
        box(page).press_sequentially("What is 1+1?", delay=20)
        expect(words(page)).to_have_text("14 of 4k tokens")
        page.wait_for_timeout(PAUSE_MS)
        assert len(requests) <= 2  # the model was chosen just before
    expect(meter(page)).to_have_css("color", page.evaluate(FAINT))
    expect(box(page)).to_have_accessible_description("14 of 4k tokens")
    assert meter(page).evaluate("element => element.closest('[aria-live], [role=status], [role=alert]')") is None

    # It is what the run then counts; and empty again, the conversation remains.
    upstream.play("gpt-4o-mini", answer("Two", usage=None))
    page.locator("button[data-action=send]").click()
    in_state(answers(page).first, "completed")
    turn = [{"role": "user", "content": "What is 1+1?"}, {"role": "assistant", "content": "Two"}]
    taken = sum(count_message(message, "o200k_base", "gpt-4o-mini") for message in turn)
    expect(words(page)).to_have_text(f"{taken} of 4k tokens")
    assert windowed.rows(UsageRecord.objects.order_by("-pk")[:1])[0].prompt_tokens == 14
    page.reload()
    expect(words(page)).to_have_text(f"{taken} of 4k tokens")


FAINT = """() => {
    const probe = document.body.appendChild(document.createElement("i"));
    probe.className = "tokens";
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
}"""


def test_near_the_window_it_warns_and_another_model_has_another_figure(page: Page, windowed: Portal) -> None:
    log_in(page, windowed)
    choose(page, "gpt-4o-mini")
    box(page).fill("word " * 3700)
    expect(words(page)).to_have_text(re.compile(r"^3,70\d of 4k tokens$"))
    expect(meter(page)).to_have_class("tokens tokens--near")
    assert meter(page).evaluate("element => getComputedStyle(element).color") != page.evaluate(FAINT)
    bar = meter(page).locator("meter")
    expect(bar).to_be_visible()
    assert 92 < bar.evaluate("element => element.value") < 94

    choose(page, "fake")  # nobody knows its window, nor its table
    expect(words(page)).to_have_text(re.compile(r"^≈ 3,70\d tokens$"))
    expect(meter(page)).to_have_class("tokens")
    expect(bar).to_be_hidden()
    choose(page, "gpt-4o-mini")
    expect(meter(page)).to_have_class("tokens tokens--near")
    box(page).fill("word " * 5000)
    expect(words(page)).to_have_text(re.compile(r"^5,00\d of 4k tokens$"))
    assert bar.evaluate("element => element.value") == 100
    box(page).fill("short")
    expect(words(page)).to_have_text("8 of 4k tokens")
    expect(meter(page)).to_have_class("tokens")


def test_while_nothing_changes_nothing_is_asked(page: Page, windowed: Portal) -> None:
    log_in(page, windowed)
    choose(page, "gpt-4o-mini")
    box(page).fill("hello")
    expect(words(page)).to_have_text("8 of 4k tokens")
    with counted(page) as requests:
        page.locator("h1").click()
        box(page).focus()
        box(page).press("End")
        box(page).press_sequentially("x")
        box(page).press("Backspace")
        page.wait_for_timeout(PAUSE_MS)
    assert requests == []


def test_without_a_count_the_last_figure_stays(page: Page, watch: Watch, windowed: Portal) -> None:
    watch.expected = ["503"]
    log_in(page, windowed)
    choose(page, "gpt-4o-mini")
    box(page).fill("hello")
    expect(words(page)).to_have_text("8 of 4k tokens")
    page.route("**/chat/tokens/", lambda route: route.fulfill(status=503))
    with page.expect_response("**/chat/tokens/"):
        box(page).fill("hello, and much more than that")
    page.wait_for_timeout(100)
    expect(words(page)).to_have_text("8 of 4k tokens")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_on_a_phone_the_number_alone_has_room(chromium: Browser, windowed: Portal) -> None:
    context = chromium.new_context(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    page = context.new_page()
    log_in(page, windowed)
    choose(page, "gpt-4o-mini")
    box(page).fill("word " * 3700)
    used = page.locator("[data-part=used]")
    expect(used).to_have_text(re.compile(r"^3,70\d$"))
    expect(used).to_be_visible()
    expect(words(page)).to_be_hidden()
    row = [page.locator("select[name=model]"), meter(page), page.locator("button[data-action=send]")]
    edges = [(place["x"], place["x"] + place["width"]) for one in row if (place := one.bounding_box())]
    assert len(edges) == 3 and edges == sorted(edges) and edges[-1][1] <= 360
    assert all(end <= begin for (_, end), (begin, _) in zip(edges, edges[1:], strict=False))
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    context.close()


# How the models do ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_picker_says_how_the_models_do_and_answers_bear_their_names_alone(
    page: Page, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    page.clock.install()
    portal = new_portal()
    log_in(page, portal)
    option = page.locator('option[data-label="fake"]')
    expect(option).to_have_text("fake")
    upstream.play("fake", answer("Well ", "met"), error(401))
    ask(page, "Hello")
    in_state(answers(page).first, "completed")

    # After three failures it is marked, also on this page, which was there before; nobody is kept from asking.
    for number in range(3):
        ask(page, f"And {number}?")
        in_state(answers(page).nth(number + 1), "failed")
    page.wait_for_timeout(PAUSE_MS)
    page.reload()
    expect(option).to_have_text("fake · not answering now")
    expect(answers(page).first.locator("h2")).to_have_text("fake")
    upstream.play("fake", answer("Here I am"))
    ask(page, "Please")
    last = answers(page).nth(4)
    in_state(last, "completed")
    expect(last.locator("h2")).to_have_text("fake")
    page.clock.fast_forward(HEARTBEAT_MS)
    expect(option).not_to_contain_text("not answering")
    page.reload()
    expect(option).to_have_text(re.compile(r"^fake( · [\d.]+ s)?( · [\d,.]+ tokens/s)?( · \d+ % failed)?$"))
    expect(option).not_to_contain_text("not answering")
