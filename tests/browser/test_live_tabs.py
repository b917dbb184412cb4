"""What happens in one tab is seen in all tabs of the user, while it happens."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.chromium import Watch
from tests.support.entries import entry
from tests.support.page import answers, ask, content, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, Script, answer


@pytest.fixture
def other(page: Page) -> Page:
    """A second tab of the same browser."""
    return page.context.new_page()


def prompts(page: Page) -> Locator:
    return page.locator("[data-role=user] [data-part=content]")


def begin(page: Page, other: Page, portal: Portal, upstream: Upstream, prompt: str, *scripts: Script) -> None:
    """A conversation with the first of these answers, in both tabs."""
    log_in(page, portal)
    upstream.play("fake", *scripts)
    ask(page, prompt)
    in_state(answers(page).first, "completed")
    other.goto(page.url)


@contextmanager
def away(page: Page, portal: Portal) -> Iterator[None]:
    """The page has no connection, while the portal is there for all others."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", conditions | {"offline": True})
    portal.kill()  # ends the open socket as well, which the emulation leaves alone
    portal.start(setup=False)
    yield
    session.send("Network.emulateNetworkConditions", conditions | {"offline": False})


def test_a_conversation_is_followed_live_in_a_second_tab(
    page: Page, other: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    other.goto(f"{portal.url}/chat/")
    upstream.play("fake", answer("first"), answer("second ", Gate("rest"), "answer"))
    ask(page, "Live in two tabs")
    in_state(answers(page).first, "completed")
    entry(other, "Live in two tabs").locator("a").click()
    expect(content(answers(other).first)).to_have_text("first")

    ask(page, "And more")
    expect(prompts(other)).to_have_text(["Live in two tabs", "And more"])
    expect(content(answers(other).nth(1))).to_have_text("second")
    in_state(answers(other).nth(1), "running")
    expect(answers(other).nth(1).locator("[data-part=speaker]")).to_have_text("fake")
    expect(other.locator("button[data-action=stop]")).to_be_visible()
    upstream.open("rest")
    for tab in (page, other):
        in_state(answers(tab).nth(1), "completed")
        expect(content(answers(tab).nth(1))).to_have_text("second answer")
    # Past the time, which is that of each tab, the receipts are the same to the last digit.
    receipts = [answers(tab).nth(1).locator("[data-part=receipt]") for tab in (page, other)]
    for name in ("duration-ms", "ttft-ms", "tokens-per-second", "prompt-tokens", "completion-tokens", "usage-source"):
        expect(receipts[1]).to_have_attribute(f"data-{name}", receipts[0].get_attribute(f"data-{name}") or "")

    # And back the other way; stopped there, stopped here.
    upstream.play("fake", answer("third ", Gate("never"), "answer"))
    ask(other, "From the other side")
    expect(content(answers(page).nth(2))).to_have_text("third")
    page.locator("button[data-action=stop]").click()
    in_state(answers(other).nth(2), "stopped")


def test_another_version_asked_for_in_one_tab_is_shown_in_the_other(
    page: Page, other: Page, portal: Portal, upstream: Upstream
) -> None:
    begin(page, other, portal, upstream, "Versions in two tabs", answer("one"), answer("two"), answer("three"))
    expect(content(answers(other).first)).to_have_text("one")
    answers(page).first.locator("[data-action=again]").click()
    expect(content(answers(other).first)).to_have_text("two")
    expect(answers(other).first.locator("[data-part=place]")).to_have_text("2/2")

    # Whoever reads an older version is not torn away from it.
    answers(other).first.locator("[data-action=previous]").click()
    expect(content(answers(other).first)).to_have_text("one")
    in_state(answers(page).first, "completed")
    answers(page).first.locator("[data-action=again]").click()
    expect(content(answers(page).first)).to_have_text("three")
    expect(answers(other).first.locator("[data-part=place]")).to_have_text("1/3")
    expect(content(answers(other).first)).to_have_text("one")


def test_what_was_missed_while_the_connection_was_away_is_there_after_it(
    page: Page, other: Page, watch: Watch, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    watch.expected = ["WebSocket", "net::ERR", "Failed to load resource"]
    portal = new_portal()
    begin(page, other, portal, upstream, "Missed nothing", answer("one"), answer("two"), answer("three"))
    expect(content(answers(other).first)).to_have_text("one")
    page.locator("textarea[name=prompt]").fill("A draft")
    with away(page, portal):
        ask(other, "While you were away")
        in_state(answers(other).nth(1), "completed")
        expect(answers(page)).to_have_count(1)
    expect(prompts(page)).to_have_text(["Missed nothing", "While you were away"])
    expect(content(answers(page).nth(1))).to_have_text("two")
    expect(page.locator("textarea[name=prompt]")).to_have_value("A draft")


def test_the_list_shows_what_runs_what_is_new_and_what_failed(
    page: Page, other: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("slow ", Gate("door"), "answer"))
    ask(page, "Watched from afar")
    expect(content(answers(page).first)).to_have_text("slow")
    address = page.url
    other.goto(f"{portal.url}/chat/")
    entries = [entry(tab, "Watched from afar") for tab in (page, other)]
    expect(entries[1]).to_contain_text("Writing")
    page.goto(f"{portal.url}/chat/")  # nobody has it open now
    expect(entries[0]).to_contain_text("Writing")
    upstream.open("door")
    for one in entries:
        expect(one).to_contain_text("Answer ready")
    page.goto(address)
    in_state(answers(page).first, "completed")
    for one in entries:
        expect(one).not_to_contain_text("Answer ready")


def test_a_conversation_deleted_in_another_tab_says_so_and_comes_back(
    page: Page, other: Page, watch: Watch, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("one"))
    ask(page, "Delete me elsewhere")
    in_state(answers(page).first, "completed")
    other.goto(f"{portal.url}/chat/")
    doomed = entry(other, "Delete me elsewhere")
    doomed.hover()
    doomed.locator("[data-action=more]").click()
    other.get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("[data-part=deleted]")).to_contain_text("This conversation was deleted.")
    expect(page.locator("textarea[name=prompt]")).to_be_hidden()
    other.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-part=deleted]")).to_be_hidden()
    expect(page.locator("textarea[name=prompt]")).to_be_visible()


