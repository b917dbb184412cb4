"""The reader's place: at the end the page goes along; elsewhere it stays, and a button says that there is more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.page import answers, ask, box, content, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer

LINES = [f"Line {number} of a long answer.\n\n" for number in range(60)]
MORE = [f"Line {number} that came later.\n\n" for number in range(20)]


def pill(page: Page) -> Locator:
    return page.get_by_role("button", name="New text")


def left(page: Page) -> float:
    """So many pixels stand below what is in sight."""
    found: float = page.evaluate("document.documentElement.scrollHeight - innerHeight - scrollY")
    return found


def scrolled_to(page: Page) -> float:
    found: float = page.evaluate("scrollY")
    return found


def at_the_end(page: Page) -> None:
    page.wait_for_function("() => document.documentElement.scrollHeight - innerHeight - scrollY <= 1")


def begin_long_answer(page: Page, portal: Portal, upstream: Upstream, *rest: str | Gate) -> Locator:
    """An answer of several screens that waits at the gate "more"; the page is at its end."""
    upstream.play("fake", answer(*LINES, Gate("more"), *(rest or (*MORE, Gate("end"), "The end."))))
    log_in(page, portal)
    ask(page, "At length")
    message = answers(page).first
    expect(content(message)).to_contain_text("Line 59 of a long answer.")
    at_the_end(page)
    return message


def more_comes(page: Page, upstream: Upstream) -> None:
    upstream.open("more")
    expect(content(answers(page).first)).to_contain_text("Line 19 that came later.")


def wheel(page: Page, pixels: int) -> None:
    page.mouse.move(640, 300)
    move(page, lambda: page.mouse.wheel(0, pixels))


def move(page: Page, act: Callable[[], None]) -> None:
    """The movement goes on for a while after the act: wait for its end."""
    page.evaluate(
        "() => { window.ended = false; const y = scrollY;"
        " addEventListener('scrollend', () => { window.ended ||= scrollY !== y; }); }"
    )
    act()
    page.wait_for_function("() => ended")


def test_at_the_end_the_page_goes_along_and_says_nothing(page: Page, portal: Portal, upstream: Upstream) -> None:
    begin_long_answer(page, portal, upstream)
    more_comes(page, upstream)
    at_the_end(page)
    expect(pill(page)).to_be_hidden()


def test_one_small_movement_upwards_lets_go_and_new_text_is_announced_by_a_button(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    message = begin_long_answer(page, portal, upstream)
    wheel(page, -20)
    page.wait_for_function("() => document.documentElement.scrollHeight - innerHeight - scrollY > 1")
    before = scrolled_to(page)
    dock = page.locator(".dock").bounding_box()
    expect(pill(page)).to_be_hidden()
    more_comes(page, upstream)
    expect(pill(page)).to_be_visible()
    assert scrolled_to(page) == before
    assert page.locator(".dock").bounding_box() == dock, "the button shifts nothing"
    pill(page).click()
    assert left(page) <= 1
    expect(pill(page)).to_be_hidden()
    upstream.open("end")
    in_state(message, "completed")
    at_the_end(page)
    expect(pill(page)).to_be_hidden()


def test_the_button_stays_until_the_end_is_reached(page: Page, portal: Portal, upstream: Upstream) -> None:
    message = begin_long_answer(page, portal, upstream)
    wheel(page, -300)
    page.wait_for_function("() => document.documentElement.scrollHeight - innerHeight - scrollY > 200")
    more_comes(page, upstream)
    expect(pill(page)).to_be_visible()
    wheel(page, 100)
    wheel(page, -50)
    expect(pill(page)).to_be_visible()
    wheel(page, 5_000)
    expect(pill(page)).to_be_hidden()
    upstream.open("end")
    in_state(message, "completed")
    at_the_end(page)


def test_a_key_lets_go_and_the_button_is_reached_by_keys(page: Page, portal: Portal, upstream: Upstream) -> None:
    begin_long_answer(page, portal, upstream)
    box(page).evaluate("box => box.blur()")
    move(page, lambda: page.keyboard.press("PageUp"))
    page.wait_for_function("() => document.documentElement.scrollHeight - innerHeight - scrollY > 48")
    more_comes(page, upstream)
    expect(pill(page)).to_be_visible()
    box(page).focus()
    page.keyboard.press("Shift+Tab")
    expect(pill(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(pill(page)).to_be_hidden()
    assert left(page) <= 1
    page.keyboard.press("Tab")
    expect(box(page)).to_be_focused()


@pytest.mark.parametrize("jump", ["scrollTo(0, 0)", "document.querySelector('[data-role=user]').scrollIntoView()"])
def test_a_jump_is_not_taken_back(page: Page, portal: Portal, upstream: Upstream, jump: str) -> None:
    begin_long_answer(page, portal, upstream)
    page.evaluate(jump)
    before = scrolled_to(page)
    more_comes(page, upstream)
    expect(pill(page)).to_be_visible()
    assert scrolled_to(page) == before


@pytest.mark.parametrize(
    "hold",
    [
        "element => getSelection().selectAllChildren(element)",
        "element => { element.tabIndex = 0; element.focus(); }",
    ],
)
def test_who_selects_or_stands_in_the_text_is_not_moved(
    page: Page, portal: Portal, upstream: Upstream, hold: str
) -> None:
    code = "```\nx\n```\n\nA last paragraph.\n\n"
    message = begin_long_answer(page, portal, upstream, code, Gate("held"), *MORE, "The end.")
    upstream.open("more")
    expect(content(message)).to_contain_text("A last paragraph.")
    expect(content(message).locator("p", has_text="Line 59")).to_be_in_viewport()
    content(message).locator("p", has_text="Line 59").evaluate(hold)
    before = scrolled_to(page)
    upstream.open("held")
    in_state(message, "completed")
    expect(pill(page)).to_be_visible()
    assert scrolled_to(page) == before


def test_a_list_that_scrolls_by_itself_does_not_let_go(page: Page, portal: Portal, upstream: Upstream) -> None:
    begin_long_answer(page, portal, upstream)
    box(page).fill("\n".join(str(number) for number in range(60)))
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    box(page).evaluate("box => { box.scrollTop = box.scrollHeight; }")
    box(page).hover()
    page.mouse.wheel(0, -40)
    page.wait_for_function("box => box.scrollTop + box.clientHeight < box.scrollHeight", arg=box(page).element_handle())
    more_comes(page, upstream)
    at_the_end(page)
    expect(pill(page)).to_be_hidden()


def press(page: Page, element: Locator) -> None:
    """As a hand does it: Playwright's own click scrolls before it presses."""
    place = element.bounding_box()
    assert place
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)


