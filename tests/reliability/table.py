"""What the figures found, as lines and as the page docs/reliability.md."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.reliability.figure import Figure, Result

ROOT = Path(__file__).resolve().parents[2]

PAGE = """\
# How reliable it is

Made by `./run.py scoreboard`; not to be written by hand. Real processes on real ports: a portal on fresh data, clients,
and a scripted model server that notes when it was asked, what it had sent, and when its connection was closed.

**Counted** is what must never happen: one of it, and the run fails. **Times** stand beside what is promised, and beside
a control of the same minute: the same work without the portal, or with the portal left in peace. A machine that does
other things too is slower than one that does not, so a time fails the run only above three times its promise; where the
promise is 250 ms and a commit, or a ratio, it is made of the control.

{table}

{date}, commit {commit}, {machine}, load {load:.1f}. Seed {seed}, {size:g} times the small size.
Once more: `./run.py scoreboard --size {size:g} --seed {seed}`, one of them with `--only G1`.
"""

HEAD = ("figure", "size", "counted", "times", "besides", "result", "command")


@dataclass(frozen=True)
class Played:
    """A figure that was played, and how many seconds it took."""

    figure: Figure
    size: int
    result: Result
    seconds: float

    @property
    def outcome(self) -> str:
        """The one word that matters."""
        return "FAILED" if self.result.failures else "ok"


def as_line(played: Played) -> str:
    """For the terminal, as the figures go by."""
    found = "; ".join([*_counts(played.result), *_times(played.result), *_facts(played.result)])
    figure = played.figure
    head = f"{figure.id:4} {played.outcome:6} {played.seconds:5.0f} s  {figure.title}, {played.size} {figure.unit}"
    return f"{head}: {found}"


def as_page(played: Sequence[Played], size: float, seed: int) -> str:
    """The whole page."""
    return PAGE.format(
        table=as_table(played, size, seed),
        date=time.strftime("%Y-%m-%d"),
        commit=_commit(),
        machine=f"{os.cpu_count()} processors, {platform.system()}, Python {platform.python_version()}",
        load=os.getloadavg()[0],
        seed=seed,
        size=size,
    )


def as_table(played: Sequence[Played], size: float, seed: int) -> str:
    """One row a figure; cells that hold several things hold a line for each."""
    rows = [_row(HEAD), _row(["---"] * len(HEAD))]
    for one in played:
        rows.append(
            _row(
                (
                    f"**{one.figure.id}** {_cell(one.figure.title)}",
                    f"{one.size:,} {_cell(one.figure.unit)}",
                    _cell(*_counts(one.result)),
                    _cell(*_times(one.result)),
                    _cell(*_facts(one.result)),
                    f"**{one.outcome}** in {one.seconds:.0f} s",
                    f"`./run.py scoreboard --only {one.figure.id} --size {size:g} --seed {seed}`",
                )
            )
        )
    return "\n".join(rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(*texts: str) -> str:
    """Safe within a table."""
    return "<br>".join(" ".join(text.split()).replace("|", "\\|").replace("<", "&lt;") for text in texts)


def _counts(result: Result) -> list[str]:
    return [f"{number:,} {name}" for name, number in result.counts.items()]


def _times(result: Result) -> list[str]:
    return [f"{name}: {time}" for name, time in result.times.items()]


def _facts(result: Result) -> list[str]:
    return [f"{name}: {text}" for name, text in result.facts.items()]


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
