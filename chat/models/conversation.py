"""Conversations and their messages: a tree in which nothing is overwritten."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

TITLE_CHARACTERS = 80


class ConversationQuerySet(models.QuerySet["Conversation"]):
    """Who may see what."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> ConversationQuerySet:
        """The conversations that `user` owns: the one answer to every question of access."""
        return self.filter(owner_id=user.pk)

    def owned_by(self, user_id: int) -> ConversationQuerySet:
        """The same by the user's id, for the socket's side."""
        return self.filter(owner_id=user_id)

    def listed(self) -> ConversationQuerySet:
        """As the sidebar shows them: pinned first, then the latest, without the archived ones."""
        return self.filter(archived_at=None).order_by("-pinned", "-updated_at", "-id")


class Conversation(models.Model):
    """A dialogue of its owner with a model."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations", verbose_name=_("owner")
    )
    title = models.CharField(_("title"), max_length=200, blank=True)
    model = models.ForeignKey(
        "chat.LanguageModel",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("model"),
    )
    system_prompt = models.TextField(_("system prompt"), blank=True)
    options = models.JSONField(_("options"), default=dict, blank=True)
    pinned = models.BooleanField(_("pinned"), default=False)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, db_index=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = [models.Index(fields=["owner", "-updated_at"], name="conversation_by_owner")]

    def __str__(self) -> str:
        return self.title or str(self.id)

    def latest_branch(self) -> list[Message]:
        """The messages from the first to the newest leaf: at every fork the way goes to the newest child."""
        children: dict[uuid.UUID | None, Message] = {}
        for message in self.messages.order_by("created_at", "id"):
            children[message.parent_id] = message  # the newest one stays
        branch: list[Message] = []
        at: uuid.UUID | None = None
        while at in children and len(branch) < len(children):
            branch.append(children[at])
            at = branch[-1].id
        return branch

    def newest_leaf_id(self) -> uuid.UUID | None:
        """The end of the newest branch, without reading any text; None when there is no message."""
        newest: dict[uuid.UUID | None, uuid.UUID] = {}
        for message_id, parent_id in self.messages.order_by("created_at", "id").values_list("id", "parent_id"):
            newest[parent_id] = message_id
        at: uuid.UUID | None = None
        while at in newest:
            at = newest.pop(at)
        return at

    def branch_to(self, message_id: uuid.UUID) -> list[Message]:
        """The messages from the first to `message_id`, both included; empty when it isn't in this conversation."""
        messages = {message.id: message for message in self.messages.all()}
        branch: list[Message] = []
        at: uuid.UUID | None = message_id
        while at is not None and at in messages:
            branch.append(messages.pop(at))
            at = branch[-1].parent_id
        return branch[::-1]


class MessageQuerySet(models.QuerySet["Message"]):
    """Who may see what."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> MessageQuerySet:
        """The messages of the conversations that `user` owns."""
        return self.filter(conversation__owner_id=user.pk)

    def owned_by(self, user_id: int) -> MessageQuerySet:
        """The same by the user's id, for the socket's side."""
        return self.filter(conversation__owner_id=user_id)


class Message(models.Model):
    """A stored text by one role. Siblings share a parent: other versions of a prompt, other answers to it."""

    class Role(models.TextChoices):
        """Who speaks, in OpenAI's words."""

        SYSTEM = "system", _("system")
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages", verbose_name=_("conversation")
    )
    parent = models.ForeignKey(
        "self", on_delete=models.CASCADE, null=True, blank=True, related_name="children", verbose_name=_("parent")
    )
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    content = models.TextField(_("content"), blank=True)
    reasoning = models.TextField(_("reasoning"), blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["system", "user", "assistant"]), name="message_role_is_known"
            )
        ]
        indexes = [models.Index(fields=["conversation", "created_at"], name="message_by_conversation")]

    def __str__(self) -> str:
        return f"{self.role} {self.id}"

    @property
    def current_generation(self) -> Any:
        """The generation that writes or wrote this answer; None for prompts."""
        return getattr(self, "generation", None)


def title_from(prompt: str) -> str:
    """The first line of a prompt that holds something, at most TITLE_CHARACTERS long; '' when there is none."""
    for line in prompt.splitlines():
        words = " ".join(line.split())
        if words:
            return words if len(words) <= TITLE_CHARACTERS else words[: TITLE_CHARACTERS - 1].rstrip() + "…"
    return ""
