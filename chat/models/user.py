"""The user model: Django's user with personal settings."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class User(AbstractUser):
    """A user of the portal. The table keeps the name that it had with Django's own model."""

    language = models.CharField(_("language"), max_length=35, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True)
    preferences = models.JSONField(_("preferences"), default=dict, blank=True)

    class Meta(AbstractUser.Meta):
        db_table = "auth_user"
