"""`manage.py check_messages`: every message catalogue can be read, is complete, and keeps its placeholders."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Message
from babel.messages.pofile import PoFileError, read_po
from django.conf import settings
from django.core.management.base import BaseCommand

PLACEHOLDER = re.compile(r"%\(\w+\)[sdif]|%[sdif]|\{\w*\}")


class Command(BaseCommand):
    """Part of `./run.py check`."""

    help = "Check the message catalogues."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        files = [po for folder in settings.LOCALE_PATHS for po in sorted(Path(folder).glob("*/LC_MESSAGES/*.po"))]
        problems = [f"{po}: {problem}" for po in files for problem in problems_of(po)]
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            sys.exit(1)


def problems_of(po: Path) -> Iterator[str]:
    """One sentence for each entry that people would stumble over."""
    try:
        with po.open("rb") as file:
            catalogue = read_po(file, abort_invalid=True)
    except (PoFileError, UnicodeDecodeError) as error:
        yield str(error)
        return
    for message in catalogue:
        if not message.id:
            continue
        if message.fuzzy:
            yield f"{message.id!r} is only guessed (fuzzy)"
        elif not all(_texts(message.string)):
            yield f"{message.id!r} is not translated"
        elif not _placeholders_kept(message):
            yield f"{message.id!r} has other placeholders in its translation"


def _placeholders_kept(message: Message) -> bool:
    """A form for the number one may leave the number out; none may name what is not there."""
    known = {name for text in _texts(message.id) for name in PLACEHOLDER.findall(text)}
    used = [set(PLACEHOLDER.findall(text)) for text in _texts(message.string)]
    plural = len(used) > 1
    return all(found <= known for found in used) and (plural or used[0] == known)


def _texts(value: str | list[str] | tuple[str, ...]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
