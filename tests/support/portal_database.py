"""A portal's database, asked through Django from the process of the tests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

from django.db import connection, connections
from django.db.models import QuerySet

T = TypeVar("T")


class PortalDatabase:
    """Runs functions in a thread whose default database is this one, so that models and managers need no alias.

    The process's own default database is another one: that of pytest-django. A connection lasts as long as the
    function, because portals are killed and their files deleted.
    """

    def __init__(self, data: Path) -> None:
        self._file = data / "chatsite.sqlite3"
        self._thread = ThreadPoolExecutor(1, "portal-database")

    def ask(self, work: Callable[[], T]) -> T:
        """What `work` returns; it may read, and nothing else: a change raises OperationalError."""
        return self._thread.submit(self._run, work, _reading).result()

    def change(self, work: Callable[[], T]) -> T:
        """What `work` returns; it may change the database beside the portal."""
        return self._thread.submit(self._run, work, nullcontext).result()

    def rows(self, query: QuerySet[Any, T]) -> list[T]:
        """What a queryset finds, which has asked nothing yet."""
        return self.ask(lambda: list(query))

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of every table, in the order of their first column."""
        return self.ask(_tables)

    def damage(self) -> list[str]:
        """What the database finds wrong with its own file."""
        return self.ask(_damage)

    def close(self) -> None:
        self._thread.shutdown()

    def _run(self, work: Callable[[], T], mode: Callable[[], AbstractContextManager[Any]]) -> T:
        settings = deepcopy(connections.settings["default"])
        settings["NAME"] = self._file
        opened = connections.create_connection("default")
        opened.settings_dict = settings
        # pytest-django forbids connections by replacing this method of the class.
        opened.ensure_connection = lambda: None if opened.connection else opened.connect()  # type: ignore[method-assign]
        connections["default"] = opened  # this thread's alone
        try:
            with mode():
                return work()
        finally:
            opened.close()


class _reading(AbstractContextManager[None]):
    def __enter__(self) -> None:
        connection.cursor().execute("pragma query_only = on")

    def __exit__(self, *_: object) -> None:
        pass


def _tables() -> dict[str, list[tuple[Any, ...]]]:
    with connection.cursor() as cursor:
        found = {}
        for name in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(f"select * from {connection.ops.quote_name(name)} order by 1")
            found[name] = cursor.fetchall()
        return found


def _damage() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("pragma integrity_check")
        return [line for (line,) in cursor.fetchall() if line != "ok"]
