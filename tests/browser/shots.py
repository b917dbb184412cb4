"""`./run.py shots`: the pictures of docs/pictures; `--all FOLDER`: every scene at every size, light and dark.

Nothing here is drawn by hand: a portal runs, people ask, and a browser looks on.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import django
from playwright.sync_api import Browser, sync_playwright

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
django.setup()  # the scenes change what their portal has stored

from tests.browser.scenes import SCENES, Scene, Stage
from tests.support.chromium import find_chromium, launch
from tests.support.portal import ROOT
from tests.support.upstream import Upstream

PICTURES = ROOT / "docs" / "pictures"
WIDE, PHONE = (1280, 800), (360, 740)
SIZES = ((360, 740), (768, 1024), (1440, 900))
SHOTS = (
    # file, scene, size, theme
    ("empty", "empty", WIDE, "light"),
    ("streaming", "streaming", WIDE, "light"),
    ("dark", "streaming", WIDE, "dark"),
    ("failed", "failed", WIDE, "light"),
    ("long", "long", WIDE, "light"),
    ("receipt", "receipt", WIDE, "light"),
    ("panel", "panel", WIDE, "light"),
    ("phone", "long", PHONE, "light"),
    ("login", "login", WIDE, "light"),
    ("usage", "usage", (1440, 800), "light"),
    ("404", "404", WIDE, "light"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run.py shots", description=__doc__)
    parser.add_argument("--all", metavar="FOLDER", type=Path, help="where to put every scene at every size")
    parser.add_argument("names", nargs="*", help="only these")
    options = parser.parse_args()
    if find_chromium() is None:
        print("chatsite: there is no Chromium in PATH; CHROMIUM=/path/to/chromium names one", file=sys.stderr)
        return 1
    folder = options.all or PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    scenes = {scene.name: scene for scene in SCENES}
    if options.all:
        shots = [
            (f"{scene.name}-{size[0]}-{theme}", scene, size, theme)
            for scene in SCENES
            for size in SIZES
            for theme in ("light", "dark")
            if not scene.widths or size[0] in scene.widths
        ]
    else:
        shots = [(name, scenes[scene], size, theme) for name, scene, size, theme in SHOTS]
    shots = [shot for shot in shots if not options.names or {shot[0], shot[1].name} & set(options.names)]
    with Upstream.start() as upstream, Stage.furnished(upstream, pace=True) as stage, sync_playwright() as playwright:
        browser = launch(playwright)
        for name, scene, size, theme in shots:
            take(browser, stage, scene, size, theme, folder / f"{name}.png")
        browser.close()
    return 0


def take(browser: Browser, stage: Stage, scene: Scene, size: tuple[int, int], theme: str, file: Path) -> None:
    page = stage.new_page(browser, *size, theme, scene.who)
    with scene.play(stage, page):
        page.mouse.move(0, 0)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=file, animations="disabled", caret="hide")
    page.context.close()
    print(f"{file}  {file.stat().st_size // 1024} KB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
