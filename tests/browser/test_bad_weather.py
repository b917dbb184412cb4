"""A busy database and a browser that changes hands: nothing is asked twice, nothing shows to somebody else."""

from __future__ import annotations

import threading
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Watch
from tests.browser.test_walk import answers, ask, content, in_state, log_in
from tests.portal import Portal
from tests.process.test_database import locked
from tests.upstream import Upstream
from tests.upstream.script import answer

BUSY_SECONDS = 6.5
"""Longer than a prompt waits for its commit."""


def test_a_prompt_refused_by_a_busy_database_is_asked_once(
    page: Page, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    portal = new_portal()
    upstream.play("fake", answer("Here at last."))
    log_in(page, portal)
    done = threading.Event()
    with locked(portal):
        ask(page, "Into the jam")
        expect(page.locator("[data-part=pending]")).to_have_text("Not sent yet, trying again.")
        done.wait(BUSY_SECONDS)
        assert upstream.count("fake") == 0
    in_state(answers(page).first, "completed")
    expect(content(answers(page).first)).to_have_text("Here at last.")
    expect(page.locator("[data-role=user]")).to_have_count(1)
    assert upstream.count("fake") == 1


def test_a_page_that_changes_hands_shows_nothing_of_its_first_user(
    page: Page, watch: Watch, portal: Portal, upstream: Upstream
) -> None:
    watch.expected = ["404 (Not Found)"]  # the owner's conversation, for the colleague
    upstream.play("fake", answer("For the owner's eyes."))
    log_in(page, portal)
    ask(page, "A private question")
    in_state(answers(page).first, "completed")
    portal.add_user("colleague", "a-colleagues-password-1")
    other = page.context.new_page()
    other.goto(f"{portal.url}/chat/")
    other.locator("summary", has_text=portal.admin_user).click()
    other.locator("[data-action=log-out]").click()
    other.locator("input[autocomplete=username]").fill("colleague")
    other.locator("input[type=password]").fill("a-colleagues-password-1")
    other.get_by_role("button", name="Log in").click()
    expect(other.locator("textarea[name=prompt]")).to_be_focused()
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.locator("textarea[name=prompt]").fill("whose am I?")
    page.locator("[data-action=send]").click()
    expect(page.locator("text=A private question")).to_have_count(0)
    expect(other.locator("text=A private question")).to_have_count(0)
    assert upstream.count(prompt="whose am I?") == 0
