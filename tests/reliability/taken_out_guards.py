"""The safety net itself: guards taken out one after the other, each of which a test has to miss.

The whole list at once, with a table: `./run.py bench guards`.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from bench.guards import GUARDS
from bench.mutate_guards import ROOT, SECONDS, copy_of_tree, count_of, try_without
from bench.mutate_guards import run as run_tests
from tests.reliability.figure import Figure, Result
from tests.reliability.stage import Stage


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` of the guards, drawn by lot; all of them, if there are no more."""
    chosen = dice.sample(GUARDS, min(size, len(GUARDS)))
    present = [guard for guard in chosen if count_of(guard, ROOT) == 1]
    with tempfile.TemporaryDirectory(prefix="chatsite-guards-") as folder:
        tree = await stage.wait(copy_of_tree, Path(folder) / "0")
        tests = {test: None for guard in present for test in guard.tests}
        is_green = await stage.wait(run_tests, tree, tests, False, 10 * SECONDS) == 0
        outcomes = [await stage.wait(try_without, guard, [tree]) for guard in present] if is_green else []
    result = Result()
    result.count(
        {
            "tests that fail with every guard in its place": int(not is_green),
            "guards that are not where the list says": len(chosen) - len(present),
            "guards that no test misses": sum(outcome.word != "caught" for outcome in outcomes),
        }
    )
    result.facts["taken out"] = f"{len(outcomes)} of {len(GUARDS)}"
    result.facts["not missed"] = ", ".join(one.guard.name for one in outcomes if one.word != "caught") or "none"
    return result


FIGURE = Figure("G18", "Guards taken out", run, size=5, unit="guards", seconds=600, alone=False, gate=1.0)
