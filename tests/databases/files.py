"""A data directory made from a SQLite file, `manage.py` on it, and what the file holds.

The file of another version is none of Django's: its tables may not be those of the models. So it is read as it is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.portal import KEYS, ROOT

DATABASES = sorted(Path(__file__).parent.glob("*.sqlite3"))


def data_directory(path: Path, database: Path) -> Path:
    """A data directory that holds a copy of this database."""
    path.mkdir(mode=0o700)
    shutil.copyfile(database, path / "chatsite.sqlite3")
    (path / "chatsite.sqlite3").chmod(0o600)
    return path


def manage(data: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` on a data directory, and wait for its end."""
    given = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "fake", "PORTAL_DATA_DIR": str(data), **env}
    call = [sys.executable, "manage.py", *arguments]
    environment = {**os.environ, **KEYS, **given}
    return subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


def rows(database: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(query, values).fetchall()


def change(database: Path, *statements: str) -> None:
    """All of them or none."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def columns_of(database: Path, table: str) -> dict[str, list[Any]]:
    """`{name: [may not be NULL, place in the key]}`."""
    facts = rows(database, 'select name, "notnull", pk from pragma_table_info(?)', table)
    return {name: [not_null, key] for name, not_null, key in facts}


def tables_of(database: Path) -> dict[str, dict[str, list[Any]]]:
    """`{name: columns}` of all tables but SQLite's own."""
    names = rows(database, "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
    return {name: columns_of(database, name) for (name,) in names}
