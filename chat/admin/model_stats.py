"""Columns and fields with the last hour's figures of models and the current outages of providers.

The lists in chat/admin/provider.py set the order of their columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chat.health.model_stats import ModelStatsCache
from chat.health.provider_outages import ProviderOutage
from chat.models import LanguageModel, Provider
from chat.portal import model_stats_of
from chat.texts.diagnosis import what_failed
from chat.texts.figures import roughly

UNKNOWN = "–"
Column = Callable[[Any], str]


class OutageWarning(admin.ModelAdmin):
    """Shows a warning above the page of a provider that is down."""

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Provider | None = None,
    ) -> HttpResponse:
        outage = model_stats_of(request).outage_of(obj.pk) if obj else None
        if outage is not None:
            messages.warning(
                request,
                gettext("This provider is %(state)s: %(reason)s It is tried again automatically.")
                % {"state": in_words(outage), "reason": what_failed(outage.code)},
            )
        return super().render_change_form(request, context, add, change, form_url, obj)


class ModelStatsOfInline(admin.StackedInline):
    """Shows the figures of each model on its provider's page. Django creates an inline for every request."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        # Django finds the columns by these names; as functions they would have to be identical in every call.
        self.first_token, self.speed, self.errors = figure_columns(model_stats_of(request))
        return [*super().get_readonly_fields(request, obj), "first_token", "speed", "errors"]


def figure_columns(cache: ModelStatsCache) -> list[Column]:
    """Return the columns with the last hour's medians and share of failures."""

    @admin.display(description=_("first token, last hour"))
    def first_token(model: LanguageModel) -> str:
        ttft_ms = cache.of(model).ttft_ms
        return UNKNOWN if ttft_ms is None else gettext("%(number)s s") % {"number": roughly(ttft_ms / 1000)}

    @admin.display(description=_("tokens/s"))
    def speed(model: LanguageModel) -> str:
        tokens_per_second = cache.of(model).tokens_per_second
        return UNKNOWN if tokens_per_second is None else roughly(tokens_per_second)

    @admin.display(description=_("errors"))
    def errors(model: LanguageModel) -> str:
        stats = cache.of(model)
        if stats.error_percent is None:
            return UNKNOWN
        return gettext("%(percent)s %% of %(requests)s") % {
            "percent": stats.error_percent,
            "requests": stats.requests,
        }

    return [first_token, speed, errors]


def outage_column(cache: ModelStatsCache, provider_of: Callable[[Any], int]) -> Column:
    """Return the column with the start of a provider's outage; empty without one."""

    @admin.display(description=_("now"))
    def present(row: LanguageModel | Provider) -> str:
        outage = cache.outage_of(provider_of(row))
        if outage is None:
            return ""
        full = date_format(timezone.localtime(outage.since), "j F Y H:i:s T")
        return format_html('<span title="{}">{}</span>', f"{full}, {outage.code}", in_words(outage))

    return present


def in_words(outage: ProviderOutage) -> str:
    """Return `not answering since 13:05`, with a date if it was another day."""
    since = timezone.localtime(outage.since)
    is_today = since.date() == timezone.localtime().date()
    time = date_format(since, "H:i" if is_today else "j M H:i")
    return gettext("not answering since %(time)s") % {"time": time}
