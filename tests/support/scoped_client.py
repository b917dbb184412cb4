"""A browser whose requests carry what the portal's application puts into their scope (chatsite/asgi.py)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.test import AsyncClient

from chat.portal import SCOPE_KEY


class ScopedClient(AsyncClient):
    """Django's own client, with a portal in every scope: one that has only what is given here, such as model_stats."""

    def __init__(self, **known: Any) -> None:
        super().__init__()
        self.known = {SCOPE_KEY: SimpleNamespace(**known)}

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        return {**super()._base_scope(**request), **self.known}  # type: ignore[misc]  # not in django-stubs
