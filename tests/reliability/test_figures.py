"""Every reliability figure, played with every change in a fraction of its small size. Counts fail; times are printed.

`--size 5` plays the small size of `./run.py scoreboard --ci`, `--size 50` ten times as much.
"""

from __future__ import annotations

import random

import pytest

from tests.reliability.__main__ import all_figures, played_in_time
from tests.reliability.figure import Figure
from tests.reliability.table import Played, as_line

FIGURES = [pytest.param(figure, id=figure.id, marks=pytest.mark.timeout(0)) for figure in all_figures() if figure.gate]
"""Each figure keeps its own time limit."""


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES)
async def test_a_figure_counts_nothing(figure: Figure, request: pytest.FixtureRequest) -> None:
    factor = figure.gate * float(request.config.getoption("size"))
    size, seed = figure.sized(factor), random.randrange(10**6)
    result = await played_in_time(figure, size, random.Random(f"{seed} {figure.id}"), figure.seconds * max(1.0, factor))
    print(as_line(Played(figure, size, result, 0.0)))
    wrong = {name: number for name, number in result.counts.items() if number}
    assert not wrong, f"seed {seed}, size {size}"
