"""A busy database, a network that swallows everything, a browser that changes hands: nothing is asked twice, nothing is
missing, nothing shows to somebody else.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.support.chromium import Watch
from tests.support.locking import locked
from tests.support.page import answers, ask, content, in_state, log_in, log_in_by_form
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer

BUSY_SECONDS = 6.5
"""Longer than a prompt waits for its commit."""


SILENCE_MS = 36_000
"""After so long at most, a connection without a sign of life counts as dead."""


class Wire:
    """A way to a portal on a port of its own, whose present connections can be made to swallow everything."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ends: list[socket.socket] = [self._listener]
        self._swallowed: set[socket.socket] = set()

    def lead_to(self, port: int) -> None:
        threading.Thread(target=self._serve, args=(port,), daemon=True).start()

    def swallow(self) -> None:
        """Nothing gets through any more, in both directions; what connects from now on works."""
        self._swallowed.update(self._ends)

    def cut(self) -> None:
        for end in self._ends:
            end.close()

    def _serve(self, port: int) -> None:
        while True:
            try:
                browser, _ = self._listener.accept()
                self._ends.append(browser)
                portal = socket.create_connection(("127.0.0.1", port))
            except OSError:  # cut, or the portal has ended
                return
            self._ends.append(portal)
            for way in ((browser, portal), (portal, browser)):
                threading.Thread(target=self._carry, args=way, daemon=True).start()

    def _carry(self, start: socket.socket, end: socket.socket) -> None:
        try:
            while data := start.recv(65536):
                if start not in self._swallowed:
                    end.sendall(data)
            end.shutdown(socket.SHUT_WR)
        except OSError:
            return


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.cut()


def test_a_connection_that_swallows_everything_is_replaced_without_a_click(
    page: Page, wire: Wire, new_portal: Callable[..., Portal], upstream: Upstream
) -> None:
    upstream.play("fake", answer("before ", Gate("swallowed"), "\U0001f642 after"))
    portal = new_portal(PORTAL_ORIGINS=wire.url)
    wire.lead_to(portal.port)
    portal.url = wire.url  # the way of the browser
    page.clock.install()
    log_in(page, portal)
    ask(page, "Are you there?")
    expect(content(answers(page).first)).to_have_text("before")
    wire.swallow()
    upstream.open("swallowed")
    page.locator("textarea[name=prompt]").fill("And still?")
    page.keyboard.press("Enter")
    page.wait_for_timeout(500)
    expect(content(answers(page).first)).to_have_text("before")
    assert upstream.count("fake") == 1

    page.clock.fast_forward(SILENCE_MS)
    expect(content(answers(page).first)).to_have_text("before \U0001f642 after")
    in_state(answers(page).nth(1), "completed")
    expect(page.locator("[data-role=user]")).to_have_count(2)
    assert upstream.count("fake") == 2


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
    # The owner's conversation, for the colleague; and what the owner's page wants to have counted.
    watch.expected = ["404 (Not Found)", "403 (Forbidden)"]
    upstream.play("fake", answer("For the owner's eyes."))
    log_in_by_form(page, portal)
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
