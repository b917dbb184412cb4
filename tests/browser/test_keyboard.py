"""The whole walk without a mouse: every stop is in sight and shows that it has the focus."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.page import ADDRESS, answers, content, in_state
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import Gate, answer

FARTHEST = 60
UNSEEN = """() => {
  const stop = document.activeElement;
  if (stop === document.body) return ""; // the browser's own part of the round
  const shows = (element) => {
    const style = getComputedStyle(element);
    return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  };
  // A field may show it at the frame around it.
  const marked = [stop, stop.closest(".composer"), stop.closest("label")].some((one) => one !== null && shows(one));
  const box = (stop.closest("label") ?? stop).getBoundingClientRect();
  const inSight = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return marked && inSight ? "" : `${marked ? "out of sight" : "no mark"}: ${stop.outerHTML.slice(0, 200)}`;
}"""
"""What is wrong with the present stop, if anything."""


def walk_to(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press the key until the target has the focus; all stops on the way must be seen."""
    for _ in range(FARTHEST):
        page.keyboard.press(key)
        assert page.evaluate(UNSEEN) == ""
        if target.count() == 1 and target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"{FARTHEST} stops, and none of them was {target}")


def press(page: Page, target: Locator, key: str = "Tab") -> None:
    walk_to(page, target, key)
    page.keyboard.press("Enter")


def test_the_whole_walk_by_keyboard(page: Page, portal: Portal, upstream: Upstream) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    box = page.locator("textarea[name=prompt]")
    portal.add_user("owner", portal.admin_password)

    # Log in.
    page.goto(f"{portal.url}/")
    if not page.locator("input[autocomplete=username]").evaluate("(element) => element === document.activeElement"):
        walk_to(page, page.locator("input[autocomplete=username]"))
    page.keyboard.type("owner")
    walk_to(page, page.locator("input[type=password]"))
    page.keyboard.type(portal.admin_password)
    page.keyboard.press("Enter")
    expect(box).to_be_focused()

    # The first stop of the page leads past the sidebar.
    walk_to(page, page.locator(".skip"), "Shift+Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")

    # Ask, and stop.
    walk_to(page, box)
    upstream.play("fake", answer("The first ", Gate("never"), "half"), answer("The second answer."))
    page.keyboard.type("A question")
    page.keyboard.press("Enter")
    message = answers(page).first
    expect(content(message)).to_have_text("The first")
    page.keyboard.press("Escape")
    in_state(message, "stopped")
    expect(page).to_have_url(ADDRESS)

    # Try again, copy, and go back to the first version.
    press(page, message.locator("[data-action=retry]"), "Shift+Tab")
    expect(content(message)).to_have_text("The second answer.")
    in_state(message, "completed")
    press(page, message.locator("[data-action=copy]"))
    page.wait_for_function("async () => (await navigator.clipboard.readText()) === 'The second answer.'")
    press(page, message.locator("[data-action=previous]"), "Shift+Tab")
    expect(message.locator("[data-part=place]")).to_have_text("1/2")
    expect(content(message)).to_have_text("The first")

    # An option of the conversation.
    panel = page.locator("[data-part=panel]")
    press(page, page.locator("[data-action=options]"), "Shift+Tab")
    expect(panel.locator("[name=temperature]")).to_be_editable()
    walk_to(page, panel.locator("[name=temperature]"))
    page.keyboard.type("0.3")
    page.keyboard.press("Tab")
    expect(panel.locator("[data-note=temperature]")).to_have_text("Saved")
    press(page, panel.locator("[data-action=close]"), "Shift+Tab")
    expect(panel).to_be_hidden()

    # Another title; delete, and take that back.
    entry = page.locator("[data-conversation]")
    press(page, entry.locator("[data-action=more]"), "Shift+Tab")
    press(page, entry.locator("[data-action=rename]"))
    expect(entry.locator("[name=title]")).to_be_focused()
    page.keyboard.type("Another title")
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=title]")).to_have_text("Another title")
    press(page, entry.locator("[data-action=more]"))
    press(page, entry.locator("[data-action=delete]"))
    expect(page.locator("[data-action=undo]")).to_be_focused()
    assert page.evaluate(UNSEEN) == ""
    page.keyboard.press("Enter")
    expect(entry).to_contain_text("Another title")

    # Dark, the list of all keys, and out.
    press(page, page.locator(".menu > summary"))
    walk_to(page, page.locator("[name=theme][value=system]"))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    press(page, page.locator(".menu > summary"), "Shift+Tab")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate(UNSEEN) == ""
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator(".menu > summary")).to_be_focused()
    page.keyboard.press("Enter")
    press(page, page.locator("[data-action=log-out]"))
    expect(page).to_have_url(re.compile(r"/accounts/login/$"))
