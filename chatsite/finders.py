"""Publish the named files of node_modules as `vendor/…`, without other files of their packages, and the bundle as
`bundle/…`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage, Storage

from chat import bundle
from chat.views.modules import LANGUAGES

VENDOR_FILES = {
    "vendor/markdown-it.mjs": "markdown-it/dist/browser/markdown-it.esm.min.mjs",
    "vendor/dompurify.mjs": "dompurify/dist/purify.es.mjs",
    "vendor/highlight/core.js": "@highlightjs/cdn-assets/es/core.min.js",
} | {
    f"vendor/highlight/languages/{language}.js": f"@highlightjs/cdn-assets/es/languages/{language}.min.js"
    for language in LANGUAGES
}
"""Static name → file in node_modules."""


class VendorStorage(FileSystemStorage):
    """A storage that maps the published names to files of node_modules."""

    def path(self, name: str) -> str:
        return str(Path(self.location) / VENDOR_FILES[name])


class VendorFinder(BaseFinder):
    """The static-files finder of the browser libraries."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.root = Path(settings.BASE_DIR) / "node_modules"
        self.storage = VendorStorage(location=self.root)

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        missing = [file for file in VENDOR_FILES.values() if not (self.root / file).is_file()]
        if not missing:
            return []
        text = f"{len(missing)} files of the browser libraries are missing, the first is node_modules/{missing[0]}."
        return [Error(text, hint="Run ./run.py setup.", id="chatsite.E001")]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        found = [self.storage.path(path)] if path in VENDOR_FILES and Path(self.storage.path(path)).is_file() else []
        return found if find_all else (found or [""])[0] or None

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Storage]]:
        for name in VENDOR_FILES:
            yield name, self.storage


class BundleFinder(BaseFinder):
    """The static-files finder of the bundle, which may be missing."""

    prefix = "bundle"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.storage = FileSystemStorage(location=bundle.folder())
        self.storage.prefix = self.prefix  # type: ignore[attr-defined]  # collectstatic looks for it

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        return []

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        folder, _, name = path.partition("/")
        file = bundle.folder() / name
        found = [str(file)] if folder == self.prefix and file in self._files() else []
        return found if find_all else (found or [""])[0] or None

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Storage]]:
        for file in self._files():
            yield file.name, self.storage

    def _files(self) -> Iterator[Path]:
        return (file for file in sorted(bundle.folder().glob("*")) if file.name != bundle.INPUTS)
