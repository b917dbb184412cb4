"""A reliability figure: what is counted, how large, and what came out.

A module of this package that has one says

    FIGURE = Figure("G2", "Random disconnects", run, size=100, unit="answers", seconds=60)

and `async def run(stage: Stage, size: int, dice: random.Random) -> Result`, and is named in `__main__.MODULES`.
Everything random comes from `dice`, so that `--seed` repeats it. `run` gets a stage of its own, with nothing on it;
what it puts there (portals, sockets) is cleared away after it. Whatever it raises counts as a fault, with its text.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.reliability.stage import Stage

TOLERANCE = 3
"""A machine that does other things too may be so many times slower than promised before a time counts as a failure."""


class Time(NamedTuple):
    """A time, or another amount: what was seen, what is promised, and a control run's of the same minute.

    `control` is the same work without the portal (a bare socket, a bare commit), or with the portal left in peace;
    where the promise is relative, `promise` is made of it.
    """

    value: float
    promise: float
    control: float | None = None
    unit: str = "ms"

    @property
    def failed(self) -> bool:
        """More than a busy machine explains."""
        return not self.value <= TOLERANCE * self.promise

    def __str__(self) -> str:
        beside = "" if self.control is None else f", control {self.control:,.1f} {self.unit}"
        missed = "" if self.value <= self.promise else ", **missed**"
        return f"{self.value:,.1f} {self.unit} (promised {self.promise:,.0f}{beside}{missed})"


@dataclass
class Result:
    """What a figure found.

    counts  name → how many; each has to be 0 ("lost prompts", "answers that differ")
    times   name → Time
    facts   name → a text that is only shown ("kills": "25")
    """

    counts: dict[str, int] = field(default_factory=dict)
    times: dict[str, Time] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)

    def count(self, counts: Mapping[str, int]) -> None:
        """Add to the counts, such as what Stage.faults found; a name that is there already grows."""
        for name, number in counts.items():
            self.counts[name] = self.counts.get(name, 0) + number

    @property
    def failures(self) -> list[str]:
        """What is wrong, in words; empty when all is well."""
        wrong = [f"{number} {name}" for name, number in self.counts.items() if number]
        return wrong + [f"{name}: {time}" for name, time in self.times.items() if time.failed]


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    size     of the small run that a machine makes for every change; `--size N` multiplies it
    unit     what `size` counts
    seconds  when the small run is given up; `--size N` multiplies it, too
    alone    it measures times, so that nothing may run beside it
    gate     the share of the small run that test_figures.py plays with every change; 0: it does not play it
    """

    id: str
    title: str
    run: Callable[[Stage, int, random.Random], Awaitable[Result]]
    size: int
    unit: str
    seconds: float
    alone: bool = True
    gate: float = 0.2

    def sized(self, times: float) -> int:
        """The size of a run that is so many times as large."""
        return max(1, round(self.size * times))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many percent do not exceed; always one that was seen. NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
