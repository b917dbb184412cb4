"""Conversations and their messages, which form a tree: a new version is a new message."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.apps import apps as django_apps
from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

TITLE_CHARACTERS = 80


class ConversationQuerySet(models.QuerySet["Conversation"]):
    """Queries by access and for the list."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> ConversationQuerySet:
        """Return the conversations that `user` owns and has not deleted. All access checks use this or `owned_by`."""
        return self.filter(owner_id=user.pk, deleted_at=None)

    def owned_by(self, user_id: int) -> ConversationQuerySet:
        """Do the same as `visible_to` by the user's id, for the socket."""
        # guard: what is deleted is gone for the socket
        return self.filter(owner_id=user_id, deleted_at=None)

    def with_state(self) -> ConversationQuerySet:
        """Annotate `state`, of the newest generation (None without one), and `unread`: whether it ended unseen."""
        generation = django_apps.get_model("chat", "Generation")
        newest = generation.objects.filter(message__conversation=models.OuterRef("pk")).order_by("-created_at", "-id")
        return self.annotate(
            state=models.Subquery(newest.values("state")[:1]),
            _ended_at=models.Subquery(newest.values("finished_at")[:1]),
            unread=models.Case(
                models.When(_ended_at__gt=models.F("seen_at"), then=models.Value(True)),
                default=models.Value(False),
                output_field=models.BooleanField(),
            ),
        )

    def listed(self) -> ConversationQuerySet:
        """Return the conversations of the sidebar in its order: pinned ones first, then the latest; no archived ones.

        A conversation without a title is not listed: it gets its title from its first prompt.
        """
        listed = self.filter(archived_at=None).exclude(title="")
        return listed.with_state().order_by("-pinned", "-updated_at", "-id")


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
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)  # its row is purged later
    seen_at = models.DateTimeField(_("seen"), default=timezone.now, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated"), default=timezone.now, db_index=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = [
            models.Index(fields=["owner", "-updated_at"], name="conversation_by_owner"),
            models.Index(
                fields=["deleted_at"], name="conversation_deleted", condition=models.Q(deleted_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.title or str(self.id)

    def newest_leaf_id(self) -> uuid.UUID | None:
        """Return the id of the newest message, which the next prompt follows by default; None without messages."""
        return self.messages.order_by("-created_at", "-id").values_list("id", flat=True).first()

    def tree(self) -> Tree:
        """Return the tree of the messages' ids. Does not read their texts."""
        return Tree(self.messages.order_by("created_at", "id").values_list("id", "parent_id"))

    def branch_to(self, message_id: uuid.UUID) -> list[Message]:
        """Return the messages from the first to `message_id`, both included; [] if it isn't in this conversation."""
        ids = self.tree().branch_to(message_id)
        messages = self.messages.in_bulk(ids)
        return [messages[one] for one in ids]


class Tree:
    """The ids of a conversation's messages, with parents and children in order of time. Does no I/O."""

    def __init__(self, pairs: Iterable[tuple[uuid.UUID, uuid.UUID | None]]) -> None:
        self._parents = dict(pairs)
        self._children: dict[uuid.UUID | None, list[uuid.UUID]] = {}
        for message_id, parent_id in self._parents.items():
            self._children.setdefault(parent_id, []).append(message_id)

    def __contains__(self, message_id: uuid.UUID) -> bool:
        return message_id in self._parents

    def newest_leaf(self) -> uuid.UUID | None:
        """Return the newest message; None without messages."""
        return next(reversed(self._parents), None)

    def newest_leaf_below(self, message_id: uuid.UUID) -> uuid.UUID:
        """Return the newest descendant of `message_id`, or `message_id` itself."""
        below, newest = {message_id}, message_id
        for one, parent in self._parents.items():  # in order of time, so parents come first
            if parent in below:
                below.add(one)
                newest = one
        return newest

    def branch_to(self, message_id: uuid.UUID) -> list[uuid.UUID]:
        """Return the ids from the first message to `message_id`, both included; [] if it isn't in the tree."""
        branch: list[uuid.UUID] = []
        at: uuid.UUID | None = message_id
        while at is not None and at in self._parents and len(branch) < len(self._parents):
            branch.append(at)
            at = self._parents[at]
        return branch[::-1]

    def versions_of(self, message_id: uuid.UUID) -> list[uuid.UUID]:
        """Return the message and its siblings, the oldest first."""
        return self._children.get(self._parents[message_id], [])


class MessageQuerySet(models.QuerySet["Message"]):
    """Queries by access."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> MessageQuerySet:
        """Return the messages of the conversations that `user` owns and has not deleted."""
        return self.filter(conversation__owner_id=user.pk, conversation__deleted_at=None)

    def owned_by(self, user_id: int) -> MessageQuerySet:
        """Do the same as `visible_to` by the user's id, for the socket."""
        return self.filter(conversation__owner_id=user_id, conversation__deleted_at=None)


class Message(models.Model):
    """A stored text by one role. Siblings (messages with one parent) are versions of a prompt, or answers to it."""

    class Role(models.TextChoices):
        """The author of a message, with OpenAI's names."""

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
        """The generation of this answer; None for prompts."""
        return getattr(self, "generation", None)


def title_from(prompt: str) -> str:
    """Return the first non-blank line of a prompt, cut to TITLE_CHARACTERS; '' if there is none."""
    for line in prompt.splitlines():
        words = " ".join(line.split())
        if words:
            return words if len(words) <= TITLE_CHARACTERS else words[: TITLE_CHARACTERS - 1].rstrip() + "…"
    return ""
