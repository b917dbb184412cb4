"""`manage.py self_check`: check the invariants of the database."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from chat.integrity import INVARIANTS, check, record


class Command(BaseCommand):
    """Exit code 0 if every invariant holds, 1 if one is broken. Safe beside a running portal."""

    help = "Check the invariants of the database, and keep the result for the administration."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        result = check()
        record(result)
        if options["json"]:
            fields = {"generations": result.generations, "duration_ms": result.duration_ms}
            self.stdout.write(json.dumps({**fields, "breaches": result.breaches}))
        else:
            for invariant in INVARIANTS:
                ids = result.breaches.get(invariant.name)
                self.stdout.write(f"{'BROKEN' if ids else 'holds '}  {invariant.name}{_examples(ids)}")
            self.stdout.write(f"{result.generations} generations checked in {result.duration_ms} ms")
        if not result.is_well:
            sys.exit(1)


def _examples(ids: list[str] | None) -> str:
    return f": {', '.join(ids)}" if ids else ""
