"""Other answers to the same prompt: asked for, walked through, kept through a reload, gone on from."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.support.chromium import Watch
from tests.support.page import answers, ask, content, in_state, log_in, version
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer, error


def test_each_further_answer_is_a_version_and_all_can_be_read(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("The first."), answer("The second."), answer("The ", Gate("third"), "third."))
    ask(page, "Tell me something")
    only = answers(page).first
    in_state(only, "completed")
    expect(page.locator("[data-part=versions]:visible")).to_have_count(0)

    only.locator("[data-action=again]").click()
    expect(content(only)).to_have_text("The second.")
    in_state(only, "completed")
    expect(version(only)).to_have_text("2/2")
    expect(answers(page)).to_have_count(1)
    expect(only.locator("[data-action=next]")).to_have_attribute("aria-disabled", "true")

    only.locator("[data-action=again]").click()
    expect(content(only)).to_have_text("The")
    expect(only.locator("[data-action=again]")).to_be_hidden()
    upstream.open("third")
    in_state(only, "completed")
    expect(version(only)).to_have_text("3/3")

    only.locator("[data-action=previous]").click()
    expect(content(only)).to_have_text("The second.")
    expect(version(only)).to_have_text("2/3")
    only.get_by_role("link", name="Previous version").click()
    expect(content(only)).to_have_text("The first.")
    expect(page).to_have_url(re.compile(r"\?message="))
    page.reload()
    expect(content(only)).to_have_text("The first.")
    expect(version(only)).to_have_text("1/3")
    only.locator("[data-action=next]").click()
    expect(content(only)).to_have_text("The second.")


def test_one_goes_on_from_the_version_that_one_reads(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("Version one."), answer("Version two."), answer("Further."))
    ask(page, "Begin")
    in_state(answers(page).first, "completed")
    answers(page).first.locator("[data-action=again]").click()
    expect(content(answers(page).first)).to_have_text("Version two.")
    in_state(answers(page).first, "completed")
    answers(page).first.locator("[data-action=previous]").click()
    expect(content(answers(page).first)).to_have_text("Version one.")

    ask(page, "Go on")
    in_state(answers(page).nth(1), "completed")
    sent = upstream.matching("fake", "Go on")[0].body["messages"]
    assert [one["content"] for one in sent] == ["Begin", "Version one.", "Go on"]
    expect(page).to_have_url(re.compile(r"/chat/[0-9a-f-]{36}/$"))
    page.reload()
    expect(content(answers(page).first)).to_have_text("Version one.")
    expect(content(answers(page).nth(1))).to_have_text("Further.")
    answers(page).first.locator("[data-action=next]").click()
    expect(content(answers(page).first)).to_have_text("Version two.")
    expect(answers(page)).to_have_count(1)
    answers(page).first.locator("[data-action=previous]").click()
    expect(answers(page)).to_have_count(2)


def test_an_answer_that_runs_goes_on_while_another_version_is_read(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("Finished."), answer("Half ", Gate("rest"), "and whole."))
    ask(page, "Twice, please")
    in_state(answers(page).first, "completed")
    answers(page).first.locator("[data-action=again]").click()
    expect(content(answers(page).first)).to_have_text("Half")
    answers(page).first.locator("[data-action=previous]").click()
    expect(content(answers(page).first)).to_have_text("Finished.")
    upstream.open("rest")
    expect(page.locator("button[data-action=stop]")).to_be_hidden()
    answers(page).first.locator("[data-action=next]").click()
    expect(content(answers(page).first)).to_have_text("Half and whole.")
    in_state(answers(page).first, "completed")


def test_the_reader_stays_at_the_message_whose_version_is_changed(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    page.set_viewport_size({"width": 900, "height": 500})
    log_in(page, portal)
    lines = ["A line of an answer.\n\n"] * 20
    upstream.play("fake", answer(*lines), answer(*lines), answer("Short."), answer(*lines))
    ask(page, "First")
    in_state(answers(page).first, "completed")
    ask(page, "Second")
    in_state(answers(page).nth(1), "completed")
    second = answers(page).nth(1)
    second.hover()
    second.locator("[data-action=again]").click()
    expect(content(second)).to_have_text("Short.")
    in_state(second, "completed")
    ask(page, "Third")
    in_state(answers(page).nth(2), "completed")
    second.locator("[data-action=previous]").scroll_into_view_if_needed()
    before = second.bounding_box()
    second.locator("[data-action=previous]").click()
    expect(version(second)).to_have_text("1/2")
    after = second.bounding_box()
    assert before and after
    assert abs(before["y"] - after["y"]) < 2


def test_a_failed_answer_stays_as_the_version_before_the_one_that_worked(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play("fake", error(401, "No."), answer("Now it works."))
    ask(page, "Try")
    in_state(answers(page).first, "failed")
    answers(page).first.locator("[data-action=retry]").click()
    in_state(answers(page).first, "completed")
    expect(version(answers(page).first)).to_have_text("2/2")
    answers(page).first.locator("[data-action=previous]").click()
    in_state(answers(page).first, "failed")
    expect(answers(page).first.locator("[data-part=reason]")).to_contain_text("refused our key")


def test_a_middle_answer_can_be_asked_for_again(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("One."), answer("Two."), answer("One again."))
    ask(page, "First")
    in_state(answers(page).first, "completed")
    ask(page, "Second")
    in_state(answers(page).nth(1), "completed")
    answers(page).first.hover()
    answers(page).first.locator("[data-action=again]").click()
    expect(content(answers(page).first)).to_have_text("One again.")
    expect(answers(page)).to_have_count(1)
    answers(page).first.locator("[data-action=previous]").click()
    expect(answers(page)).to_have_count(2)
    expect(content(answers(page).nth(1))).to_have_text("Two.")


def test_without_a_connection_the_version_stays_and_nothing_is_lost(
    page: Page, watch: Watch, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    watch.expected = ["WebSocket connection to", "net::ERR_CONNECTION_REFUSED"]
    portal = new_portal()
    log_in(page, portal)
    upstream.play("fake", answer("One."), answer("Two."))
    ask(page, "First")
    in_state(answers(page).first, "completed")
    answers(page).first.locator("[data-action=again]").click()
    expect(content(answers(page).first)).to_have_text("Two.")
    in_state(answers(page).first, "completed")
    portal.kill()
    answers(page).first.locator("[data-action=previous]").click()
    expect(page.locator("[data-part=problem]")).to_be_visible()
    expect(content(answers(page).first)).to_have_text("Two.")
    portal.start(setup=False)
    expect(page.locator("[data-part=connection]")).to_be_hidden()
    answers(page).first.locator("[data-action=previous]").click()
    expect(content(answers(page).first)).to_have_text("One.")


def test_the_focus_stays_at_the_versions_while_one_walks_through_them(
    page: Page, portal: Portal, upstream: Upstream
) -> None:
    log_in(page, portal)
    upstream.play("fake", answer("One."), answer("Two."), answer("Three."))
    ask(page, "Count")
    only = answers(page).first
    for text in ("One.", "Two.", "Three."):
        expect(content(only)).to_have_text(text)
        in_state(only, "completed")
        if text != "Three.":
            only.locator("[data-action=again]").click()
    only.locator("[data-action=previous]").focus()
    page.keyboard.press("Enter")
    expect(version(only)).to_have_text("2/3")
    expect(only.locator("[data-action=previous]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(version(only)).to_have_text("1/3")
    expect(only.locator("[data-action=next]")).to_be_focused()
