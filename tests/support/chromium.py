"""The Chromium of this machine, and what must not happen in it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field

from playwright.sync_api import Browser, ConsoleMessage, Playwright

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


def find_chromium() -> str | None:
    """CHROMIUM, else the first one in PATH."""
    named = os.environ.get("CHROMIUM")
    return named or next((found for name in NAMES if (found := shutil.which(name))), None)


def launch(playwright: Playwright) -> Browser:
    """The Chromium of this machine."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=find_chromium(), args=[*ARGUMENTS, *sandbox])


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
