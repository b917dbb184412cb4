"""`manage.py check_messages`: check that every message catalogue is readable and complete, keeps placeholders, and has
exactly the texts of the source.

English, the source language, has no catalogue. The texts are extracted at every run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Message
from babel.messages.pofile import PoFileError, read_po
from django.conf import settings
from django.core.management.base import BaseCommand

PLACEHOLDER = re.compile(r"%\(\w+\)[sdif]|%[sdif]|\{\w*\}")

SOURCES = ("chat", "chatsite", "templates")
SOURCE_LANGUAGE = "en"
REMEDY = "run manage.py makemessages --all --no-obsolete --add-location file -i node_modules -i .venv -i tests"


class Command(BaseCommand):
    """A part of `./run.py check`."""

    help = "Check the message catalogues."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        files = [po for folder in settings.LOCALE_PATHS for po in sorted(Path(folder).glob("*/LC_MESSAGES/*.po"))]
        problems = [f"{po}: {problem}" for po in files for problem in problems_of(po)]
        if shutil.which("xgettext") is None:
            self.stderr.write("xgettext is not installed: catalogues are not compared with the source.")
        else:
            wanted = texts_in_source()
            problems += [f"{po}: {problem}" for po in files for problem in differences(po, wanted)]
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            sys.exit(1)


def texts_in_source() -> set[str]:
    """Extract the texts of the source with makemessages, in a copy, so that the checkout stays clean.

    Raises CalledProcessError if xgettext refuses a text.
    """
    with tempfile.TemporaryDirectory(prefix="chatsite-messages-") as folder:
        for name in SOURCES:
            shutil.copytree(settings.BASE_DIR / name, Path(folder) / name, ignore=shutil.ignore_patterns("*.pyc"))
        (Path(folder) / "locale").mkdir()
        command = [sys.executable, "-m", "django", "makemessages", "--locale", SOURCE_LANGUAGE]
        environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
        return _ids(Path(folder) / "locale" / SOURCE_LANGUAGE / "LC_MESSAGES" / "django.po")


def differences(po: Path, wanted: set[str]) -> Iterator[str]:
    """Yield one sentence for each missing or superfluous text."""
    there = _ids(po)
    for text in sorted(wanted - there):
        yield f"{text!r} is missing; {REMEDY}"
    for text in sorted(there - wanted):
        yield f"{text!r} stands nowhere in the source any more; {REMEDY}"


def _ids(po: Path) -> set[str]:
    with po.open("rb") as file:
        return {_texts(message.id)[0] for message in read_po(file) if message.id}


def problems_of(po: Path) -> Iterator[str]:
    """Yield one sentence for each faulty entry."""
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
        elif not message.string or not all(_texts(message.string)):
            yield f"{message.id!r} is not translated"
        elif not _placeholders_kept(message):
            yield f"{message.id!r} has other placeholders in its translation"


def _placeholders_kept(message: Message) -> bool:
    """Return whether the placeholders match. The form for one may omit the number; none may add a placeholder."""
    known = {name for text in _texts(message.id) for name in PLACEHOLDER.findall(text)}
    used = [set(PLACEHOLDER.findall(text)) for text in _texts(message.string)]
    plural = len(used) > 1
    return all(found <= known for found in used) and (plural or used[0] == known)


def _texts(value: str | list[str] | tuple[str, ...] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