def rested(page: Page) -> float:
    page.wait_for_timeout(300)  # a movement would come now
    return scrolled_to(page)


def test_whoever_reads_above_may_write_and_press_without_being_moved(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    begin_long_answer(page, portal, upstream)
    wheel(page, -400)
    before = scrolled_to(page)
    press(page, box(page))
    page.keyboard.type("and another thing")
    page.keyboard.press("Shift+Enter")
    assert rested(page) == before
    press(page, page.locator("[data-action=options]"))
    expect(page.locator("textarea[name=system_prompt]")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Escape")
    expect(page.locator("[data-action=options]")).to_be_focused()
    page.keyboard.press("Shift+Escape")
    expect(box(page)).to_be_focused()
    upstream.open("more")
    upstream.open("end")
    in_state(answers(page).first, "completed")
    assert abs(rested(page) - before) < 60, "but for the lines that a column makes narrower"


def test_a_column_that_opens_leaves_the_end_in_sight(page: Page, portal: Portal, upstream: Upstream) -> None:
    begin_long_answer(page, portal, upstream)
    press(page, page.locator("[data-action=options]"))
    expect(page.locator("textarea[name=system_prompt]")).to_be_focused()
    at_the_end(page)
    page.keyboard.press("Escape")
    at_the_end(page)
    upstream.open("more")
    upstream.open("end")
    in_state(answers(page).first, "completed")
    at_the_end(page)


def test_a_receipt_that_is_unfolded_stands_above_the_composer(page: Page, portal: Portal, upstream: Upstream) -> None:
    message = begin_long_answer(page, portal, upstream)
    upstream.open("more")
    upstream.open("end")
    in_state(message, "completed")
    receipt = message.locator("[data-part=receipt]")
    press(page, receipt.locator("summary"))
    expect(receipt.locator("[data-fact=deltas]")).to_be_visible()
    page.wait_for_function(
        "() => document.querySelector('[data-part=receipt]').getBoundingClientRect().bottom"
        " <= document.querySelector('.dock').getBoundingClientRect().top"
    )
