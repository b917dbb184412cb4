"""The admin of generations and segments, for finding faults."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.admin.links import link, may_see, without_closed_doors
from chat.admin.read_only import ReadOnlyAdmin, shortened
from chat.models import Conversation, Generation, Segment, UsageRecord
from chat.texts.errors import sentence


@admin.register(Generation)
class GenerationAdmin(ReadOnlyAdmin):
    """The generations, with links to their rows."""

    list_display = ["id", "user", "model", "state", "error_code", "deltas", "created_at", "finished_at"]
    list_filter = ["state", "error_code", "model__provider", "model", "user"]
    list_select_related = ["user", "model"]
    date_hierarchy = "created_at"
    search_fields = ["id", "key", "user__username", "message__id", "message__conversation__id"]
    fields = [
        "id",
        "user",
        "conversation_link",
        "message",
        "usage_link",
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

    def get_fields(self, request: HttpRequest, obj: Generation | None = None) -> Any:
        doors = {"conversation_link": Conversation, "usage_link": UsageRecord}
        names = [str(name) for name in self.fields or ()]
        names = [name for name in names if name not in doors or may_see(request, doors[name])]
        return without_closed_doors(request, Generation, names)

    @admin.display(description=_("conversation"))
    def conversation_link(self, generation: Generation) -> str:
        conversation = generation.message.conversation
        return link(Conversation, conversation.pk, conversation)

    @admin.display(description=_("usage record"))
    def usage_link(self, generation: Generation) -> str:
        usage = getattr(generation, "usage", None)
        return link(UsageRecord, usage.pk, usage) if usage else ""

    @admin.display(description=_("what the user reads"))
    def error_sentence(self, generation: Generation) -> str:
        return sentence(generation.error_code, generation.error_parameters) if generation.error_code else ""


@admin.register(Segment)
class SegmentAdmin(ReadOnlyAdmin):
    """The stored parts of running answers."""

    list_display = ["generation_id", "prev", "seq", "at_ms"]
    search_fields = ["generation__id"]
    fields = ["generation", "prev", "seq", "shown_text", "shown_reasoning", "at_ms"]

    @admin.display(description=_("text"))
    def shown_text(self, segment: Segment) -> str:
        return shortened(segment.text)

    @admin.display(description=_("reasoning"))
    def shown_reasoning(self, segment: Segment) -> str:
        return shortened(segment.reasoning)
