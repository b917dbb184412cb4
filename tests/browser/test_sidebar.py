"""The list of conversations: its groups and marks, what one can do with an entry, other tabs, the theme, the drawer."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, WebSocketRoute, expect

from tests.browser.conftest import Watch
from tests.browser.test_walk import ADDRESS, answers, content, in_state, log_in
from tests.portal import Portal
from tests.upstream import Upstream
from tests.upstream.script import Gate, answer, error

HOSTILE = "<img src=x onerror=alert(1)> \"'</span>{{ 7 }}%(title)s"


@pytest.fixture
def portal(portal: Portal) -> Portal:
    """Its list is empty at the beginning."""
    portal.execute("update chat_conversation set archived_at = updated_at where archived_at is null")
    return portal


def remember(portal: Portal, title: str, at: datetime | None = None, pinned: bool = False) -> str:
    """A conversation that has been there for a while, by default since an hour; its id."""
    (owner,) = portal.rows("select id from auth_user where username = ?", portal.admin_user)
    made = uuid.uuid4()
    moment = f"{at or datetime.now(UTC) - timedelta(hours=1):%Y-%m-%d %H:%M:%S.%f}"
    portal.execute(
        "insert into chat_conversation"
        " (id, owner_id, title, system_prompt, options, pinned, seen_at, created_at, updated_at)"
        " values (?, ?, ?, '', '{}', ?, ?, ?, ?)",
        *(made.hex, owner["id"], title, pinned, moment, moment, moment),
    )
    return str(made)


def remember_all(portal: Portal, *titles: str) -> list[str]:
    """From the latest to the oldest, a second between two, all of one day."""
    last = datetime.now(UTC)
    return [remember(portal, title, last - timedelta(milliseconds=place)) for place, title in enumerate(titles)]


def ask(page: Page, prompt: str) -> None:
    page.locator("textarea[name=prompt]").fill(prompt)
    page.locator("button[data-action=send]").click()


def entry(page: Page, title: str) -> Locator:
    return page.locator(".entry", has=page.locator(".entry__title").get_by_text(title, exact=True))


def act(page: Page, title: str, action: str) -> None:
    """Press one of the buttons that More opens."""
    one = entry(page, title)
    one.hover()
    one.get_by_role("button", name="More").click()
    one.locator(f"[data-action={action}]").click()


def shown(page: Page) -> list[list[object]]:
    """The groups, each with its titles."""
    found: list[list[object]] = page.locator(".group").evaluate_all(
        """(all) => all.map((one) => [
            one.querySelector("h2").textContent,
            [...one.querySelectorAll(".entry__title")].map((title) => title.textContent),
        ])"""
    )
    return found


def expect_titles(page: Page, *titles: str) -> None:
    expect(page.locator(".entry__title")).to_have_text(list(titles))


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
    expect(page.get_by_role("status").filter(has_text="too late")).to_have_text("It is too late to bring this back.")
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
    portal.execute("update chat_conversation set title = 'Changed' where id = ?", first.replace("-", ""))
    portal.execute("update chat_conversation set deleted_at = updated_at where id = ?", second.replace("-", ""))
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
