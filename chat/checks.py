"""System checks: `manage.py check` reports wrong configuration with an id and a hint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from chat.models import CredentialsUnreadable, Provider


@register(Tags.database)
def check_credentials(
    app_configs: Sequence[Any] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Report credentials that no key decrypts. Runs only with `check --database default`."""
    if not databases or "default" not in databases:
        return []
    try:
        return [_unreadable(provider) for provider in Provider.objects.filter(enabled=True) if not _opens(provider)]
    except DatabaseError:
        return []  # not migrated yet


def _opens(provider: Provider) -> bool:
    try:
        provider.credentials()
    except CredentialsUnreadable:
        return False
    return True


def _unreadable(provider: Provider) -> CheckMessage:
    return Warning(
        f"The API key of the provider “{provider.name}” can't be decrypted: its answers will fail with upstream_auth.",
        hint="Put the key it was encrypted with back into PORTAL_KEYRING, or enter the API key again in the admin.",
        obj=provider,
        id="chat.W001",
    )
