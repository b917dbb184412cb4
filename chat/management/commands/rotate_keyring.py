"""`manage.py rotate_keyring`: encrypt the credentials of providers again, so that old keys can be removed."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from chat.models import CredentialsUnreadable, Provider


class Command(BaseCommand):
    """Exit code 0 if all credentials are encrypted with the newest key, 1 if some could not be read."""

    help = "Encrypt the providers' credentials with the newest key of PORTAL_KEYRING."

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable = []
        with transaction.atomic():
            providers = Provider.objects.exclude(ciphertext="").order_by("name")
            for provider in providers:
                try:
                    provider.rotate_credentials()
                except CredentialsUnreadable:
                    unreadable.append(provider.name)
                else:
                    provider.save(update_fields=["ciphertext"])
            rotated = len(providers) - len(unreadable)
        self.stdout.write(f"{rotated} encrypted with the newest key, {len(unreadable)} can't be read")
        for name in unreadable:
            self.stderr.write(f"{name}: left alone. Put its old key last into PORTAL_KEYRING, or enter the API key.")
        if unreadable:
            sys.exit(1)
