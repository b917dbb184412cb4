"""The scripts of the chat page: the bundle, or the single modules with an import map."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.templatetags.static import static

from chat.bundle import is_bundled

LIBRARIES = {"markdown-it": "vendor/markdown-it.mjs", "dompurify": "vendor/dompurify.mjs"}

LANGUAGES = (
    "bash",
    "c",
    "cpp",
    "csharp",
    "css",
    "diff",
    "dockerfile",
    "go",
    "ini",
    "java",
    "javascript",
    "json",
    "kotlin",
    "markdown",
    "php",
    "plaintext",
    "powershell",
    "python",
    "ruby",
    "rust",
    "shell",
    "sql",
    "swift",
    "typescript",
    "xml",
    "yaml",
)
"""Languages with syntax highlighting. chatsite/finders.py publishes their modules; each is loaded on first use."""


class Scripts(NamedTuple):
    """`main` starts the page. `early`: modules that are loaded with it; `late`: modules loaded on first use."""

    main: str
    early: dict[str, str]
    late: dict[str, str]


def scripts() -> Scripts:
    """Return the addresses of the page's scripts. The keys of `early` and `late` are the names that modules import."""
    late = {"highlight": static("vendor/highlight/core.js")}
    late |= {f"highlight/{name}": static(f"vendor/highlight/languages/{name}.js") for name in LANGUAGES}
    if is_bundled():
        return Scripts(static("bundle/chat.js"), {}, late)
    modules = sorted(file.stem for file in (Path(settings.BASE_DIR) / "static/chat/js").glob("*.js"))
    early = {f"chat/{name}": static(f"chat/js/{name}.js") for name in modules}
    early |= {name: static(path) for name, path in LIBRARIES.items()}
    return Scripts(early["chat/main"], early, late)
