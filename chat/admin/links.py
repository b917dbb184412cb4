"""Links from a row to related rows, for users who may see these."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html


def may_see(request: HttpRequest, model_class: type[models.Model]) -> bool:
    """Return whether the user may open the admin pages of `model_class`."""
    return admin.site.get_model_admin(model_class).has_view_permission(request)


def link(model_class: type[models.Model], pk: Any, text: object) -> str:
    """Return a link to the row's page with `text`, or the text alone if the row was deleted."""
    if pk is None:
        return str(text)
    address = reverse(f"admin:{model_class._meta.app_label}_{model_class._meta.model_name}_change", args=[pk])
    return format_html('<a href="{}">{}</a>', address, text)


def without_closed_doors(request: HttpRequest, model_class: type[models.Model], names: list[str]) -> list[str]:
    """Return `names` without the relations whose rows the user may not see."""
    related = {field.name: field.related_model for field in model_class._meta.fields if field.is_relation}
    return [name for name in names if name not in related or may_see(request, related[name])]  # type: ignore[arg-type]
