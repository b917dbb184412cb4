"""The base class of read-only admin pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.text import capfirst


class ReadOnlyAdmin(admin.ModelAdmin):
    """Refuses to add, change and delete rows, whatever permissions the user has.

    Rows are deleted only with their parent: deleting a user, with the usual permissions, deletes the user's
    conversations. Usage records stay.
    """

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Use the plural name as the title, because nothing can be selected."""
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
    """Cut the text to `limit` characters and an ellipsis."""
    return text if len(text) <= limit else f"{text[:limit]}…"
