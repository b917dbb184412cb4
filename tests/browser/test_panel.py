"""The options of a conversation: they reach the model, outlive reloads and absences, and say what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from chat.models import Conversation
from tests.support.chromium import Watch
from tests.support.page import (
    ADDRESS,
    RECONNECT_MS,
    answers,
    ask,
    content,
    in_state,
    log_in,
    open_panel,
    panel,
    panel_field,
    panel_opener,
)
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import answer

INSTRUCTION = 'Be brief.\n\n<img src=x onerror="alert(1)"> & "quoted"'
WRITTEN = {
    "system_prompt": INSTRUCTION,
    "temperature": "0.2",
    "max_tokens": "2000",
    "stop": "---\n\\n\\nUser:\n</textarea><script>alert(1)</script>",
    "seed": "-7",
    "reasoning_effort": "low",
}
STOP = ["---", "\n\nUser:", "</textarea><script>alert(1)</script>"]
SAVE_MS = 600
"""So long after the last letter an option is saved."""
REFUSED = "the server responded with a status of 400"


@pytest.fixture
def page(page: Page) -> Page:
    """A page whose clock can be put forward."""
    page.clock.install()
    return page


def note(page: Page, name: str) -> Locator:
    return panel(page).locator(f"[data-note={name}]")


def write(page: Page, **values: str) -> None:
    """One field after the other, and wait until each is saved."""
    for name, value in values.items():
        if name == "reasoning_effort":
            panel_field(page, name).select_option(value)
        else:
            panel_field(page, name).fill(value)
        page.clock.fast_forward(SAVE_MS)
        expect(note(page, name)).to_have_text("Saved")


def stored(portal: Portal, page: Page) -> dict[str, Any]:
    """The options of the page's conversation."""
    (conversation,) = portal.rows(Conversation.objects.filter(pk=page.url.rstrip("/").rpartition("/")[2]))
    return conversation.options


def begin(page: Page, portal: Portal, upstream: Upstream) -> None:
    """A conversation with a turn in it."""
    log_in(page, portal)
    upstream.play("fake", answer("Good day."))
    ask(page, "Good day")
    in_state(answers(page).first, "completed")


def check_request(upstream: Upstream, prompt: str) -> None:
    [request] = [one for one in upstream.requests if one.prompt == prompt]
    assert request.body["messages"][0] == {"role": "system", "content": INSTRUCTION}
    assert request.body["messages"][-1] == {"role": "user", "content": prompt}
    sent = {name: request.body.get(name) for name in ("temperature", "max_tokens", "stop", "seed", "reasoning_effort")}
    assert sent == {
        "temperature": 0.2,
        "max_tokens": 2000,
        "stop": STOP,
        "seed": -7,
        "reasoning_effort": "low",
    }


def test_options_reach_the_model_and_outlive_a_reload(page: Page, portal: Portal, upstream: Upstream) -> None:
    begin(page, portal, upstream)
    expect(panel(page)).to_be_hidden()
    open_panel(page)
    write(page, **WRITTEN)
    upstream.play("fake", answer("Brief."))
    ask(page, "And now?")
    in_state(answers(page).nth(1), "completed")
    check_request(upstream, "And now?")

    page.reload()
    expect(panel(page)).to_be_visible()  # as it was left
    for name, value in WRITTEN.items():
        expect(panel_field(page, name)).to_have_value(value)
    expect(panel(page).locator("img, script")).to_have_count(0)

    # What is emptied is taken away again.
    write(page, **dict.fromkeys(WRITTEN, ""))
    upstream.play("fake", answer("Long."))
    ask(page, "And without?")
    in_state(answers(page).nth(2), "completed")
    [request] = [one for one in upstream.requests if one.prompt == "And without?"]
    assert [message["role"] for message in request.body["messages"]][0] == "user"
    assert not {"temperature", "seed", "stop", "reasoning_effort"} & set(request.body)
    assert stored(portal, page) == {}


