"""The import map: bare module names → hashed static files, so that no file needs rewriting when it is collected."""

from __future__ import annotations

from django.templatetags.static import static

MODULES = (
    "announcer",
    "branch",
    "chat",
    "clipboard",
    "composer",
    "connection",
    "elements",
    "entries",
    "entry_tools",
    "figures",
    "following",
    "followings",
    "highlight",
    "keys",
    "main",
    "markdown",
    "message_view",
    "meter",
    "options",
    "outbox",
    "panel",
    "place",
    "prose",
    "protocol",
    "receipt",
    "requests",
    "sentences",
    "sidebar",
    "socket",
    "storage",
    "strings",
    "theme",
    "transcript",
)
"""static/chat/js/NAME.js is chat/NAME; a test compares this with the files."""

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
"""Code in these languages is coloured; chatsite/finders.py publishes them, and each is loaded when it is needed."""


def import_map() -> dict[str, dict[str, str]]:
    """`early`: what the page needs at once, to be loaded ahead; `late`: what it loads when it needs it."""
    early = {f"chat/{name}": static(f"chat/js/{name}.js") for name in MODULES}
    early |= {name: static(path) for name, path in LIBRARIES.items()}
    late = {f"highlight/{name}": static(f"vendor/highlight/languages/{name}.js") for name in LANGUAGES}
    return {"early": early, "late": {"highlight": static("vendor/highlight/core.js"), **late}}
