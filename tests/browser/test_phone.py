"""The same walk with a finger, on a screen of 360 px: all can be reached, and the page never scrolls sideways."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.support.page import answers, ask, box, content, in_state, log_in, open_panel, panel, send, stop
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer

FINGER_PX = 40
WIDE = (
    "| a | b | c | d | e | f |\n|---|---|---|---|---|---|\n| " + " | ".join(["a long cell"] * 6) + " |\n\n"
    "```python\n" + "x = " + "1 + " * 60 + "1\n```\n\n" + "Donaudampfschifffahrt" * 12 + "\n"
)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    one = chromium.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True, device_scale_factor=2, locale="en-GB"
    )
    yield one
    one.close()


def log_in_by_finger(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/")
    page.locator("input[autocomplete=username]").fill(portal.admin_user)
    page.locator("input[type=password]").fill(portal.admin_password)
    page.get_by_role("button", name="Log in").tap()
    expect(box(page)).to_be_editable()


def is_wide_enough(button: Locator) -> None:
    box = button.bounding_box()
    assert box and min(box["width"], box["height"]) >= FINGER_PX, box


def overflow(page: Page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


def test_the_walk_with_a_finger(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in_by_finger(page, portal)
    upstream.play("fake", answer(WIDE), answer("again ", Gate("never"), "never"), answer("third"))
    expect(box(page)).not_to_be_focused()  # the keyboard would cover the page
    page.locator("[data-action=start]").first.tap()
    assert box(page).input_value() != ""
    box(page).fill("By finger")
    is_wide_enough(send(page))
    send(page).tap()
    first = answers(page).first
    in_state(first, "completed")
    assert overflow(page) == 0

    for name in ("copy", "again"):
        button = first.locator(f"[data-action={name}]")
        expect(button).to_have_css("opacity", "1")
        is_wide_enough(button)
    first.locator("[data-action=again]").tap()
    expect(content(first)).to_have_text("again")
    is_wide_enough(stop(page))
    stop(page).tap()
    in_state(first, "stopped")
    first.locator("[data-action=previous]").tap()
    expect(content(first).locator("table")).to_be_visible()
    assert overflow(page) == 0

    # The drawer: open, rename nothing, close by a tap beside it; and again, to another conversation.
    menu = page.get_by_role("button", name="Open conversations")
    is_wide_enough(menu)
    menu.tap()
    entry = page.locator("li[data-conversation]", has_text="By finger").first
    expect(entry).to_be_visible()
    is_wide_enough(entry.locator("[data-action=more]"))
    page.touchscreen.tap(350, 400)
    expect(entry).to_be_hidden()
    menu.tap()
    page.get_by_role("link", name="New conversation").tap()
    expect(page.locator("[data-action=start]").first).to_be_visible()

    # The options are a sheet.
    page.get_by_role("button", name="Options").tap()
    expect(page.locator("textarea[name=system_prompt]")).to_be_visible()
    assert overflow(page) == 0
    page.get_by_role("button", name="Close options").tap()
    expect(page.locator("textarea[name=system_prompt]")).to_be_hidden()


def test_on_a_phone_the_last_row_is_model_stop_and_send(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    expect(box(page)).not_to_be_focused()
    upstream.play("fake", answer("a ", Gate("end"), "b"))
    ask(page, "On the way")
    expect(content(answers(page).first)).to_have_text("a")
    row = [page.locator("select[name=model]"), stop(page), send(page)]
    places = [one.bounding_box() for one in row]
    edges = [(place["x"], place["x"] + place["width"]) for place in places if place]
    assert edges == sorted(edges)
    assert len(edges) == 3
    assert edges[0][0] >= 0
    assert edges[-1][1] <= 360
    assert all(place["height"] >= 40 for place in places if place)
    expect(page.locator(".composer__hint")).to_be_hidden()
    assert box(page).evaluate("element => getComputedStyle(element).fontSize") == "16px"
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    upstream.open("end")
    in_state(answers(page).first, "completed")


def test_on_a_phone_the_sheet_fits_and_its_targets_are_large(page: Page, portal: Portal) -> None:
    log_in(page, portal)
    open_panel(page)
    expect(panel(page)).to_be_focused()  # and no keyboard covers it
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    sheet = panel(page).bounding_box()
    assert sheet
    assert (sheet["x"], sheet["width"]) == (0, 360)
    for one in panel(page).locator("button, input, textarea").all():
        size = one.bounding_box()
        assert size
        assert size["height"] >= 40
        assert one.evaluate("element => parseFloat(getComputedStyle(element).fontSize)") >= 16 or "Close" in (
            one.get_attribute("aria-label") or ""
        )


def test_with_less_motion_nothing_moves(page: Page, portal: Portal, upstream: Upstream) -> None:
    page.emulate_media(reduced_motion="reduce")
    log_in(page, portal)
    upstream.play("fake", answer("Quiet ", Gate("rest"), "text"))
    box(page).fill("Without motion")
    send(page).tap()
    expect(content(answers(page).first)).to_have_text("Quiet")
    moving = page.evaluate(
        "document.getAnimations().filter((one) => one.effect.getComputedTiming().duration > 0).length"
    )
    assert moving == 0
    upstream.open("rest")
    in_state(answers(page).first, "completed")
