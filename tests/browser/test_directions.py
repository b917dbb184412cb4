"""Right to left: each block by its own text, and the whole page when the language asks for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from tests.support.page import answers, ask, content, in_state, log_in
from tests.support.portal import Portal
from tests.support.upstream import Upstream
from tests.support.upstream.script import answer

STYLES = sorted((Path(settings.BASE_DIR) / "static" / "chat" / "css").glob("*.css"))
PHYSICAL = re.compile(
    r"(?<![\w-])(?:(?:margin|padding|border|scroll-margin|scroll-padding)-(?:left|right|top|bottom)|left|right|top|bottom"
    r"|(?:min-|max-)?(?:width|height))\s*:"
)
PERSIAN = "سلام دنیا"


@pytest.mark.parametrize("file", STYLES, ids=lambda file: file.name)
def test_stylesheets_know_no_left_and_right(file: Path) -> None:
    source = re.sub(r"@(?:media|container)[^{]*|/\*.*?\*/", "", file.read_text(), flags=re.S)
    assert PHYSICAL.findall(source) == []


def test_blocks_run_in_the_direction_of_their_text(page: Page, portal: Portal, upstream: Upstream) -> None:
    log_in(page, portal)
    upstream.play("fake", answer(f"{PERSIAN}\n\nHello world\n\n- {PERSIAN}\n\n```python\nprint(1)\n```\n"))
    ask(page, PERSIAN)
    message = answers(page).first
    in_state(message, "completed")
    for block, direction in (("p >> nth=0", "rtl"), ("p >> nth=1", "ltr"), ("li", "rtl"), ("pre", "ltr")):
        expect(content(message).locator(block)).to_have_css("direction", direction)
    expect(page.locator("[data-role=user] [data-part=content]")).to_have_css("direction", "rtl")
    expect(page.locator("[data-part=title]")).to_have_css("direction", "rtl")
    page.locator("textarea[name=prompt]").fill(PERSIAN)
    expect(page.locator("textarea[name=prompt]")).to_have_css("direction", "rtl")


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_a_page_from_right_to_left_has_everything_in_its_place(
    page: Page, portal: Portal, upstream: Upstream, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    log_in(page, portal)
    upstream.play("fake", answer(f"{PERSIAN}\n\n```python\nprint(1)\n```\n"))
    ask(page, PERSIAN)
    in_state(answers(page).first, "completed")
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    expect(content(answers(page).first).locator("pre")).to_have_css("direction", "ltr")
    title, options = (
        page.locator("[data-part=title]").bounding_box(),
        page.locator("[data-action=options]").bounding_box(),
    )
    assert title and options and options["x"] < title["x"]
    if width >= 1024:
        sidebar, main = page.locator(".sidebar").bounding_box(), page.locator("main").bounding_box()
        assert sidebar and main and sidebar["x"] > main["x"]
