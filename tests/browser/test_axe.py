"""axe-core finds nothing serious on any page, in any state, light and dark, under the portal's own policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.scenes import SCENES, Scene, Stage
from tests.portal import ROOT
from tests.upstream import Upstream

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
HEIGHTS = {360: 740, 1280: 800}
GRAVE = {"serious", "critical"}
CASES = [
    pytest.param(scene, width, theme, id=f"{scene.name}-{width}-{theme}")
    for scene in SCENES
    for width in HEIGHTS
    for theme in ("light", "dark")
    if not scene.widths or width in scene.widths
]


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    if not AXE.is_file():
        pytest.skip("no axe-core: ./run.py test installs it")
    with Upstream.start() as upstream, Stage.furnished(upstream) as one:
        yield one


def findings(page: Page) -> list[dict[str, Any]]:
    """The rules that are broken, the worst first; none may have been left out, least of all the contrast of colours."""
    page.evaluate(AXE.read_text())
    result = page.evaluate("() => axe.run({ rules: { 'target-size': { enabled: true } } })")
    ran = {rule["id"] for kind in ("passes", "violations", "incomplete", "inapplicable") for rule in result[kind]}
    assert {"color-contrast", "target-size"} <= ran
    return sorted(result["violations"], key=lambda one: one["impact"] not in GRAVE)


def in_words(finding: dict[str, Any]) -> str:
    places = [f"    {' '.join(node['target'])}: {node['failureSummary']}" for node in finding["nodes"][:5]]
    return "\n".join([f"{finding['impact']}: {finding['id']}: {finding['help']}", *places])


@pytest.mark.parametrize(("scene", "width", "theme"), CASES)
def test_nothing_serious(chromium: Browser, stage: Stage, scene: Scene, width: int, theme: str) -> None:
    page = stage.new_page(chromium, width, HEIGHTS[width], theme, scene.who)
    with scene.play(stage, page):
        page.wait_for_load_state("networkidle")
        found = findings(page)
    page.context.close()
    print(*map(in_words, found), sep="\n")
    assert [in_words(one) for one in found if one["impact"] in GRAVE] == []


def test_the_check_can_fail(chromium: Browser, stage: Stage) -> None:
    page = chromium.new_page()
    page.set_content('<main><h1>Faults</h1><p style="color: #ccc; background: #fff">pale</p><img src="data:,"></main>')
    assert {one["id"] for one in findings(page) if one["impact"] in GRAVE} >= {"color-contrast", "image-alt"}
    page.close()
