"""What one can do with an entry of the list of conversations: rename, pin, delete, and take that back."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.chromium import Watch
from tests.support.entries import act, entry, expect_titles, remember, remember_all, shown
from tests.support.page import answers, ask, content, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import answer

HOSTILE = "<img src=x onerror=alert(1)> \"'</span>{{ 7 }}%(title)s"

pytestmark = pytest.mark.usefixtures("empty_list")


def test_a_new_name_survives_a_reload(page: Page, portal: Portal) -> None:
    remember_all(portal, "Above", "A working title", "Below")
    log_in(page, portal)
    act(page, "A working title", "rename")
    box = page.get_by_role("textbox", name="Title")
    expect(box).to_be_focused()
    expect(box).to_have_value("A working title")
    box.fill("   ")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Write a title, or press Escape to keep the old one.")
    box.press("Escape")
    expect_titles(page, "Above", "A working title", "Below")
    expect(entry(page, "A working title").get_by_role("button", name="More")).to_be_focused()
    act(page, "A working title", "rename")
    box.fill("The final title")
    box.press("Enter")
    expect_titles(page, "Above", "The final title", "Below")
    expect(page.get_by_role("button", name="More: The final title")).to_be_focused()
    expect(box).to_have_count(0)
    # Going elsewhere saves, too.
    act(page, "Below", "rename")
    box.fill("Below it")
    page.locator("textarea[name=prompt]").click()
    expect_titles(page, "Above", "The final title", "Below it")
    page.reload()
    expect_titles(page, "Above", "The final title", "Below it")


def test_a_name_that_cannot_be_saved_stays_in_its_box(page: Page, watch: Watch, portal: Portal) -> None:
    watch.expected = ["net::ERR_FAILED"]
    remember(portal, "A working title")
    log_in(page, portal)
    page.route("**/details/", lambda route: route.abort())
    act(page, "A working title", "rename")
    box = page.get_by_role("textbox", name="Title")
    box.fill("The final title")
    box.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("No connection to the portal. Try again.")
    expect(box).to_have_value("The final title")
    page.unroute("**/details/")
    box.press("Enter")
    expect_titles(page, "The final title")


def test_a_pinned_one_stands_at_the_top_with_the_keyboard_on_it(page: Page, portal: Portal) -> None:
    remember_all(portal, "First", "Second", "Third")
    log_in(page, portal)
    more = page.get_by_role("button", name="More: Third")
    more.focus()
    more.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(more).to_have_attribute("aria-expanded", "false")
    more.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect_titles(page, "Third", "First", "Second")
    expect(more).to_be_focused()
    page.reload()
    assert shown(page)[0] == ["Pinned", ["Third"]]
    act(page, "Third", "unpin")
    expect_titles(page, "First", "Second", "Third")


def test_one_row_of_buttons_is_open_at_a_time(page: Page, portal: Portal) -> None:
    remember_all(portal, "First", "Second")
    log_in(page, portal)
    for title in ("First", "Second"):
        entry(page, title).hover()
        page.get_by_role("button", name=f"More: {title}").click()
        expect(page.locator(".entry__tools")).to_have_count(1)
        expect(entry(page, title).locator(".entry__tools")).to_be_visible()


def test_what_was_deleted_can_be_brought_back_to_its_place(page: Page, portal: Portal) -> None:
    remember_all(portal, "First", "Second", "Third", "Fourth")
    log_in(page, portal)
    act(page, "Second", "delete")
    expect_titles(page, "First", "Third", "Fourth")
    expect(entry(page, "Third").locator("a")).to_be_focused()
    act(page, "Third", "delete")
    expect_titles(page, "First", "Fourth")
    notice = page.get_by_role("status").filter(has_text="Deleted")
    expect(notice).to_contain_text("Deleted: Second")
    page.get_by_role("button", name="Undo: Second").click()
    expect_titles(page, "First", "Second", "Fourth")
    expect(entry(page, "Second").locator("a")).to_be_focused()
    page.get_by_role("button", name="Undo: Third").click()
    expect_titles(page, "First", "Second", "Third", "Fourth")
    expect(notice).to_have_count(0)
    page.reload()
    expect_titles(page, "First", "Second", "Third", "Fourth")


def test_undo_is_offered_for_ten_seconds_that_wait_for_the_reader(page: Page, portal: Portal) -> None:
    page.clock.install()
    remember_all(portal, "First", "Second", "Third")
    log_in(page, portal)
    undo = page.get_by_role("button", name="Undo: Second")
    act(page, "Second", "delete")
    undo.hover()
    page.clock.run_for(15_000)
    expect(undo).to_be_visible()
    page.locator("textarea[name=prompt]").hover()
    page.clock.run_for(9_000)
    expect(undo).to_be_visible()
    page.clock.run_for(1_500)
    expect(undo).to_have_count(0)
    page.reload()
    expect_titles(page, "First", "Third")


def test_the_keyboard_is_at_undo_after_deleting_with_it(page: Page, portal: Portal) -> None:
    remember_all(portal, "First", "Second", "Third")
    log_in(page, portal)

    def delete() -> None:
        page.get_by_role("button", name="More: Second").focus()
        page.keyboard.press("Enter")
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Undo: Second")).to_be_focused()

    delete()
    page.keyboard.press("Enter")
    expect(entry(page, "Second").locator("a")).to_be_focused()
    delete()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Undo: Second")).to_have_count(0)
    expect(entry(page, "Third").locator("a")).to_be_focused()


def test_undo_that_comes_too_late_says_so(page: Page, watch: Watch, portal: Portal) -> None:
    watch.expected = ["status of 404"]
    remember_all(portal, "First", "Second")
    log_in(page, portal)
    page.route("**/restore/", lambda route: route.fulfill(status=404))
    act(page, "Second", "delete")
    page.get_by_role("button", name="Undo: Second").click()
    expect(page.get_by_role("status").filter(has_text="too late")).to_have_text("It is too late to undo this.")
    expect_titles(page, "First")


def test_the_open_one_can_be_deleted_and_brought_back(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("An answer."))
    ask(page, "A question")
    in_state(answers(page).first, "completed")
    address = page.url
    act(page, "A question", "delete")
    expect(entry(page, "A question")).to_have_count(0)
    expect(page.locator("[data-part=deleted]")).to_be_visible()
    page.get_by_role("button", name="Undo: A question").click()
    expect(entry(page, "A question").locator("a")).to_have_attribute("aria-current", "page")
    expect(page.locator("[data-part=deleted]")).to_be_hidden()
    page.goto(address)
    expect(content(answers(page).first)).to_have_text("An answer.")


def test_a_title_with_bad_intentions_stays_text(page: Page, portal: Portal) -> None:
    remember_all(portal, HOSTILE, "Harmless")
    log_in(page, portal)
    act(page, "Harmless", "rename")
    page.get_by_role("textbox", name="Title").fill(HOSTILE + "2")
    page.keyboard.press("Enter")
    expect_titles(page, HOSTILE, HOSTILE + "2")
    for one in page.locator(".entry__title").all():
        expect(one).to_have_attribute("title", re.compile("^<img src=x onerror"))
    act(page, HOSTILE, "delete")
    expect(page.locator(".undo__text")).to_have_text(f"Deleted: {HOSTILE}")
    expect(page.locator(".sidebar").locator("img, script, [onerror]")).to_have_count(0)


def test_a_session_that_has_ended_leads_to_the_login(page: Page, portal: Portal) -> None:
    remember(portal, "A working title")
    page.route_web_socket("**/ws/chat/", lambda socket: None)  # the socket would notice it first
    log_in(page, portal)
    page.context.clear_cookies(name=re.compile("sessionid"))
    act(page, "A working title", "pin")
    expect(page).to_have_url(re.compile(r"/accounts/login/\?next="))
