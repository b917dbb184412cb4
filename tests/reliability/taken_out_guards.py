"""The tests themselves: guards are taken out one after the other, and a test has to fail each time.

All of them at once: `./run.py bench guards`. With every change tests/mutation takes some out, so not this figure.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from tests.mutation.guards import GUARDS
from tests.mutation.trial import CAUGHT, NOT_FOUND, SECONDS, copy_tree, run_tests, try_without
from tests.reliability.figure import Figure, Result
from tests.reliability.stage import Stage


async def run(stage: Stage, size: int, dice: random.Random) -> Result:
    """`size` of the guards, drawn by lot; all of them, if there are no more."""
    chosen = dice.sample(GUARDS, min(size, len(GUARDS)))
    with tempfile.TemporaryDirectory(prefix="chatsite-guards-") as folder:
        tree = await stage.wait(copy_tree, Path(folder) / "0")
        is_green = await stage.wait(run_tests, tree, [guard.test for guard in chosen], 10 * SECONDS) == 0
        outcomes = [await stage.wait(try_without, guard, tree) for guard in chosen] if is_green else []
    result = Result()
    result.count(
        {
            "tests that fail with every guard in its place": int(not is_green),
            "guards without a marker of their own": sum(outcome.word == NOT_FOUND for outcome in outcomes),
            "guards that no test misses": sum(outcome.word not in (CAUGHT, NOT_FOUND) for outcome in outcomes),
        }
    )
    result.facts["taken out"] = f"{len(outcomes)} of {len(GUARDS)}"
    result.facts["not missed"] = ", ".join(one.guard.name for one in outcomes if one.word != CAUGHT) or "none"
    return result


FIGURE = Figure("G18", "Guards taken out", run, size=5, unit="guards", seconds=600, alone=False, gate=0.0)
