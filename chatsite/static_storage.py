"""How static files are published: with a hash in their name, compressed, and the script without its comments."""

from __future__ import annotations

import re
from typing import Any

from django.core.files.base import ContentFile, File
from whitenoise.storage import CompressedManifestStaticFilesStorage

OWN_SCRIPT = re.compile(r"chat/js/.*\.js$")


class PortalStaticStorage(CompressedManifestStaticFilesStorage):
    """Comments are for those who read the source: they are a quarter of what a browser would have to load."""

    def _save(self, name: str, content: File[Any]) -> str:
        if OWN_SCRIPT.match(name):
            source = b"".join(content.chunks()).decode()  # from the beginning: it was read for its hash
            content = ContentFile(without_comments(source).encode())
        return super()._save(name, content)  # type: ignore[no-any-return]


def without_comments(source: str) -> str:
    """The same program without comment lines and indents, which is right because none of our texts spans lines.

    Trailing comments stay: only a parser could tell them from a text.
    """
    lines = (line.strip() for line in source.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))
