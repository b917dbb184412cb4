"""What the tests' own modules may import."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
MODULES = sorted(TESTS.rglob("*.py"))
WRITTEN_SQL = re.compile(r"(select .* from|update \w+ set|insert into|delete from) ", re.DOTALL)
ABOUT_SQLITE = {
    "databases/files.py",  # files of other versions, whose tables may not be those of the models
    "generation/test_fault_catalogue.py",  # its lock, held by another process
    "management/test_setup_portal.py",  # copies of the file, with its write-ahead log
    "reliability/checkpoints.py",  # how fast this machine commits
    "reliability/locks.py",  # its lock
    "support/locking.py",  # its lock
}
"""Their subject is the file of SQLite. Everything else asks through Django: `Portal.rows` and `Portal.change`."""


def imported(module: Path) -> Iterator[str]:
    """The full names of what it imports, also inside functions."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{one.name}" for one in node.names)


def is_test_module(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "tests" and any(part == "conftest" or part.startswith("test_") for part in parts)


def test_nothing_imports_a_test_module():
    """What two of them need stands in tests/support."""
    found = [f"{module.relative_to(TESTS)}: {name}" for module in MODULES for name in imported(module)]
    assert len(found) > 1000
    assert [one for one in found if is_test_module(one.partition(": ")[2])] == []


def test_the_file_of_sqlite_is_opened_by_what_is_about_it_alone():
    found = {str(one.relative_to(TESTS)) for one in MODULES if any("sqlite3" in name for name in imported(one))}
    assert found == ABOUT_SQLITE


def test_no_sql_is_written_for_a_portal():
    """`rows` and `change` take querysets and functions; mypy says so, and this says it of untyped tests."""
    found = [
        f"{module.relative_to(TESTS)}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and WRITTEN_SQL.match(node.value)
    ]
    of_other_versions = {f"management/test_{name}.py" for name in ("newer_database", "upgrade", "user_upgrade")}
    expected = {
        "databases/files.py",
        "management/test_setup_portal.py",
        "reliability/checkpoints.py",
        "support/portal_database.py",
    }
    assert {one.partition(":")[0] for one in found} == expected | of_other_versions
