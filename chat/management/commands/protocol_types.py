"""`manage.py protocol_types`: write the TypeScript types of the socket's commands and frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from chat.protocol.typescript import declarations

FILE = Path(settings.BASE_DIR) / "static" / "chat" / "js" / "wire.d.ts"


class Command(BaseCommand):
    """Writes a file that is committed; a test compares it with the Structs."""

    help = "Write static/chat/js/wire.d.ts from the Structs of chat/protocol/."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        FILE.write_text(declarations(), encoding="utf-8")
