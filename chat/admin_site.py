"""The admin site: its front page in sections, and the words at the top of every page. Registers no model."""

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
"""Heading → models in their order. What is named nowhere follows in the section of its own application."""


class PortalAdminSite(admin.AdminSite):
    """Django's admin with the portal's words and order."""

    site_title = _("chatsite administration")
    site_header = _("chatsite administration")
    index_title = _("Administration")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """What this person may see, in SECTIONS; the page of one application stays as Django makes it."""
        apps: list[Any] = super().get_app_list(request, app_label)
        return apps if app_label else in_sections(apps)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """What every page of the admin knows, and the version."""
        return {**super().each_context(request), "version": settings.VERSION}


def in_sections(apps: list[Any]) -> list[Any]:
    """Applications with their models, as Django's templates take them, put in SECTIONS."""
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
