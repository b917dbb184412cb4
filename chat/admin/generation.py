"""Generations and the segments of those that run: what happened, for people who look for a fault."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from chat.admin.read_only import ReadOnlyAdmin, shortened
from chat.messages import sentence
from chat.models import Generation, Segment


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    """One run producing one answer."""

    list_display = ["id", "user", "model", "state", "error_code", "deltas", "created_at", "finished_at"]
    list_filter = ["state", "error_code", "model__provider", "model", "user"]
    list_select_related = ["user", "model"]
    date_hierarchy = "created_at"
    search_fields = ["id", "key", "user__username", "message__id", "message__conversation__id"]
    fields = [
        "id",
        "user",
        "message",
        "model",
        "options",
        "state",
        "finish_reason",
        "error_code",
        "error_sentence",
        "deltas",
        "turns_left_out",
        "key",
        "created_at",
        "started_at",
        "finished_at",
    ]

    @admin.display(description=_("what the user reads"))
    def error_sentence(self, generation: Generation) -> str:
        return sentence(generation.error_code, generation.error_parameters) if generation.error_code else ""


@admin.register(Segment)
class SegmentAdmin(ReadOnlyAdmin):
    """A stored piece of an answer that still runs."""

    list_display = ["generation_id", "prev", "seq", "at_ms"]
    search_fields = ["generation__id"]
    fields = ["generation", "prev", "seq", "shown_text", "shown_reasoning", "at_ms"]

    @admin.display(description=_("text"))
    def shown_text(self, segment: Segment) -> str:
        return shortened(segment.text)

    @admin.display(description=_("reasoning"))
    def shown_reasoning(self, segment: Segment) -> str:
        return shortened(segment.reasoning)
