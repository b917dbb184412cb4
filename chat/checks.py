"""Wrong configuration, said by `manage.py check` with an id and a hint instead of a traceback at the first message."""

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
    """Credentials that none of the keys opens. Asked for by `check --database default`, never in the usual run."""
    if not databases or "default" not in databases:
        return []
    try:
        return [_unreadable(provider) for provider in Provider.objects.filter(enabled=True) if not _opens(provider)]
    except DatabaseError:
        return []  # not migrated yet: there is nothing to read


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
