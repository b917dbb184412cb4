"""A real Chromium for the tests here. Where there is none they are skipped with the reason printed; with
REQUIRE_BROWSER=1 they fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db.models import F
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.chromium import NAMES, SECONDS, Watch, find_chromium, launch
from tests.support.portal import Portal

expect.set_options(timeout=SECONDS * 1000)


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


@pytest.fixture
def portal(request: pytest.FixtureRequest, portal: Portal, new_portal: Callable[..., Portal]) -> Portal:
    """A running portal; "single files" as a parameter makes one that has no bundle of its scripts and style sheets."""
    if getattr(request, "param", "bundled") == "bundled":
        return portal
    return new_portal(DJANGO_SETTINGS_MODULE="tests.support.single_files_settings")


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
    from chat.models import Conversation  # Django is not set up yet when this module is read

    portal.change(lambda: Conversation.objects.filter(archived_at=None).update(archived_at=F("updated_at")))
