"""The bundle: the scripts and the style sheets of the pages in one file each, for few requests.

`manage.py setup_portal` makes it with esbuild. Pages use it only if its sources have not changed since. Without a
bundle they load the single files, with the same result.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)

ENTRIES = {
    "chat.js": "static/chat/js/main.js",
    "chat.css": "static/chat/css/chat.css",
    "plain.css": "static/chat/css/plain.css",
}
"""File of the bundle → its entry point."""

OPTIONS = [
    "--bundle",
    "--format=esm",
    "--splitting",
    "--minify",
    "--sourcemap",
    "--charset=utf8",
    "--log-level=error",
    "--tsconfig=tsconfig.json",
    # Modules that are loaded later stay files of their own, which the import map names (chat/views/modules.py).
    "--external:highlight",
    "--external:highlight/*",
]
ALSO_READ = ("chat/bundle.py", "package-lock.json", "tsconfig.json")
INPUTS = "inputs.json"
SECONDS = 60


class BundleError(Exception):
    """esbuild could not make a bundle. The message is one line."""


@functools.cache
def is_bundled() -> bool:
    """Return whether pages load the bundle. The answer is cached for the life of the process."""
    if not settings.PORTAL_BUNDLED or not (folder() / INPUTS).is_file():
        return False  # `make` has reported the reason
    if fits():
        return True
    logger.warning("scripts and style sheets have changed, so they are served as single files; run ./run.py setup")
    return False


def folder() -> Path:
    """Return the folder of the bundle. chatsite/finders.py publishes its files as `bundle/…`."""
    return Path(settings.PORTAL_CACHE_DIR) / "bundle"


def fits() -> bool:
    """Return whether the bundle exists and was made from the current sources."""
    try:
        inputs = json.loads((folder() / INPUTS).read_text(encoding="utf-8"))
        return inputs == _digests(inputs) and all((folder() / name).is_file() for name in ENTRIES)
    except (OSError, ValueError):
        return False


def make() -> None:
    """Make the bundle unless it is up to date. Raises BundleError, and then removes the bundle."""
    if fits():
        return
    made = folder().with_name("bundle.new")
    for old in (made, folder()):
        shutil.rmtree(old, ignore_errors=True)
    made.mkdir(parents=True)
    inputs = _run_esbuild(made)
    (made / INPUTS).write_text(json.dumps(_digests([*inputs, *ALSO_READ])), encoding="utf-8")
    made.rename(folder())


def _run_esbuild(target: Path) -> list[str]:
    """Write the files of ENTRIES into `target`. Return their sources, relative to BASE_DIR."""
    with tempfile.NamedTemporaryFile(suffix=".json") as metafile:
        entries = [f"{Path(name).stem}={source}" for name, source in ENTRIES.items()]
        call = [_esbuild(), *entries, *OPTIONS, f"--outdir={target}", f"--metafile={metafile.name}"]
        try:
            subprocess.run(call, cwd=settings.BASE_DIR, check=True, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.CalledProcessError as failure:
            lines = failure.stderr.split("\n\n")[:2]  # the error and its place
            raise BundleError(" ".join(" ".join(lines).split()) or f"esbuild ended with {failure.returncode}") from None
        except (OSError, subprocess.TimeoutExpired) as failure:
            raise BundleError(str(failure)) from None
        return list(json.loads(Path(metafile.name).read_text(encoding="utf-8"))["inputs"])


def _esbuild() -> str:
    """Return the path of the native esbuild, which needs no Node. ESBUILD_BINARY_PATH overrides it."""
    found = sorted(Path(settings.BASE_DIR).glob("node_modules/@esbuild/*/bin/esbuild"))
    named = os.environ.get("ESBUILD_BINARY_PATH")
    if not named and not found:
        raise BundleError("esbuild is not installed")
    return named or str(found[0])


def _digests(files: list[str] | dict[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each file. Raises OSError if one is missing."""
    return {file: hashlib.sha256((Path(settings.BASE_DIR) / file).read_bytes()).hexdigest() for file in files}
