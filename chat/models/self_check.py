"""Stored results of the integrity check."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SelfCheck(models.Model):
    """The result of one check of the invariants (chat/integrity.py)."""

    at = models.DateTimeField(_("checked"), default=timezone.now, db_index=True)
    duration_ms = models.PositiveIntegerField(_("took (ms)"))
    generations = models.PositiveIntegerField(_("generations"))
    breaches = models.JSONField(_("breaches"), default=dict, blank=True)
    """Name of the invariant → ids of a few rows that break it."""

    class Meta:
        verbose_name = _("self-check")
        verbose_name_plural = _("self-checks")

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"

    @property
    def is_well(self) -> bool:
        """Whether every invariant held."""
        return not self.breaches
