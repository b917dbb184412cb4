"""The entries of the list of conversations, for the tests of it: to make them, to find them, to press their buttons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.contrib.auth import get_user_model
from playwright.sync_api import Locator, Page, expect

from chat.models import Conversation
from tests.support.portal import Portal


def remember(portal: Portal, title: str, at: datetime | None = None, pinned: bool = False) -> str:
    """A conversation that has been there for a while, by default since an hour; its id."""
    moment = at or datetime.now(UTC) - timedelta(hours=1)
    times = dict.fromkeys(("seen_at", "created_at", "updated_at"), moment)

    def add() -> str:
        owner = get_user_model().objects.get(username=portal.admin_user)
        return str(Conversation.objects.create(owner=owner, title=title, pinned=pinned, **times).pk)

    return portal.change(add)


def remember_all(portal: Portal, *titles: str) -> list[str]:
    """From the latest to the oldest, a millisecond between two."""
    last = datetime.now(UTC)
    return [remember(portal, title, last - timedelta(milliseconds=place)) for place, title in enumerate(titles)]


def entry(page: Page, title: str) -> Locator:
    return page.locator(".entry", has=page.locator(".entry__title").get_by_text(title, exact=True))


def act(page: Page, title: str, action: str) -> None:
    """Press one of the buttons that More opens."""
    page.bring_to_front()  # a tab in the background draws once a second, and each click waits for it
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
