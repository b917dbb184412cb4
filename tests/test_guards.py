"""The list of guards does not rot: what it takes out is there, and so are the tests that must notice."""

from collections import Counter
from pathlib import Path

import pytest

from bench.guards import GUARDS, Guard

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_once_where_the_list_says_and_its_tests_are_there(guard: Guard):
    assert (ROOT / guard.file).read_text().count(guard.text) == 1
    assert guard.instead != guard.text
    for test in guard.tests:
        file, _, name = test.partition("::")
        source = (ROOT / file).read_text()
        assert not name or f"def {name}(" in source


def test_every_guard_has_a_name_of_its_own():
    assert Counter(guard.name for guard in GUARDS).most_common(1)[0][1] == 1
