"""The admin of usage records, which are read-only."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import CharField, Value
from django.db.models.functions import Concat
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chat.admin.links import link, may_see, without_closed_doors
from chat.admin.read_only import ReadOnlyAdmin
from chat.admin.usage_totals import UsageTotals, totals_of
from chat.models import Generation, UsageRecord, User
from chat.texts.figures import money_in_words
from chat.timing import speeds


class UsageList(ChangeList):
    """The filtered records, with totals over all pages."""

    @cached_property
    def totals(self) -> UsageTotals:
        return totals_of(self.queryset)

    @property
    def cost(self) -> tuple[str, str]:
        """The costs by currency, and a note with the number of records without a known cost."""
        totals = self.totals
        sums = " + ".join(money_in_words(amount, currency) for currency, amount in totals.costs.items())
        unknown = totals.unpriced_requests
        without = ngettext("without %s request", "without %s requests", unknown) % _shown(unknown)
        return sums or "–", without if sums and unknown else ""

    def figures(self) -> list[tuple[str, str, str, str, str]]:
        """The totals for display: name, label, value, unit, note. Unknown values have no unit."""
        totals = self.totals
        requests = ngettext("of tokens, %s request", "of tokens, %s requests", totals.counted_requests)
        note = requests % _shown(totals.counted_requests)
        figures: list[tuple[str, str, int | Decimal | None, str, str]] = [
            ("requests", gettext("Requests"), totals.requests, "", ""),
            ("prompt_tokens", gettext("Prompt tokens"), totals.prompt_tokens, "", ""),
            ("completion_tokens", gettext("Completion tokens"), totals.completion_tokens, "", ""),
            ("total_tokens", gettext("Total tokens"), totals.total_tokens, "", ""),
            ("counted", gettext("Counted by us"), totals.counted_percent, "%", note),
            ("median_ttft_ms", gettext("First token, median"), totals.median_ttft_ms, "ms", ""),
        ]
        cost, without = self.cost
        return [
            *(
                (name, label, _shown(value), "" if value is None else unit, note)
                for name, label, value, unit, note in figures
            ),
            ("cost", gettext("Cost"), cost, "", without),
        ]


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    """The usage records, with the figures of their receipts."""

    list_display = [
        "opened",
        "person",
        "provider_and_model",
        "state",
        "tokens_in",
        "tokens_out",
        "money",
        "usage_source",
        "first_token",
        "duration",
        "speed",
    ]
    list_select_related = False  # the links need the ids only
    list_filter = ["state", "usage_source", "is_estimated", "provider_name", "model_name", "user", "source"]
    date_hierarchy = "created_at"
    ordering = ["-created_at", "-id"]
    search_fields = ["user_name", "provider_name", "model_name", "upstream_request_id", "generation__id"]
    search_help_text = _("Name of a person, provider or model, the provider’s id of a request, or a generation’s id")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UsageList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns: list[Any] = list(self.list_display)
        if may_see(request, User):
            columns[columns.index("person")] = "user_link"
        return [*columns, "generation_link"] if may_see(request, Generation) else columns

    def get_fields(self, request: HttpRequest, obj: UsageRecord | None = None) -> Any:
        columns = [field.name for field in UsageRecord._meta.fields if field.name != "id"]
        return [*without_closed_doors(request, UsageRecord, columns), "tokens_per_second"]

    @admin.display(description=_("time"), ordering="created_at")
    def opened(self, usage: UsageRecord) -> str:
        return _moment(usage.created_at)

    @admin.display(description=_("person"), ordering="user_name")
    def person(self, usage: UsageRecord) -> str:
        return usage.user_name

    @admin.display(description=_("person"), ordering="user_name")
    def user_link(self, usage: UsageRecord) -> str:
        return link(User, usage.user_id, usage.user_name)

    @admin.display(
        description=_("provider / model"),
        ordering=Concat("provider_name", Value(" / "), "model_name", output_field=CharField()),
    )
    def provider_and_model(self, usage: UsageRecord) -> str:
        return f"{usage.provider_name} / {usage.model_name}"

    @admin.display(description=_("tokens in"), ordering="prompt_tokens")
    def tokens_in(self, usage: UsageRecord) -> str:
        return _shown(usage.prompt_tokens)

    @admin.display(description=_("tokens out"), ordering="completion_tokens")
    def tokens_out(self, usage: UsageRecord) -> str:
        return _shown(usage.completion_tokens)

    @admin.display(description=_("cost"), ordering="cost")
    def money(self, usage: UsageRecord) -> str:
        return money_in_words(usage.cost, usage.currency) or "–"

    @admin.display(description=_("first token"), ordering="ttft_ms")
    def first_token(self, usage: UsageRecord) -> str:
        return _shown(usage.ttft_ms, "ms")

    @admin.display(description=_("duration"), ordering="duration_ms")
    def duration(self, usage: UsageRecord) -> str:
        return _shown(usage.duration_ms, "ms")

    @admin.display(description=_("tokens/s"))
    def speed(self, usage: UsageRecord) -> str:
        return self.tokens_per_second(usage) or "–"

    @admin.display(description=_("generation"))
    def generation_link(self, usage: UsageRecord) -> str:
        return link(Generation, usage.generation_id, str(usage.generation_id)[:8]) if usage.generation_id else ""

    @admin.display(description=_("tokens per second"))
    def tokens_per_second(self, usage: UsageRecord) -> str:
        speed = speeds(usage.writing_ms, usage.deltas, usage.completion_tokens, usage.characters).tokens_per_second
        return "" if speed is None else str(speed)


def _moment(moment: datetime) -> str:
    """Format a time in short form in the portal's time zone, with the full form as a tooltip."""
    local = timezone.localtime(moment)
    full = date_format(local, "j F Y H:i:s T")
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', local.isoformat(), full, date_format(local, "j M H:i:s")
    )


def _shown(value: int | Decimal | None, unit: str = "") -> str:
    """Format a number with thousands separators and its unit. None becomes a dash."""
    if value is None:
        return "–"
    return f"{number_format(value, force_grouping=True)} {unit}".rstrip()
