"""Upgrades of the database file: copy it before an upgrade, and refuse a file that a newer version upgraded.

Imports no models. Reads the file without Django's connection, which would change the file's journal mode.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pkgutil
import sqlite3
import tempfile
from pathlib import Path

import django.contrib
from django.apps import apps
from django.conf import settings
from django.db.migrations.loader import MigrationLoader

PREFIX, SUFFIX = "before-migration-", ".sqlite3"

Migrations = frozenset[tuple[str, str]]
"""Pairs (application, name)."""


def database_file() -> Path:
    """Return the database file in the settings."""
    return Path(str(settings.DATABASES["default"]["NAME"]))


def copies_folder() -> Path:
    """Return the folder of the copies."""
    return Path(settings.PORTAL_DATA_DIR) / "backups"


def copy_database(database: Path, folder: Path) -> Path:
    """Copy a SQLite database, including its write-ahead log. Return the copy's path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    target = folder / f"{PREFIX}{now}{SUFFIX}"
    descriptor, partial = tempfile.mkstemp(dir=folder)  # with mode 0600
    os.close(descriptor)
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(partial)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # a single file without -wal and -shm, so that it can be moved
    os.replace(partial, target)
    return target


def why_too_new() -> str:
    """Return one line if the database has migrations that this version doesn't know, otherwise ''.

    The line names the newest of the portal's copies that this version can use.
    """
    database, copies = database_file(), copies_folder()
    known = known_migrations()
    unknown = sorted(unknown_among(applied_migrations(database), known))
    if not unknown:
        return ""
    fitting = newest_copy_that_fits(copies, known)
    way_back = f", or restore its copy {fitting}" if fitting else f": no copy in {copies} fits this one"
    others = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    named = ".".join(unknown[-1])
    return f"a newer version has upgraded {database} ({named}{others} unknown here); start that version{way_back}"


def newest_copy_that_fits(copies: Path, known: Migrations) -> Path | None:
    """Return the newest copy whose migrations are all known, or None."""
    for copy in sorted(copies.glob(f"{PREFIX}*{SUFFIX}"), reverse=True):  # the time is in the name
        applied = applied_migrations(copy, "immutable=1")  # makes no -wal and -shm for a copy in WAL mode
        if applied and not unknown_among(applied, known):
            return copy
    return None


def known_migrations() -> Migrations:
    """Return the migrations of this version and those that its squashed ones replace."""
    migrations = MigrationLoader(None).disk_migrations
    return frozenset(migrations) | {replaced for one in migrations.values() for replaced in one.replaces}


def unknown_among(applied: Migrations, known: Migrations) -> Migrations:
    """Return the migrations that only a newer version can have applied. Those of unknown applications don't count."""
    ours = {config.label for config in apps.get_app_configs()}
    ours |= {module.name for module in pkgutil.iter_modules(django.contrib.__path__)}
    return frozenset(one for one in applied - known if one[0] in ours)


def applied_migrations(database: Path, how: str = "mode=ro") -> Migrations:
    """Return the applied migrations of a SQLite file, without changing it; empty if they can't be read.

    `how`: parameters of the SQLite URI.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{database.resolve().as_uri()}?{how}", uri=True)) as connection:
            return frozenset(connection.execute("SELECT app, name FROM django_migrations"))
    except sqlite3.Error:
        return frozenset()  # it doesn't exist yet, or its user will report the error
