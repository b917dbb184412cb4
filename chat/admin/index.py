"""The admin's front page: what a portal's admin needs first, in sections; and the words at the top of every page."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

SECTIONS = [
    (_("Providers and models"), ["chat.Provider", "chat.LanguageModel"]),
    (_("People"), ["auth.User", "auth.Group"]),
    (_("Usage"), ["chat.UsageRecord", "chat.SelfCheck"]),
    (_("Conversations"), ["chat.Conversation", "chat.Message", "chat.Generation", "chat.Segment"]),
]
"""Heading → models in their order. What is named nowhere follows in the section of its own application."""


def sections(request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
    """What this person may see, as Django's templates take it: the page of one application stays as Django makes it."""
    apps: list[Any] = admin.AdminSite.get_app_list(admin.site, request, app_label)
    if app_label:
        return apps
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


def each_context(request: HttpRequest) -> dict[str, Any]:
    """What every page of the admin knows, and the version."""
    return {**admin.AdminSite.each_context(admin.site, request), "version": settings.VERSION}


def set_up() -> None:
    """Give Django's own site the portal's words and order."""
    admin.site.site_title = _("chatsite administration")
    admin.site.site_header = _("chatsite administration")
    admin.site.index_title = _("Administration")
    # A site of our own would be named in INSTALLED_APPS.
    admin.site.get_app_list = sections  # type: ignore[method-assign]
    admin.site.each_context = each_context  # type: ignore[method-assign]
