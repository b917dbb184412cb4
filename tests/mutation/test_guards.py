"""Every marker in the sources has its guard, and a test notices when what a change touches is taken out."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutation.changed import chosen_guards
from tests.mutation.guard import ROOT, Guard, find_markers
from tests.mutation.guards import GUARDS
from tests.mutation.trial import CAUGHT, SECONDS, copy_tree, run_tests, try_without

MOST = 5
"""So many guards are taken out with every change: in half a minute on an idle machine, in two on a busy one."""
MARKERS = find_markers()


def test_each_marker_has_one_guard_and_each_guard_one_marker():
    assert Counter(marker.name for marker in MARKERS) == Counter(guard.name for guard in GUARDS)
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_can_be_taken_out_and_its_test_is_there(guard: Guard):
    (marker,) = (one for one in MARKERS if one.name == guard.name)
    source = (ROOT / marker.file).read_text()
    mutated = guard.mutation(source, marker.line)
    assert mutated != (ast.unparse(ast.parse(source)) + "\n" if marker.file.endswith(".py") else source)
    _, _, name = guard.test.partition("::")
    assert f"def {name}(" in (ROOT / guard.test_file).read_text() if name else (ROOT / guard.test_file).is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_test_fails_without_each_guard_that_the_change_touches(tmp_path: Path):
    chosen, tree = chosen_guards(GUARDS, MOST), copy_tree(tmp_path / "tree")
    assert run_tests(tree, [guard.test for guard in chosen], SECONDS * 2) == 0, "with every guard in its place"
    outcomes = {guard.name: try_without(guard, tree).word for guard in chosen}
    assert outcomes == dict.fromkeys(outcomes, CAUGHT)
    assert run_tests(tree, [guard.test for guard in chosen], SECONDS * 2) == 0, "and afterwards"
