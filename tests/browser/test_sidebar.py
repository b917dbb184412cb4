"""The list of conversations: its groups and marks, its pages, other tabs, the theme, the drawer."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from chat.models import Conversation
from tests.support.chromium import Watch
from tests.support.entries import act, entry, expect_titles, remember, remember_all, shown
from tests.support.page import ADDRESS, answers, ask, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer, error

pytestmark = pytest.mark.usefixtures("empty_list")


def test_entries_stand_in_the_days_of_the_viewers_time_zone(page: Page, portal: Portal) -> None:
    # The context is in Tokyo, nine hours ahead of UTC; there it is 01:30 on Wednesday, the 11th of March.
    page.clock.set_fixed_time(datetime(2026, 3, 10, 16, 30, tzinfo=UTC))
    for title, at in {
        "this night": datetime(2026, 3, 10, 15, 10, tzinfo=UTC),
        "the evening before": datetime(2026, 3, 10, 14, 50, tzinfo=UTC),
        "a week ago": datetime(2026, 3, 3, 15, 10, tzinfo=UTC),
        "eight days ago": datetime(2026, 3, 3, 14, 50, tzinfo=UTC),
        "new year": datetime(2025, 12, 31, 15, 10, tzinfo=UTC),
        "new year's eve": datetime(2025, 12, 31, 14, 50, tzinfo=UTC),
    }.items():
        remember(portal, title, at)
    remember(portal, "kept at the top", datetime(2024, 5, 1, tzinfo=UTC), pinned=True)
    log_in(page, portal)
    assert shown(page) == [
        ["Pinned", ["kept at the top"]],
        ["Today", ["this night"]],
        ["Yesterday", ["the evening before"]],
        ["Previous 7 days", ["a week ago"]],
        ["March", ["eight days ago"]],
        ["January", ["new year"]],
        ["December 2025", ["new year's eve"]],
    ]


def test_an_empty_list_says_so_until_the_first_prompt(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    none = page.locator("[data-part=none]")
    expect(none).to_be_visible()
    upstream.play("fake", answer("Yes."))
    ask(page, "Is anybody here?")
    expect(entry(page, "Is anybody here?").locator("a")).to_have_attribute("aria-current", "page")
    expect(none).to_be_hidden()
    act(page, "Is anybody here?", "delete")
    expect(none).to_be_visible()


def test_an_entry_says_in_words_what_its_answer_does(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("first ", Gate("one"), "done"), answer("and ", "more"))
    ask(page, "Take your time")
    note = entry(page, "Take your time").locator("[data-part=note]")
    expect(note).to_have_text("Writing")
    ask(page, "Then another one")
    expect(note).to_have_text("Queued")
    page.goto(f"{portal.url}/chat/")
    expect(note).to_have_text("Queued")
    upstream.open("one")
    expect(note).to_have_text("Answer ready")
    expect(entry(page, "Take your time").locator("[data-mark=ready]")).to_have_count(1)
    page.reload()
    expect(note).to_have_text("Answer ready")
    entry(page, "Take your time").locator("a").click()
    expect(page).to_have_url(ADDRESS)
    in_state(answers(page).nth(1), "completed")
    expect(note).to_be_hidden()


def test_an_answer_that_failed_unseen_is_marked(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", (Gate("late"), *error(401, "No.")))
    ask(page, "Will you fail?")
    note = entry(page, "Will you fail?").locator("[data-part=note]")
    expect(note).to_have_text("Writing")
    page.goto(f"{portal.url}/chat/")
    expect(note).to_have_text("Writing")
    upstream.open("late")
    expect(note).to_have_text("Failed")


def test_a_long_list_comes_page_by_page(page: Page, watch: Watch, portal: Portal) -> None:
    watch.expected = ["net::ERR_FAILED"]
    titles = [f"Number {number}" for number in range(120)]
    remember_all(portal, *titles)
    page.route("**/chat/list/?after=*", lambda route: route.abort())
    log_in(page, portal)
    more = page.locator("[data-part=more]")
    more.scroll_into_view_if_needed()
    expect(more).to_have_text("This can't be loaded just now. Try again")
    expect_titles(page, *titles[:50])
    page.unroute("**/chat/list/?after=*")
    more.focus()
    page.keyboard.press("Enter")
    expect_titles(page, *titles[:100])
    expect(entry(page, "Number 50").locator("a")).to_be_focused()
    # The rest comes by itself when the end comes into sight.
    entry(page, "Number 99").scroll_into_view_if_needed()
    expect_titles(page, *titles)
    expect(more).to_have_count(0)


@pytest.mark.parametrize("is_old", [False, True])
def test_an_entry_that_moves_takes_the_keyboard_along(page: Page, portal: Portal, is_old: bool) -> None:
    if is_old:  # browsers that can't move an element as a whole
        page.add_init_script("delete Element.prototype.moveBefore")
    *_, third = remember_all(portal, "First", "Second", "Third")
    log_in(page, portal)
    page.get_by_role("button", name="More: Third").focus()
    assert portal.post(portal.admin(), f"/chat/{third}/details/", pinned="on").status_code == 200
    expect_titles(page, "Third", "First", "Second")
    expect(page.get_by_role("button", name="More: Third")).to_be_focused()


def test_a_second_tab_follows(page: Page, portal: Portal, upstream: Upstream) -> None:
    remember_all(portal, "First", "Second", "Third")
    log_in(page, portal)
    other = page.context.new_page()
    other.goto(f"{portal.url}/chat/")
    expect_titles(other, "First", "Second", "Third")
    more = other.get_by_role("button", name="More: Third")
    more.focus()
    act(page, "Third", "pin")
    expect_titles(other, "Third", "First", "Second")
    expect(more).to_be_focused()
    act(page, "Second", "rename")
    page.get_by_role("textbox", name="Title").fill("Another second")
    page.keyboard.press("Enter")
    expect_titles(other, "Third", "First", "Another second")
    act(page, "First", "delete")
    expect_titles(other, "Third", "Another second")
    page.get_by_role("button", name="Undo: First").click()
    expect_titles(other, "Third", "First", "Another second")
    upstream.play("fake", answer("going ", Gate("on"), "on"))
    ask(page, "A fourth")
    expect_titles(other, "Third", "A fourth", "First", "Another second")
    expect(entry(other, "A fourth").locator("[data-part=note]")).to_have_text("Writing")
    upstream.open("on")
    in_state(answers(page).first, "completed")
    expect(entry(other, "A fourth").locator("[data-part=note]")).to_be_hidden()  # seen in the first tab
    act(page, "A fourth", "delete")
    expect(entry(other, "A fourth")).to_have_count(0)


def test_nothing_missed_stays_wrong_and_nothing_begun_is_lost(page: Page, portal: Portal) -> None:
    sockets: list[WebSocketRoute] = []

    def connect(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    page.route_web_socket("**/ws/chat/", connect)
    first, second, _ = remember_all(portal, "First", "Second", "Third")
    log_in(page, portal)
    act(page, "Third", "rename")
    box = page.get_by_role("textbox", name="Title")
    box.fill("Half a na")
    portal.change(lambda: Conversation.objects.filter(pk=first).update(title="Changed"))
    portal.change(lambda: Conversation.objects.filter(pk=second).update(deleted_at=F("updated_at")))
    remember(portal, "Meanwhile", datetime.now(UTC) + timedelta(seconds=1))
    sockets[-1].close(code=1001)
    expect_titles(page, "Meanwhile", "Changed", "Third")
    expect(box).to_be_focused()
    expect(box).to_have_value("Half a na")
    page.keyboard.type("me")
    page.keyboard.press("Enter")
    expect_titles(page, "Meanwhile", "Changed", "Half a name")


def test_a_page_of_the_list_is_older_than_what_the_socket_told(page: Page, portal: Portal) -> None:
    held: list[Route] = []
    page.route("**/chat/list/", lambda route: held.append(route))
    _, second, _ = remember_all(portal, "First", "Second", "Third")
    log_in(page, portal)
    while not held:
        page.wait_for_timeout(20)
    remember(portal, "Only on the page", datetime.now(UTC) + timedelta(seconds=1))
    answered = held[0].fetch()
    assert portal.post(portal.admin(), f"/chat/{second}/delete/").status_code == 204
    expect_titles(page, "First", "Third")
    held[0].fulfill(response=answered)
    expect_titles(page, "Only on the page", "First", "Third")


def test_the_theme_stays_on_every_page_and_in_other_tabs(page: Page, portal: Portal, chromium: Browser) -> None:
    def is_dark(one: Page) -> bool:
        return bool(one.evaluate("getComputedStyle(document.documentElement).colorScheme === 'dark'"))

    log_in(page, portal)
    other = page.context.new_page()
    other.goto(f"{portal.url}/chat/")
    page.locator("summary", has_text=portal.admin_user).click()
    choices = page.get_by_role("group", name="Theme")
    expect(choices.get_by_label("System")).to_be_checked()
    choices.get_by_label("System").focus()
    page.keyboard.press("ArrowUp")  # round to the last
    expect(choices.get_by_label("Dark")).to_be_checked()
    assert is_dark(page)
    expect(other.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    assert is_dark(page)
    expect(page.locator("[name=theme][value=dark]")).to_be_checked()
    page.goto(f"{portal.url}/admin/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.context.clear_cookies(name=re.compile("sessionid"))
    # The page comes dark from the server: no script has a part in it.
    plain = chromium.new_context(java_script_enabled=False, storage_state=page.context.storage_state()).new_page()
    plain.goto(f"{portal.url}/accounts/login/")
    assert is_dark(plain)
    expect(plain.locator("meta[name=color-scheme]")).to_have_attribute("content", "dark")
    plain.context.close()
    other.locator("summary", has_text=portal.admin_user).click()
    other.get_by_label("System").check()
    assert not is_dark(other)
    page.goto(f"{portal.url}/accounts/login/")
    assert not is_dark(page)


@pytest.mark.parametrize("theme", ['dark" onload=alert(1) x="', "neon", ""])
def test_a_theme_that_is_none_changes_nothing(page: Page, portal: Portal, theme: str) -> None:
    page.context.add_cookies([{"name": "chatsite_theme", "value": theme, "url": portal.url}])
    page.goto(f"{portal.url}/accounts/login/")
    assert page.locator("html").evaluate("(root) => root.getAttributeNames()") == ["lang", "dir"]


def test_the_drawer_on_a_phone(page: Page, portal: Portal) -> None:
    remember_all(portal, "First", "Second")
    page.set_viewport_size({"width": 360, "height": 740})
    log_in(page, portal)
    button = page.get_by_role("button", name="Open conversations")
    sidebar = page.get_by_role("navigation", name="Conversations")
    expect(sidebar).to_be_hidden()
    button.click()
    expect(sidebar).to_be_visible()
    act(page, "Second", "rename")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="More: Second")).to_be_focused()
    expect(sidebar).to_be_visible()
    act(page, "Second", "delete")
    page.get_by_role("button", name="Undo: Second").click()
    expect_titles(page, "First", "Second")
    page.keyboard.press("Escape")
    expect(sidebar).to_be_hidden()
    expect(button).to_be_focused()
    button.click()
    page.set_viewport_size({"width": 1280, "height": 740})
    expect(page.locator(".sidebar:popover-open")).to_have_count(0)
    page.set_viewport_size({"width": 360, "height": 740})
    button.click()
    entry(page, "First").locator("a").click()
    expect(page).to_have_url(ADDRESS)
    expect(sidebar).to_be_hidden()
    expect(page.locator("[data-part=title]")).to_have_text("First")


def test_a_place_far_down_is_kept_from_page_to_page(page: Page, portal: Portal) -> None:
    remember_all(portal, *[f"Number {number}" for number in range(50)])
    log_in(page, portal)
    link = entry(page, "Number 45").locator("a")
    link.scroll_into_view_if_needed()
    before = link.bounding_box()
    link.click()
    expect(page).to_have_url(ADDRESS)
    expect(link).to_have_attribute("aria-current", "page")
    assert before == link.bounding_box()
