"""What all pages of the admin share that may be looked at only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class ReadOnlyAdmin(admin.ModelAdmin):
    """Neither adds, changes nor deletes, whatever rights somebody has."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def shortened(text: str, limit: int = 500) -> str:
    """At most `limit` characters; the rest is said in words."""
    return text if len(text) <= limit else f"{text[:limit]}…"
