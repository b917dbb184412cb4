"""The ledger: what every request took. Nobody changes it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chat.admin.links import link, may_see, without_closed_doors
from chat.admin.read_only import ReadOnlyAdmin
from chat.admin.usage_totals import UsageTotals, totals_of
from chat.models import Generation, UsageRecord
from chat.timing import speeds


class UsageList(ChangeList):
    """The filtered records, and their totals: of all pages, not only the one that is shown."""

    @cached_property
    def totals(self) -> UsageTotals:
        return totals_of(self.queryset)

    def figures(self) -> list[tuple[str, str, str, str]]:
        """The totals to be read: name, label, value, unit."""
        totals = self.totals
        requests = ngettext("of tokens, %s request", "of tokens, %s requests", totals.counted_requests)
        return [
            ("requests", gettext("Requests"), _shown(totals.requests), ""),
            ("prompt_tokens", gettext("Prompt tokens"), _shown(totals.prompt_tokens), ""),
            ("completion_tokens", gettext("Completion tokens"), _shown(totals.completion_tokens), ""),
            ("total_tokens", gettext("Total tokens"), _shown(totals.total_tokens), ""),
            (
                "counted",
                gettext("Counted by us"),
                _shown(totals.counted_percent, "%"),
                requests % _shown(totals.counted_requests),
            ),
            ("median_ttft_ms", gettext("Median time to first token"), _shown(totals.median_ttft_ms, "ms"), ""),
        ]


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    """One request, with the figures its receipt shows."""

    list_display = [
        "created_at",
        "user_name",
        "provider_name",
        "model_name",
        "state",
        "prompt_tokens",
        "completion_tokens",
        "usage_source",
        "ttft_ms",
        "duration_ms",
        "tokens_per_second",
    ]
    list_select_related = False  # the links need the ids only
    list_filter = ["state", "usage_source", "provider_name", "model_name", "user", "source"]
    date_hierarchy = "created_at"
    ordering = ["-created_at", "-id"]
    search_fields = ["user_name", "provider_name", "model_name", "upstream_request_id", "generation__id"]

    class Media:
        css = {"all": ["chat/css/admin.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UsageList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns: list[Any] = list(self.list_display)
        if may_see(request, User):
            columns[columns.index("user_name")] = "user_link"
        return [*columns, "generation_link"] if may_see(request, Generation) else columns

    def get_fields(self, request: HttpRequest, obj: UsageRecord | None = None) -> Any:
        columns = [field.name for field in UsageRecord._meta.fields if field.name != "id"]
        return [*without_closed_doors(request, UsageRecord, columns), "tokens_per_second"]

    @admin.display(description=_("user name"), ordering="user_name")
    def user_link(self, usage: UsageRecord) -> str:
        return link(User, usage.user_id, usage.user_name)

    @admin.display(description=_("generation"))
    def generation_link(self, usage: UsageRecord) -> str:
        return link(Generation, usage.generation_id, str(usage.generation_id)[:8]) if usage.generation_id else ""

    @admin.display(description=_("tokens per second"))
    def tokens_per_second(self, usage: UsageRecord) -> str:
        speed = speeds(usage.writing_ms, usage.deltas, usage.completion_tokens, usage.characters).tokens_per_second
        return "" if speed is None else str(speed)


def _shown(value: int | Decimal | None, unit: str = "") -> str:
    """With separators between the thousands, and its unit; unknown is a dash and never 0."""
    if value is None:
        return "–"
    return f"{number_format(value, force_grouping=True)} {unit}".rstrip()
