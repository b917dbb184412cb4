"""A real Chromium for the tests here. Where there is none they are skipped with the reason printed; with
REQUIRE_BROWSER=1 they fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright

from tests.portal import Portal

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = [
    "--headless=new",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SECONDS = 15

expect.set_options(timeout=SECONDS * 1000)


def find_chromium() -> str | None:
    """CHROMIUM, else the first one in PATH."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """The Chromium of this machine."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=find_chromium(), args=[*ARGUMENTS, *sandbox])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # For each module: a loop that stays open would stand in the way of the asynchronous tests elsewhere.
    path = find_chromium()
    if path is None or not Path(path).exists():
        reason = (
            f"no Chromium: {path or 'none of ' + ', '.join(NAMES) + ' in PATH'}; CHROMIUM=/path/to/chromium names one"
        )
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What must not happen on any page: errors in the console (breaches of the policy are among them), foreign hosts.

    `expected`: pieces of console messages that a test brings about itself.
    """

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    expected: list[str] = field(default_factory=list)

    def hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def unexpected(self) -> list[str]:
        return [error for error in self.errors if not any(piece in error for piece in self.expected)]


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    one = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Asia/Tokyo")
    yield one
    one.close()


@pytest.fixture
def watch(context: BrowserContext) -> Iterator[Watch]:
    one = Watch()
    context.on("console", one.hear)
    context.on("weberror", lambda error: one.errors.append(f"uncaught: {error.error}"))
    context.on("request", lambda request: one.hosts.add(request.url.split("/")[2].partition(":")[0]))
    yield one
    assert one.unexpected() == []
    assert one.hosts <= {"127.0.0.1"}, "a page asked another host for something"


@pytest.fixture
def page(context: BrowserContext, watch: Watch) -> Page:
    return context.new_page()


@pytest.fixture
def empty_list(portal: Portal) -> None:
    """The list of conversations is empty at the beginning."""
    portal.execute("update chat_conversation set archived_at = updated_at where archived_at is null")
