"""axe-core finds nothing serious on any page, in any state, light and dark, under the portal's own policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.scenes import SCENES, Scene, Stage
from tests.support.portal import ROOT
from tests.support.upstream import Upstream

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
GRAVE = {"serious", "critical"}
WIDE, PHONE = (1280, 800), (360, 740)
ON_PHONES_TOO = {"diagnosis", "long", "panel", "streaming", "usage"}
CASES = [
    pytest.param(scene, size, id=f"{scene.name}-{size[0]}")
    for scene in SCENES
    for size in (WIDE, PHONE)
    if (size[0] in scene.widths if scene.widths else size is WIDE or scene.name in ON_PHONES_TOO)
]
WHOLE = {"rules": {"target-size": {"enabled": True}}}
SETTLED = """() => Promise.all(
  document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished),
)"""
CONTRAST = {"runOnly": ["color-contrast", "link-in-text-block"]}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    if not AXE.is_file():
        pytest.skip("no axe-core: ./run.py test installs it")
    with Upstream.start() as upstream, Stage.furnished(upstream) as one:
        yield one


def findings(page: Page, options: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules that are broken, the worst first; contrast must have been among those that were tried."""
    result = page.evaluate("(options) => axe.run(options)", options)
    tried = {rule["id"] for kind in ("passes", "violations", "incomplete", "inapplicable") for rule in result[kind]}
    assert tried >= set(options.get("runOnly", ["color-contrast", "target-size"]))
    return sorted(result["violations"], key=lambda one: one["impact"] not in GRAVE)


def in_words(finding: dict[str, Any]) -> str:
    places = [f"    {' '.join(node['target'])}: {node['failureSummary']}" for node in finding["nodes"][:5]]
    return "\n".join([f"{finding['impact']}: {finding['id']}: {finding['help']}", *places])


@pytest.mark.parametrize(("scene", "size"), CASES)
def test_nothing_serious(chromium: Browser, stage: Stage, scene: Scene, size: tuple[int, int]) -> None:
    page = stage.new_page(chromium, *size, "light", scene.who)
    with scene.play(stage, page):
        page.wait_for_load_state("networkidle")
        page.evaluate(AXE.read_text())
        found = findings(page, WHOLE)
        page.emulate_media(color_scheme="dark")  # changes colours and nothing else
        page.evaluate(SETTLED)
        found += findings(page, CONTRAST)
    page.context.close()
    print(*map(in_words, found), sep="\n")
    assert [in_words(one) for one in found if one["impact"] in GRAVE] == []


def test_the_check_can_fail(chromium: Browser) -> None:
    page = chromium.new_page()
    page.set_content('<main><h1>Faults</h1><p style="color: #ccc; background: #fff">pale</p><img src="data:,"></main>')
    page.evaluate(AXE.read_text())
    assert {one["id"] for one in findings(page, WHOLE) if one["impact"] in GRAVE} >= {"color-contrast", "image-alt"}
    page.close()
