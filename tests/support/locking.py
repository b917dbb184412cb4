"""A database that is locked by another process."""

from __future__ import annotations

import contextlib
import sqlite3

from tests.support.portal import Portal


@contextlib.contextmanager
def locked(portal: Portal):
    """Another process's hand on the database."""
    connection = sqlite3.connect(portal.data / "chatsite.sqlite3", timeout=10, isolation_level=None)
    connection.execute("begin exclusive")
    try:
        yield
    finally:
        connection.execute("rollback")
        connection.close()
