"""`./run.py scoreboard`: plays the figures and writes what came out to docs/reliability.md. First those with times, one
after the other, then the rest, two at once.

    ./run.py scoreboard --ci                    the small size, for every change: at most 8 minutes
    ./run.py scoreboard --size 20 --seed 7      twenty times as large, with the chances of that seed
    ./run.py scoreboard --only G1,G8            these alone; the file stays as it is

Exit code 1 when anything was lost, doubled, wrong, missing or left open, or a time is above three times its promise.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

from tests.reliability.figure import Figure, Result
from tests.reliability.table import Played, as_line, as_page

MODULES = (
    "kills",
    "disconnects",
    "frames",
    "stops",
    "sigterm",
    "slow",
    "locks",
    "fairness",
    "canaries",
    "storm",
    "taken_out_guards",
)
BESIDE = 2
"""So many at once of those that measure no time."""

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def main() -> int:
    """Play, print, write; 1 when something is wrong."""
    options = read_arguments()
    set_up_models()
    figures = [figure for figure in all_figures() if not options.only or figure.id in options.only]
    if unknown := options.only - {figure.id for figure in figures}:
        print(f"there is no figure {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    began, played = time.monotonic(), []
    print(f"seed {options.seed}, {options.size:g} times the size of --ci", flush=True)
    timed, untimed = ([figure for figure in figures if figure.alone is alone] for alone in (True, False))
    for workers, chosen in ((1, timed), (BESIDE, untimed)):
        with ThreadPoolExecutor(workers) as pool:
            for done in pool.map(lambda figure: play(figure, options.size, options.seed), chosen):
                played.append(done)
                print(as_line(done), flush=True)
    played.sort(key=lambda one: figures.index(one.figure))
    if not options.only:
        PAGE.write_text(as_page(played, options.size, options.seed), encoding="utf-8")
    failed = [one.figure.id for one in played if one.result.failures]
    print(f"{len(played)} figures in {time.monotonic() - began:.0f} s; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def read_arguments() -> argparse.Namespace:
    """`size`, `seed` and `only`."""
    parser = argparse.ArgumentParser(
        prog="./run.py scoreboard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ci", action="store_const", dest="size", const=1.0, help="the small size, as without it")
    parser.add_argument("--size", type=float, metavar="N", help="so many times the small size")
    parser.add_argument("--seed", type=int, metavar="S", help="chances of an earlier run (printed)")
    parser.add_argument("--only", type=lambda text: set(text.split(",")), default=set(), metavar="G1,G8")
    options = parser.parse_args()
    options.size = 1.0 if options.size is None else options.size
    options.seed = random.randrange(10**6) if options.seed is None else options.seed
    if not options.size > 0:
        parser.error("--size must be above 0")
    return options


def all_figures() -> list[Figure]:
    """What the modules have to show, in the order of MODULES; `FIGURE` is one figure or a list."""
    figures: list[Figure] = []
    for name in MODULES:
        found = import_module(f"tests.reliability.{name}").FIGURE
        figures += found if isinstance(found, list) else [found]
    return figures


def set_up_models() -> None:
    """The figures ask portals' databases through the models."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()


def play(figure: Figure, size: float, seed: int) -> Played:
    """One figure on a stage of its own, within its time; whatever it raises is a fault."""
    began = time.monotonic()
    dice = random.Random(f"{seed} {figure.id}")
    result = asyncio.run(played_in_time(figure, figure.sized(size), dice, figure.seconds * max(1.0, size)))
    return Played(figure, figure.sized(size), result, time.monotonic() - began)


async def played_in_time(figure: Figure, size: int, dice: random.Random, seconds: float) -> Result:
    """The result; a fault when it took too long or raised."""
    from tests.reliability.stage import Stage

    try:
        async with asyncio.timeout(seconds) as limit, Stage() as stage:
            return await figure.run(stage, size, dice)
    except Exception as error:
        if limit.expired():
            return Result(counts={f"not done after {seconds:.0f} s": 1})
        traceback.print_exc()
        return Result(counts={f"broken off by {type(error).__name__}: {str(error)[:300]}": 1})


if __name__ == "__main__":
    sys.exit(main())
