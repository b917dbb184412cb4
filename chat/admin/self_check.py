"""The admin of integrity checks, with a button to run one."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import csrf_protect_m
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from chat.admin.read_only import ReadOnlyAdmin
from chat.integrity import check, record
from chat.models import SelfCheck


@admin.register(SelfCheck)
class SelfCheckAdmin(ReadOnlyAdmin):
    """The stored results. The portal checks every hour."""

    list_display = ["at", "is_well", "broken", "generations", "duration_ms"]
    date_hierarchy = "at"
    fields = ["at", "is_well", "broken", "generations", "duration_ms"]
    ordering = ["-at"]

    @admin.display(description=_("all well"), boolean=True)
    def is_well(self, result: SelfCheck) -> bool:
        return result.is_well

    @admin.display(description=_("broken"))
    def broken(self, result: SelfCheck) -> str:
        return "; ".join(f"{name}: {', '.join(ids)}" for name, ids in result.breaches.items()) or "–"

    def get_urls(self) -> list[URLPattern]:
        now = self.admin_site.admin_view(require_POST(self.check_now))
        return [path("now/", now, name="chat_selfcheck_now"), *super().get_urls()]

    @csrf_protect_m
    def check_now(self, request: HttpRequest, **more: Any) -> HttpResponse:
        """Run a check, store the result and show it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        result = check()
        record(result)
        if result.is_well:
            messages.success(
                request, _("All %(count)d generations are as they should be.") % {"count": result.generations}
            )
        else:
            messages.error(request, _("Something is wrong with the stored data; the newest line says what."))
        return redirect("admin:chat_selfcheck_changelist")
