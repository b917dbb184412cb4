"""The admin of conversations and messages. Users with the permission can read shortened plain text."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chat.admin.read_only import ReadOnlyAdmin, shortened
from chat.models import Conversation, Message


@admin.register(Conversation)
class ConversationAdmin(ReadOnlyAdmin):
    """The list of conversations with owners and models. Their texts are in the admin of messages."""

    list_display = ["title", "owner", "model", "message_count", "updated_at"]
    list_filter = ["owner", "model", "archived_at"]
    list_select_related = ["owner", "model"]
    search_fields = ["id", "title", "owner__username"]
    fields = ["id", "title", "owner", "model", "system_prompt", "options", "pinned", "archived_at", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Conversation]:
        conversations: QuerySet[Conversation] = super().get_queryset(request)
        return conversations.annotate(_messages=Count("messages"))

    @admin.display(description=_("messages"), ordering="_messages")
    def message_count(self, conversation: Conversation) -> int:
        return int(conversation._messages)  # type: ignore[attr-defined]  # annotated above


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    """The texts of conversations."""

    list_display = ["id", "conversation", "role", "beginning", "created_at"]
    list_filter = ["role", "conversation__owner"]
    list_select_related = ["conversation"]
    search_fields = ["id", "conversation__id", "conversation__title"]
    fields = ["id", "conversation", "parent", "role", "shown_content", "shown_reasoning", "created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).select_related("conversation", "parent")

    @admin.display(description=_("content"))
    def beginning(self, message: Message) -> str:
        return shortened(message.content, 80)

    @admin.display(description=_("content"))
    def shown_content(self, message: Message) -> str:
        return shortened(message.content)

    @admin.display(description=_("reasoning"))
    def shown_reasoning(self, message: Message) -> str:
        return shortened(message.reasoning)
