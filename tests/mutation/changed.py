"""Which guards a change touches: those whose source or test differs from the commit before the last one."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.guard import ROOT, Guard, find_markers


def chosen_guards(guards: Sequence[Guard], most: int, root: Path = ROOT) -> list[Guard]:
    """At most `most` of the guards that the change touches; two of all when it touches none.

    Drawn by the last commit's id: the same in every process, others with the next commit.
    """
    changed = changed_files(root)
    marked = {marker.name for marker in find_markers(root) if marker.file in changed}
    touched = [guard for guard in guards if guard.name in marked or guard.test_file in changed]
    dice = random.Random(_git(root, "rev-parse", "HEAD"))
    return dice.sample(touched, min(most, len(touched))) if touched else dice.sample(guards, min(2, most))


def changed_files(root: Path = ROOT) -> set[str]:
    """Files that differ between the parent of HEAD and the working tree; untracked ones, too.

    Where HEAD has no parent, as in a clone of one commit, the difference to HEAD counts; without git there is none.
    """
    parent = "HEAD~1" if _git(root, "rev-parse", "--verify", "--quiet", "HEAD~1") else "HEAD"
    differ = _git(root, "diff", "--name-only", "--relative", parent)
    untracked = _git(root, "ls-files", "--others", "--exclude-standard")
    return {*differ.splitlines(), *untracked.splitlines()}


def _git(root: Path, *arguments: str) -> str:
    """What git says; nothing where it is missing or fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
