"""What a person waits for: bytes and requests until the page can be used, on a portal as production runs it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.page import answers, ask, box, content, in_state, log_in, log_in_by_form
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import answer

BYTES = 150_000
REQUESTS = 12
CODE = "```python\nprint(1)\n```\n"


@dataclass
class Traffic:
    """What the browser asked for, and the bytes that came, as they were sent: compressed, with their headers."""

    addresses: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    bytes: int = 0

    def ask(self, event: dict[str, Any]) -> None:
        self.addresses.append(event["request"]["url"])

    def take(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])


@contextmanager
def measured(page: Page) -> Iterator[Traffic]:
    """What is loaded meanwhile, with nothing in the browser's cache."""
    traffic = Traffic()
    session = page.context.new_cdp_session(page)
    session.on("Network.requestWillBeSent", traffic.ask)
    session.on("Network.loadingFinished", traffic.take)
    session.on("Network.webSocketCreated", lambda event: traffic.sockets.append(event["url"]))
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    yield traffic
    page.wait_for_load_state("networkidle")
    session.send("Network.disable")  # its answer comes after all that was seen before
    session.detach()


def test_a_page_loads_little_in_few_requests(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    with measured(page) as new:
        page.goto(f"{portal.url}/chat/")
        expect(box(page)).to_be_editable()
        expect(page.locator("[data-part=used]")).not_to_be_empty()
    upstream.play("fake", answer("# Rivers\n\n" + "They carry stones. " * 50))
    ask(page, "Tell me about rivers.")
    in_state(answers(page).first, "completed")
    with measured(page) as old:
        page.reload()
        expect(content(answers(page).first).locator("h3")).to_have_text("Rivers")
        expect(page.locator("[data-part=used]")).not_to_be_empty()

    for name, traffic in (("new", new), ("with an answer", old)):
        asked = traffic.addresses + traffic.sockets
        print(f"{name}: {traffic.bytes} bytes in {len(asked)} requests")
        assert len(traffic.sockets) == 1
        assert traffic.bytes <= BYTES, asked
        assert len(asked) <= REQUESTS, asked


def test_what_colours_code_is_loaded_when_there_is_code(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    with measured(page) as before:
        page.goto(f"{portal.url}/chat/")
        expect(box(page)).to_be_editable()
    upstream.play("fake", answer(CODE))
    with measured(page) as after:
        ask(page, "Show me code.")
        expect(content(answers(page).first).locator("code span").first).to_be_visible()

    libraries = re.compile(r"/vendor/highlight/(.+?)\.")
    assert [name for one in before.addresses for name in libraries.findall(one)] == []
    assert {name for one in after.addresses for name in libraries.findall(one)} == {"core", "languages/python"}


def test_what_a_page_loads_is_kept_by_the_browser(page: Page, portal: Portal) -> None:
    kept = {}
    page.on("response", lambda one: kept.update({one.url: one.headers.get("cache-control", "")}))
    log_in_by_form(page, portal)

    files = [(url, policy) for url, policy in kept.items() if "/static/" in url]
    assert len(files) >= 3
    for url, policy in files:
        assert "immutable" in policy, url
