"""The ledger: one usage record per request, opened with the prompt and closed at its end. Records are permanent."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chat.codes import Code
from chat.models.generation import Generation, State
from chat.models.price import DECIMALS, DIGITS
from chat.pricing import Rate

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class UsageRecordQuerySet(models.QuerySet["UsageRecord"]):
    """Queries by access, and for model statistics."""

    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> UsageRecordQuerySet:
        """Return the records of `user`'s requests."""
        return self.filter(user_id=user.pk)

    def unclosed(self) -> UsageRecordQuerySet:
        """Return the records of requests that have not ended."""
        return self.filter(closed_at=None)

    def telling_of_models_since(self, moment: datetime) -> UsageRecordQuerySet:
        """Return the users' requests since `moment` that say something about their model, the newest first.

        Not included: requests stopped before their first text, requests that the portal ended, and prompts that were
        too long.
        """
        asked = self.filter(created_at__gte=moment, source__in=(UsageRecord.Source.CHAT, UsageRecord.Source.API))
        answered = models.Q(state=State.COMPLETED) | models.Q(state=State.STOPPED, ttft_ms__isnull=False)
        others = [code for code in Code if not code.rules.blames_model]
        failed = models.Q(state=State.FAILED) & ~models.Q(error_code__in=others)
        known = asked.filter(closed_at__isnull=False, model__isnull=False)
        return known.filter(answered | failed).order_by("-created_at")


class UsageRecord(models.Model):
    """The figures of one request. Names are copied and links may become null, so that deleting a row keeps them."""

    class UsageSource(models.TextChoices):
        """The origin of the token counts."""

        REPORTED = "reported", _("reported")
        COUNTED = "counted", _("counted")
        UNKNOWN = "unknown", _("unknown")

    class Source(models.TextChoices):
        """How the request reached the portal: page, API or diagnosis."""

        CHAT = "chat", _("chat")
        API = "api", _("API")
        PROBE = "probe", _("probe")

    generation = models.OneToOneField(
        Generation,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="usage",
        verbose_name=_("generation"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="usage",
        verbose_name=_("user"),
    )
    user_name = models.CharField(_("user name"), max_length=150)
    provider = models.ForeignKey(
        "chat.Provider", on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("provider")
    )
    provider_name = models.CharField(_("provider name"), max_length=100)
    model = models.ForeignKey(
        "chat.LanguageModel",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("model"),
    )
    model_name = models.CharField(_("model name"), max_length=200)
    response_model = models.CharField(_("model as upstream named it"), max_length=200, blank=True)
    prompt_tokens = models.PositiveIntegerField(_("prompt tokens"), null=True, blank=True)
    completion_tokens = models.PositiveIntegerField(_("completion tokens"), null=True, blank=True)
    total_tokens = models.PositiveIntegerField(_("total tokens"), null=True, blank=True)
    reasoning_tokens = models.PositiveIntegerField(_("reasoning tokens"), null=True, blank=True)
    cached_tokens = models.PositiveIntegerField(_("cached tokens"), null=True, blank=True)
    usage_source = models.CharField(
        _("token count"), max_length=10, choices=UsageSource.choices, default=UsageSource.UNKNOWN
    )
    counted_with = models.CharField(_("counted with"), max_length=40, blank=True)
    is_estimated = models.BooleanField(_("counted with another model’s table"), default=False)
    prompt_price = models.DecimalField(
        _("prompt price per million tokens"), max_digits=DIGITS, decimal_places=DECIMALS, null=True, blank=True
    )
    completion_price = models.DecimalField(
        _("completion price per million tokens"), max_digits=DIGITS, decimal_places=DECIMALS, null=True, blank=True
    )
    cached_price = models.DecimalField(
        _("cached prompt price per million tokens"), max_digits=DIGITS, decimal_places=DECIMALS, null=True, blank=True
    )
    cost = models.DecimalField(_("cost"), max_digits=24, decimal_places=10, null=True, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    ttft_ms = models.PositiveIntegerField(_("time to first token (ms)"), null=True, blank=True)
    duration_ms = models.PositiveIntegerField(_("duration (ms)"), null=True, blank=True)
    writing_ms = models.DecimalField(
        _("first to last delta (ms)"), max_digits=13, decimal_places=3, null=True, blank=True
    )
    inter_token_latency_ms = models.DecimalField(
        _("inter-token latency (ms)"), max_digits=12, decimal_places=2, null=True, blank=True
    )
    longest_gap_ms = models.PositiveIntegerField(_("longest gap (ms)"), null=True, blank=True)
    deltas = models.PositiveIntegerField(_("deltas"), default=0)
    characters = models.PositiveIntegerField(_("characters"), default=0)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.QUEUED)
    finish_reason = models.CharField(_("finish reason"), max_length=100, null=True, blank=True)  # noqa: DJ001  null = none came, '' never
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    upstream_request_id = models.CharField(_("upstream request id"), max_length=200, blank=True)
    source = models.CharField(_("asked through"), max_length=10, choices=Source.choices, default=Source.CHAT)
    created_at = models.DateTimeField(_("opened"), default=timezone.now, db_index=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    objects = UsageRecordQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage record")
        verbose_name_plural = _("usage records")
        indexes = [models.Index(fields=["user", "-created_at"], name="usage_by_user")]

    def __str__(self) -> str:
        return f"{self.created_at:%Y-%m-%d %H:%M} {self.user_name} {self.model_name}"

    @property
    def rate(self) -> Rate | None:
        """The prices that were valid when the record was opened; None = no price was set."""
        if self.prompt_price is None or self.completion_price is None:
            return None
        return Rate(self.prompt_price, self.completion_price, self.cached_price, self.currency)


def priced(rate: Rate | None) -> dict[str, Any]:
    """Return the fields of a record that hold its prices."""
    if rate is None:
        return {}
    return {
        "prompt_price": rate.prompt,
        "completion_price": rate.completion,
        "cached_price": rate.cached,
        "currency": rate.currency,
    }