def test_prompts_written_meanwhile_wait_in_line_and_can_be_taken_out(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("first ", Gate("first"), "done"), answer("third done"))
    ask(page, "One")
    expect(content(answers(page).first)).to_have_text("first")
    send = page.locator("[data-action=send]")
    expect(send).to_have_accessible_name("Queue")
    ask(page, "Two")
    in_state(answers(page).nth(1), "queued")
    ask(page, "Three")
    in_state(answers(page).nth(2), "queued")
    expect(answers(page).nth(1).locator("[data-part=phase]")).to_contain_text("Queued")
    page.reload()
    in_state(answers(page).nth(2), "queued")
    answers(page).nth(1).get_by_role("button", name="Remove from queue").click()
    in_state(answers(page).nth(1), "stopped")
    upstream.open("first")
    in_state(answers(page).nth(0), "completed")
    in_state(answers(page).nth(2), "completed")
    expect(content(answers(page).nth(2))).to_have_text("third done")
    expect(send).to_have_accessible_name("Send")
    assert upstream.count("fake", "Two") == 0


def test_the_title_of_a_renamed_conversation_changes_in_every_tab(
    page: Page, other: Page, portal: Portal, upstream: Upstream
) -> None:
    begin(page, other, portal, upstream, "An old name", answer("one"))
    client = portal.admin()
    conversation = re.search(r"/chat/([0-9a-f-]{36})/", page.url)
    assert conversation
    assert portal.post(client, f"/chat/{conversation[1]}/details/", title="<b>A new name</b>").status_code == 200
    for tab in (page, other):
        expect(tab.locator("[data-part=title]")).to_have_text("<b>A new name</b>")
        expect(tab).to_have_title("<b>A new name</b> · chatsite")
        renamed = tab.locator(f'li[data-conversation="{conversation[1]}"]')
        expect(renamed.locator(".entry__title")).to_have_text("<b>A new name</b>")


def test_a_title_that_was_changed_while_the_connection_was_away_is_there_after_it(
    page: Page, other: Page, watch: Watch, portal: Portal, upstream: Upstream
) -> None:
    watch.expected = ["WebSocket", "net::ERR", "Failed to load resource"]
    begin(page, other, portal, upstream, "The first name", answer("one"))
    with away(page, portal):
        details = f"/chat/{page.url.split('/')[-2]}/details/"
        assert portal.post(portal.admin(), details, title="The second name").status_code == 200
    for tab in (page, other):
        expect(tab.locator("[data-part=title]")).to_have_text("The second name")
        expect(tab).to_have_title("The second name · chatsite")


def test_a_prompt_goes_on_from_what_stands_on_its_page_whatever_another_tab_went_on_from(
    page: Page, other: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play(
        "fake", answer("Version one."), answer("Version two."), answer("Further one."), answer("Further two.")
    )
    ask(page, "Begin")
    in_state(answers(page).first, "completed")
    answers(page).first.locator("[data-action=again]").click()
    expect(content(answers(page).first)).to_have_text("Version two.")
    in_state(answers(page).first, "completed")
    other.goto(page.url)
    answers(other).first.locator("[data-action=previous]").click()
    expect(content(answers(other).first)).to_have_text("Version one.")
    ask(other, "Go on from one")
    in_state(answers(other).nth(1), "completed")

    ask(page, "Go on from two")
    in_state(answers(page).nth(1), "completed")
    sent = upstream.matching("fake", "Go on from two")[0].body["messages"]
    assert [one["content"] for one in sent] == ["Begin", "Version two.", "Go on from two"]


def test_an_answer_that_ended_unseen_while_the_connection_was_away_is_there_after_it(
    page: Page, other: Page, watch: Watch, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    watch.expected = ["WebSocket", "net::ERR", "Failed to load resource"]
    portal = new_portal()
    begin(page, other, portal, upstream, "Seen by nobody", answer("one"), answer("two ", Gate("end"), "three"))
    unseen = entry(other, "Seen by nobody")

    # The list comes after the frame that says that the answer is seen now.
    def let_pass(route: Route) -> None:
        expect(unseen).not_to_contain_text("Answer ready")
        route.continue_()

    with away(page, portal):
        ask(other, "While you were away")
        expect(content(answers(other).nth(1))).to_have_text("two")
        other.goto(f"{portal.url}/chat/")
        upstream.open("end")
        expect(unseen).to_contain_text("Answer ready")
        page.route("**/chat/list/", let_pass)
    expect(prompts(page)).to_have_text(["Seen by nobody", "While you were away"])
    expect(content(answers(page).nth(1))).to_have_text("two three")
