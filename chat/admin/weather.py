"""How models did in the last hour, and which providers do not answer now: columns and fields for their pages."""

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

from chat.findings import what_failed
from chat.generation.health import Mark
from chat.generation.weather import Station, station_of
from chat.messages import roughly
from chat.models import LanguageModel, Provider

UNKNOWN = "–"
Column = Callable[[Any], str]


class WeatherOfModels(admin.ModelAdmin):
    """The columns of a list of models, before those that hardly ever change."""

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        station = station_of(request)
        columns = list(super().get_list_display(request))
        place = columns.index("provider") + 1
        columns[place:place] = [now(station, lambda model: model.provider_id), *figures(station)]
        return columns


class WeatherOfProviders(admin.ModelAdmin):
    """A column of the list of providers, and a warning above the page of one that does not answer."""

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*super().get_list_display(request), now(station_of(request), lambda provider: provider.pk)]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Provider | None = None,
    ) -> HttpResponse:
        mark = station_of(request).mark(obj.pk) if obj else None
        if mark is not None:
            messages.warning(
                request,
                gettext("This provider is %(state)s: %(reason)s It is tried again by itself.")
                % {"state": in_words(mark), "reason": what_failed(mark.code)},
            )
        return super().render_change_form(request, context, add, change, form_url, obj)


class WeatherOfInline(admin.StackedInline):
    """A line of figures for each model on its provider's page. Django makes a new one of these for every request."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        # Django looks the names up here; as functions they would have to be the same ones at every call.
        self.first_token, self.speed, self.errors = figures(station_of(request))
        return [*super().get_readonly_fields(request, obj), "first_token", "speed", "errors"]


def figures(station: Station) -> list[Column]:
    """The medians of the last hour, and how much of it failed."""

    @admin.display(description=_("first token, last hour"))
    def first_token(model: LanguageModel) -> str:
        ttft_ms = station.of(model).ttft_ms
        return UNKNOWN if ttft_ms is None else gettext("%(number)s s") % {"number": roughly(ttft_ms / 1000)}

    @admin.display(description=_("tokens/s"))
    def speed(model: LanguageModel) -> str:
        tokens_per_second = station.of(model).tokens_per_second
        return UNKNOWN if tokens_per_second is None else roughly(tokens_per_second)

    @admin.display(description=_("errors"))
    def errors(model: LanguageModel) -> str:
        weather = station.of(model)
        if weather.error_percent is None:
            return UNKNOWN
        return gettext("%(percent)s %% of %(requests)s") % {
            "percent": weather.error_percent,
            "requests": weather.requests,
        }

    return [first_token, speed, errors]


def now(station: Station, provider_of: Callable[[Any], int]) -> Column:
    """Since when it does not answer; empty when nothing is wrong."""

    @admin.display(description=_("now"))
    def present(row: LanguageModel | Provider) -> str:
        mark = station.mark(provider_of(row))
        if mark is None:
            return ""
        full = date_format(timezone.localtime(mark.since), "j F Y H:i:s T")
        return format_html('<span title="{}">{}</span>', f"{full}, {mark.code}", in_words(mark))

    return present


def in_words(mark: Mark) -> str:
    """`not answering since 13:05`; of another day with its date."""
    since = timezone.localtime(mark.since)
    is_today = since.date() == timezone.localtime().date()
    time = date_format(since, "H:i" if is_today else "j M H:i")
    return gettext("not answering since %(time)s") % {"time": time}
