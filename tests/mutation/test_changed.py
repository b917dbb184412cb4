"""Which guards a change chooses, with two commits, with one and without git; and what becomes of a guard."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.mutation import mutations, trial
from tests.mutation.changed import changed_files, chosen_guards
from tests.mutation.guard import Guard

GUARDS = [
    Guard("first", mutations.delete(), "tests/test_a.py::test_a"),
    Guard("second", mutations.delete(), "tests/test_b.py"),
    Guard("third", mutations.delete(), "tests/test_b.py"),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Three marked files and two tests, in one commit."""
    for folder in ("chat", "chatsite", "static/chat", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("first", "second", "third"):
        (tmp_path / "chat" / f"{name}.py").write_text(f"# guard: {name}\na()\n")
    (tmp_path / "tests" / "test_a.py").write_text("def test_a(): ...\n")
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "a")


def names(folder: Path, most: int = 9) -> set[str]:
    return {guard.name for guard in chosen_guards(GUARDS, most, folder)}


def test_the_last_commit_and_what_is_not_committed_choose(project: Path):
    (project / "chat/first.py").write_text("# guard: first\nb()\n")
    commit(project)
    (project / "chat/second.py").write_text("# guard: second\nb()\n")
    (project / "tests/test_b.py").write_text("def test_b(): ...\n")
    assert changed_files(project) == {"chat/first.py", "chat/second.py", "tests/test_b.py"}
    assert names(project) == {"first", "second", "third"}
    commit(project)
    assert names(project) == {"second", "third"}


def test_a_clone_of_one_commit_compares_with_that_commit(project: Path, tmp_path_factory: pytest.TempPathFactory):
    (project / "chat/first.py").write_text("# guard: first\nb()\n")
    commit(project)
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", "--depth", "1", project.as_uri(), ".")
    assert changed_files(clone) == set()
    (clone / "chat/third.py").write_text("# guard: third\nb()\n")
    assert names(clone) == {"third"}


def test_where_nothing_marked_changed_two_of_all_are_drawn(project: Path):
    assert len(names(project)) == 2
    assert names(project) == names(project)


def test_more_than_the_bound_are_drawn_from(project: Path):
    for name in ("first", "second", "third"):
        (project / "chat" / f"{name}.py").write_text(f"# guard: {name}\nb()\n")
    assert len(names(project, 2)) == 2


def test_without_git_there_is_no_change(tmp_path: Path):
    assert changed_files(tmp_path) == set()


@pytest.mark.parametrize(("code", "word"), [(0, trial.SURVIVED), (trial.TEST_FAILED, trial.CAUGHT), (4, trial.NOT_RUN)])
def test_what_becomes_of_a_guard_follows_from_its_test(project, monkeypatch, code, word):
    seen: list[str] = []

    def run(tree, tests, seconds, quiet):
        seen.extend([(tree / "chat/first.py").read_text(), *tests])
        return code

    monkeypatch.setattr(trial, "run_tests", run)
    assert trial.try_without(GUARDS[0], project).word == word
    assert seen == ["pass\n", "tests/test_a.py::test_a"]
    assert (project / "chat/first.py").read_text() == "# guard: first\na()\n"


def test_a_guard_without_a_marker_or_with_two_is_not_found(project: Path):
    (project / "chat/first.py").write_text("a()\n")
    (project / "chatsite/second.py").write_text("# guard: second\na()\n")
    assert trial.try_without(GUARDS[0], project).word == trial.NOT_FOUND
    assert trial.try_without(GUARDS[1], project).word == trial.NOT_FOUND
