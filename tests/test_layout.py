"""How the tests' own modules stand to each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
MODULES = sorted(TESTS.rglob("*.py"))


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
