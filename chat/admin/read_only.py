"""What all pages of the admin share that may be looked at only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import capfirst


class ReadOnlyAdmin(admin.ModelAdmin):
    """Neither adds, changes nor deletes, whatever rights somebody has.

    A row goes only with what it belongs to: a person who is deleted takes the conversations along, with the usual
    permissions; the usage records stay.
    """

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Named after what it lists: there is nothing to select."""
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        page = (request.resolver_match.url_name or "") if request.resolver_match else ""
        if page.startswith(f"{self.opts.app_label}_{self.opts.model_name}_"):
            return False
        return super().has_delete_permission(request, obj)


def shortened(text: str, limit: int = 500) -> str:
    """At most `limit` characters; the rest is said in words."""
    return text if len(text) <= limit else f"{text[:limit]}…"
