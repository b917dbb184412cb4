"""The admin site, with a front page in sections. Registers no models."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

SECTIONS = [
    (_("Providers and models"), ["chat.Provider", "chat.LanguageModel"]),
    (_("People"), ["chat.User", "auth.Group"]),
    (_("Usage"), ["chat.UsageRecord", "chat.SelfCheck"]),
    (_("Conversations"), ["chat.Conversation", "chat.Message", "chat.Generation", "chat.Segment"]),
]
"""Heading → models in order. Other models follow in the section of their own application."""


class PortalAdminSite(admin.AdminSite):
    """Django's admin site with the portal's titles and sections."""

    site_title = _("chatsite administration")
    site_header = _("chatsite administration")
    index_title = _("Administration")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the user's models in SECTIONS. The page of one application is Django's."""
        apps: list[Any] = super().get_app_list(request, app_label)
        return apps if app_label else in_sections(apps)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the version to Django's context of every page."""
        return {**super().each_context(request), "version": settings.VERSION}


def in_sections(apps: list[Any]) -> list[Any]:
    """Rearrange Django's list of applications into SECTIONS."""
    models = {f"{app['app_label']}.{model['object_name']}": model for app in apps for model in app["models"]}
    named = {name for _heading, names in SECTIONS for name in names}
    found = [
        {"name": heading, "app_label": f"section-{place}", "models": [models[name] for name in names if name in models]}
        for place, (heading, names) in enumerate(SECTIONS, start=1)
    ]
    for app in apps:
        rest = [model for model in app["models"] if f"{app['app_label']}.{model['object_name']}" not in named]
        found.append({**app, "models": rest})
    return [section for section in found if section["models"]]
