"""The ledger: what every request took. Nobody changes it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.admin.read_only import ReadOnlyAdmin
from chat.models import UsageRecord
from chat.timing import speeds


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
    list_filter = ["state", "usage_source", "provider_name", "model_name", "user", "source"]
    date_hierarchy = "created_at"
    search_fields = ["user_name", "provider_name", "model_name", "upstream_request_id", "generation__id"]

    def get_fields(self, request: HttpRequest, obj: UsageRecord | None = None) -> Any:
        columns = [field.name for field in UsageRecord._meta.fields if field.name != "id"]
        return [*columns, "tokens_per_second"]

    @admin.display(description=_("tokens per second"))
    def tokens_per_second(self, usage: UsageRecord) -> str:
        speed = speeds(usage.writing_ms, usage.deltas, usage.completion_tokens, usage.characters).tokens_per_second
        return "" if speed is None else str(speed)
