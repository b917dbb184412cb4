"""A browser whose requests carry what the portal's application puts into their scope (chatsite/asgi.py)."""

from __future__ import annotations

from typing import Any

from django.test import AsyncClient


class ScopedClient(AsyncClient):
    """Django's own client, with more in every scope."""

    def __init__(self, **known: Any) -> None:
        super().__init__()
        self.known = {f"portal.{name}": value for name, value in known.items()}

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        return {**super()._base_scope(**request), **self.known}  # type: ignore[misc]  # not in django-stubs
