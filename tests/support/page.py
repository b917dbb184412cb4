"""The chat page as a person uses it: log in, write, send, read answers."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.portal import Portal

ADDRESS = re.compile(r"/chat/[0-9a-f-]{36}/$")
LATE = "Not sent yet, trying again."
LATE_MS = 5_000
"""After so long a prompt that was not taken says that it is LATE."""
RECONNECT_MS = 15_000
"""The longest pause between two attempts to connect."""


def log_in(page: Page, portal: Portal) -> None:
    """Open the page as the admin, in a session that all of the portal's tests share. Who logs out takes
    `log_in_by_form`, which begins a session of its own."""
    cookies = portal.admin().cookies.jar
    page.context.add_cookies([{"name": one.name, "value": one.value or "", "url": portal.url} for one in cookies])
    page.goto(f"{portal.url}/")
    if page.evaluate("matchMedia('(pointer: coarse)').matches"):
        expect(box(page)).to_be_editable()  # the keyboard would cover the page
    else:
        expect(box(page)).to_be_focused()


def log_in_by_form(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/")
    page.locator("input[autocomplete=username]").fill(portal.admin_user)
    page.locator("input[type=password]").fill(portal.admin_password)
    page.get_by_role("button", name="Log in").click()
    expect(box(page)).to_be_focused()


def box(page: Page) -> Locator:
    """Where one writes."""
    return page.locator("textarea[name=prompt]")


def send(page: Page) -> Locator:
    return page.locator("button[data-action=send]")


def stop(page: Page) -> Locator:
    return page.locator("button[data-action=stop]")


def ask(page: Page, prompt: str, model: str = "fake") -> None:
    """Send a prompt, in this tab: one in the background draws too seldom to be clicked quickly."""
    page.bring_to_front()
    choose(page, model)
    box(page).fill(prompt)
    send(page).click()


def choose(page: Page, model: str) -> None:
    """By its name alone: how it does stands behind it."""
    picker = page.locator("select[name=model]")
    picker.select_option(value=picker.locator(f'option[data-label="{model}"]').get_attribute("value"))


def answers(page: Page) -> Locator:
    return page.locator("[data-message-id][data-role=assistant]")


def content(message: Locator) -> Locator:
    return message.locator("[data-part=content]")


def version(message: Locator) -> Locator:
    """Which of its versions is shown, such as 1/2."""
    return message.locator("[data-part=place]")


def in_state(message: Locator, state: str) -> None:
    expect(message).to_have_attribute("data-state", state)


def panel(page: Page) -> Locator:
    """The options of the conversation."""
    return page.locator("[data-part=panel]")


def panel_opener(page: Page) -> Locator:
    return page.locator("[data-action=options]")


def panel_field(page: Page, name: str) -> Locator:
    return panel(page).locator(f"[name={name}]")


def open_panel(page: Page) -> None:
    page.bring_to_front()
    panel_opener(page).click()
    expect(panel(page)).to_be_visible()
    expect(panel_field(page, "seed")).to_be_editable()
