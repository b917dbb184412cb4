"""Generations, their states, and the segments of running ones.

Every change of state is one UPDATE … WHERE state …; its row count shows whether it took place.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.models.conversation import Message

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class State(models.TextChoices):
    """The state of a generation. stopped = by its owner; interrupted = the process ended."""

    QUEUED = "queued", _("queued")
    RUNNING = "running", _("running")
    STOPPING = "stopping", _("stopping")
    COMPLETED = "completed", _("completed")
    STOPPED = "stopped", _("stopped")
    FAILED = "failed", _("failed")
    INTERRUPTED = "interrupted", _("interrupted")


OPEN_STATES = (State.QUEUED, State.RUNNING, State.STOPPING)
FINAL_STATES = (State.COMPLETED, State.STOPPED, State.FAILED, State.INTERRUPTED)


class GenerationQuerySet(models.QuerySet["Generation"]):
    """Queries by access, and the changes of state. Each change returns whether it took place."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> GenerationQuerySet:
        """Return the generations that `user` started."""
        return self.filter(user_id=user.pk)

    def owned_by(self, user_id: int) -> GenerationQuerySet:
        """Do the same as `visible_to` by the user's id, for the socket."""
        return self.filter(user_id=user_id)

    def unfinished(self) -> GenerationQuerySet:
        """Return the generations that have not ended."""
        return self.filter(state__in=OPEN_STATES)

    def begin(self, pk: uuid.UUID) -> bool:
        """Change queued → running."""
        return self._move(pk, (State.QUEUED,), state=State.RUNNING, started_at=timezone.now())

    def request_stop(self, pk: uuid.UUID) -> bool:
        """Change running → stopping. The run stores the end."""
        return self._move(pk, (State.RUNNING,), state=State.STOPPING)

    def end(self, pk: uuid.UUID, state: State, **values: Any) -> bool:
        """Change any open state to a final one."""
        return self._move(pk, OPEN_STATES, state=state, finished_at=timezone.now(), **values)

    def _move(self, pk: uuid.UUID, states: tuple[State, ...], **values: Any) -> bool:
        # guard: a change of state compares before it sets
        return self.filter(pk=pk, state__in=states).update(**values) == 1


class Generation(models.Model):
    """One run producing one answer, from the accepted prompt to its stored end. Ids are never reused."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="generations", verbose_name=_("user")
    )
    message = models.OneToOneField(
        Message, on_delete=models.CASCADE, related_name="generation", verbose_name=_("answer")
    )
    model = models.ForeignKey(
        "chat.LanguageModel", on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("model")
    )
    options = models.JSONField(_("options"), default=dict, blank=True)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.QUEUED)
    key = models.UUIDField(_("key"))
    request_hash = models.CharField(_("request hash"), max_length=64)
    finish_reason = models.CharField(_("finish reason"), max_length=100, null=True, blank=True)  # noqa: DJ001  null = none came, '' never
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    error_parameters = models.JSONField(_("error parameters"), default=dict, blank=True)
    deltas = models.PositiveIntegerField(_("deltas"), default=0)
    curve = models.JSONField(_("characters over time"), default=list, blank=True, editable=False)
    kept_characters = models.PositiveIntegerField(
        _("characters that were there before"),
        default=0,
        editable=False,
        help_text=_("Of the answer that this one continues."),
    )
    turns_left_out = models.PositiveIntegerField(_("turns left out"), default=0)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = GenerationQuerySet.as_manager()

    class Meta:
        verbose_name = _("generation")
        verbose_name_plural = _("generations")
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="generation_once_per_key"),
            models.CheckConstraint(condition=models.Q(state__in=State.values), name="generation_state_is_known"),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="generation_by_user"),
            models.Index(
                fields=["state"], name="generation_unfinished", condition=models.Q(state__in=list(OPEN_STATES))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.state}"

    @property
    def is_final(self) -> bool:
        """Whether the generation has ended."""
        return self.state in FINAL_STATES


class Segment(models.Model):
    """A stored part of a running answer: the deltas (prev, seq]. At the end, segments are joined into the message."""

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="segments")
    prev = models.PositiveIntegerField()
    seq = models.PositiveIntegerField()
    text = models.TextField(blank=True)
    reasoning = models.TextField(blank=True)
    at_ms = models.PositiveIntegerField()

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["generation", "prev"]
        constraints = [
            models.UniqueConstraint(fields=["generation", "prev"], name="segment_once_per_place"),
            models.CheckConstraint(condition=models.Q(seq__gt=models.F("prev")), name="segment_goes_forward"),
        ]

    def __str__(self) -> str:
        return f"{self.generation_id} ({self.prev}, {self.seq}]"