def test_options_come_before_the_first_prompt(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    open_panel(page)
    write(page, **{name: value for name, value in WRITTEN.items() if name != "seed"})
    upstream.play("fake", answer("Brief."))
    page.locator("textarea[name=prompt]").fill("The first prompt")
    # Before the last one saves itself.
    panel_field(page, "seed").evaluate(
        """(field, value) => {
            field.value = value;
            field.dispatchEvent(new Event("input", { bubbles: true }));
            document.querySelector("[data-part=composer]").requestSubmit();
        }""",
        WRITTEN["seed"],
    )
    in_state(answers(page).first, "completed")
    expect(page).to_have_url(ADDRESS)
    check_request(upstream, "The first prompt")
    expect(page.locator("[data-part=conversations] [aria-current=page]")).to_contain_text("The first prompt")
    page.reload()
    expect(content(answers(page).first)).to_have_text("Brief.")
    for name, value in WRITTEN.items():
        expect(panel_field(page, name)).to_have_value(value)


def test_what_is_wrong_is_said_and_kept_out(page: Page, watch: Watch, portal: Portal, upstream: Upstream) -> None:
    watch.expected = [REFUSED]
    begin(page, portal, upstream)
    open_panel(page)
    write(page, temperature="0.5")
    temperature = panel_field(page, "temperature")
    for wrong, words in (
        ("5", "Write a number from 0 to 2, or leave it empty."),
        ("-1", "Write a number from 0 to 2, or leave it empty."),
        ("e", "Write a number, or leave it empty."),
    ):
        temperature.clear()
        temperature.press_sequentially(wrong)
        expect(note(page, "temperature")).to_have_text(words)
        expect(temperature).to_have_attribute("aria-invalid", "true")
        expect(temperature).to_have_accessible_description(re.compile(re.escape(words)))
        write(page, seed="1")  # holds up nothing else
        panel_field(page, "seed").clear()
    expect(note(page, "seed")).to_have_text("Saved")
    assert stored(portal, page) == {"temperature": 0.5}
    panel_field(page, "stop").fill("1\n2\n3\n4\n5")
    expect(note(page, "stop")).to_have_text("At most four texts, one a line, each of at most 200 characters.")
    panel_field(page, "max_tokens").fill("1.5")
    expect(note(page, "max_tokens")).to_have_text("Write a whole number from 1 to 10,000,000, or leave it empty.")
    temperature.fill("0.7")
    expect(note(page, "temperature")).to_have_text("Saved")
    expect(temperature).not_to_have_attribute("aria-invalid", "true")
    assert stored(portal, page) == {"temperature": 0.7}


def test_nothing_is_lost_while_the_portal_is_away(
    page: Page, watch: Watch, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    watch.expected = ["WebSocket connection to", "net::ERR_"]
    portal = new_portal()
    begin(page, portal, upstream)
    open_panel(page)
    portal.kill()
    panel_field(page, "temperature").fill("1.5")
    expect(note(page, "temperature")).to_contain_text("No connection to the portal.")
    expect(panel_field(page, "temperature")).to_have_value("1.5")
    portal.start(setup=False)
    page.clock.fast_forward(RECONNECT_MS)
    expect(note(page, "temperature")).to_have_text("Saved")
    assert stored(portal, page) == {"temperature": 1.5}


def test_what_one_page_could_not_save_the_next_one_saves(
    page: Page, watch: Watch, portal: Portal, upstream: Upstream
) -> None:
    watch.expected = ["net::ERR_FAILED"]
    begin(page, portal, upstream)
    open_panel(page)
    address = page.url
    page.route("**/details/", lambda route: route.abort())
    panel_field(page, "seed").fill("4")
    expect(note(page, "seed")).to_contain_text("No connection to the portal.")
    page.unroute("**/details/")
    with page.expect_response("**/details/"):
        page.goto(f"{portal.url}/chat/")
    page.goto(address)
    expect(panel_field(page, "seed")).to_have_value("4")
    assert stored(portal, page) == {"seed": 4}


def test_another_tab_shows_the_same_and_leaves_alone_what_is_being_written(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    begin(page, portal, upstream)
    other = page.context.new_page()
    other.goto(page.url)
    open_panel(page)
    write(page, temperature="0.3", seed="3")
    open_panel(other)
    expect(panel_field(other, "temperature")).to_have_value("0.3")
    expect(panel_field(other, "seed")).to_have_value("3")
    panel_opener(other).click()
    expect(panel(other)).to_be_hidden()
    write(page, temperature="0.4", seed="4")
    # Here the seed is being written while the rest is read anew.
    held: list[Route] = []
    other.route("**/details/", lambda route: route.continue_() if held else held.append(route))
    panel_opener(other).click()
    expect(panel(other)).to_be_visible()
    panel_field(other, "seed").press_sequentially("33")
    held[0].continue_()
    expect(panel_field(other, "temperature")).to_have_value("0.4")
    expect(panel_field(other, "seed")).to_have_value("333")
    expect(note(other, "seed")).to_have_text("Saved")
    assert stored(portal, page) == {"temperature": 0.4, "seed": 333}


@pytest.mark.parametrize("width", [1280, 700])
def test_the_keyboard_opens_and_closes_it(page: Page, portal: Portal, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    log_in(page, portal)
    expect(panel_opener(page)).to_have_attribute("aria-expanded", "false")
    for leave in ("Escape", "Enter"):
        panel_opener(page).press("Enter")
        expect(panel_opener(page)).to_have_attribute("aria-expanded", "true")
        expect(panel_field(page, "system_prompt")).to_be_focused()
        if leave == "Enter":
            page.keyboard.press("Shift+Tab")
            expect(panel(page).get_by_role("button", name="Close options")).to_be_focused()
        page.keyboard.press(leave)
        expect(panel(page)).to_be_hidden()
        expect(panel_opener(page)).to_be_focused()
        expect(panel_opener(page)).to_have_attribute("aria-expanded", "false")


def test_it_is_a_column_where_there_is_room_and_a_sheet_where_there_is_none(page: Page, portal: Portal) -> None:
    log_in(page, portal)
    open_panel(page)
    boxes = [page.locator(part).bounding_box() for part in ("main", "[data-part=panel]")]
    assert boxes[0] and boxes[1]
    assert boxes[1]["width"] == 320
    assert boxes[0]["x"] + boxes[0]["width"] == boxes[1]["x"]
    page.set_viewport_size({"width": 700, "height": 800})
    expect(panel(page)).to_be_hidden()  # a sheet lies over the work only when it is asked for
    open_panel(page)
    page.mouse.click(20, 400)
    expect(panel(page)).to_be_hidden()
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(panel(page)).to_be_visible()
    page.set_viewport_size({"width": 700, "height": 800})
    page.reload()
    expect(page.locator("textarea[name=prompt]")).to_be_focused()
    expect(panel(page)).to_be_hidden()
