"""Takes out every guard, one after the other, in a copy of the tree: does a test notice?

    ./run.py bench guards                       all; about a quarter of an hour
    ./run.py bench guards --only owner --jobs 2     those whose name holds the word, in two copies at once

Exit code 1 when a guard SURVIVED (no test failed without it), is NOT FOUND (it has not exactly one marker above
something that its mutation can change) or was NOT RUN.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.guard import Guard
from tests.mutation.guards import GUARDS
from tests.mutation.trial import CAUGHT, SECONDS, Outcome, copy_tree, run_tests, try_without


def main(arguments: list[str]) -> int:
    """Exit code 0 when a test fails for each guard that is taken out."""
    parser = argparse.ArgumentParser(
        prog="./run.py bench guards", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="WORD", help="guards whose name holds one of these words")
    parser.add_argument("--jobs", type=int, default=1, help="how many copies work at once")
    options = parser.parse_args(arguments)
    chosen = [one for one in GUARDS if not options.only or any(word in one.name for word in options.only)]
    if not chosen:
        parser.error("no guard has such a name")
    with tempfile.TemporaryDirectory(prefix="chatsite-guards-") as folder:
        trees = [copy_tree(Path(folder) / str(number)) for number in range(max(1, options.jobs))]
        began = time.monotonic()
        if run_tests(trees[0], [one.test for one in chosen], 10 * SECONDS) != 0:
            print("the tests fail although every guard is in its place; see above", flush=True)
            return 1
        print(f"every guard in its place: green in {time.monotonic() - began:.0f} s", flush=True)
        with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
            outcomes = list(pool.map(lambda guard: _try_in_free_copy(guard, trees), chosen))
        if run_tests(trees[0], [one.test for one in chosen], 10 * SECONDS) != 0:
            print("the tests fail after that, too, with every guard in its place: nothing of it counts", flush=True)
            return 1
    bad = [one for one in outcomes if one.word != CAUGHT]
    print(f"\n{len(outcomes) - len(bad)} of {len(outcomes)} guards are missed when they are gone")
    return 1 if bad else 0


def _try_in_free_copy(guard: Guard, trees: list[Path]) -> Outcome:
    tree, began = trees.pop(), time.monotonic()  # there are as many copies as threads
    try:
        outcome = try_without(guard, tree)
    finally:
        trees.append(tree)
    print(f"  {outcome.word:10} {time.monotonic() - began:5.1f} s  {guard.name}", flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
