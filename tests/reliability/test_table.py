"""The scoreboard's own judgement and table; playing it takes minutes and is `./run.py scoreboard`."""

import importlib
import math

import pytest

from tests.reliability.figure import Figure, Result, Time, percentile
from tests.reliability.table import Played, as_line, as_page, as_table


async def nothing(stage, size, dice):
    return Result()


FIGURE = Figure("G0", "Nothing | at all", nothing, size=4, unit="tries", seconds=1)


def test_one_of_what_must_not_be_is_a_failure():
    result = Result(counts={"lost prompts": 0})
    assert result.failures == []
    result.count({"lost prompts": 1, "open records": 0})
    assert result.counts == {"lost prompts": 1, "open records": 0}
    assert result.failures == ["1 lost prompts"]


@pytest.mark.parametrize(("value", "failed"), [(100, False), (300, False), (300.1, True), (math.nan, True)])
def test_a_time_fails_above_three_times_its_promise_and_when_there_is_none(value, failed):
    assert Time(value, 100).failed is failed
    assert bool(Result(times={"stop": Time(value, 100)}).failures) is failed


def test_a_promise_that_was_missed_is_said_also_when_it_is_no_failure():
    assert str(Time(99.96, 100, 12)) == "100.0 ms (promised 100, control 12.0 ms)"
    assert str(Time(101, 100)) == "101.0 ms (promised 100, **missed**)"
    assert str(Time(16, 15, unit="MB")) == "16.0 MB (promised 15, **missed**)"


def test_every_row_has_a_cell_for_every_column_and_names_the_command_that_repeats_it():
    result = Result({"lost": 0, "doubled": 2}, {"gap": Time(3, 250, 1)}, {"kills": "a | b\nc <d>"})
    head, rule, *rows = as_table([Played(FIGURE, 8, result, 2.4), Played(FIGURE, 8, Result(), 1)], 2, 7).splitlines()
    columns = head.count("|")
    assert [line.replace("\\|", "").count("|") for line in (rule, *rows)] == [columns] * 3
    assert all(line.startswith("| ") and line.endswith(" |") for line in (head, rule, *rows))
    assert "0 lost<br>2 doubled" in rows[0]
    assert "a \\| b c &lt;d>" in rows[0]
    assert "**FAILED** in 2 s" in rows[0]
    assert "**ok** in 1 s" in rows[1]
    assert "`./run.py scoreboard --only G0 --size 2 --seed 7`" in rows[0]


def test_the_page_says_by_what_it_was_made():
    page = as_page([Played(FIGURE, 4, Result(), 1)], 1, 42)
    assert "`./run.py scoreboard --size 1 --seed 42`" in page
    assert "**G0**" in page
    assert as_line(Played(FIGURE, 4, Result({"lost": 0}), 1)).endswith("4 tries: 0 lost")


def test_a_larger_run_is_larger_and_none_is_empty():
    assert [FIGURE.sized(times) for times in (1, 20, 0.01)] == [4, 80, 1]


def test_a_percentile_is_a_value_that_was_seen():
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, percent) for percent in (0, 50, 99, 100)] == [1, 50, 99, 100]
    assert math.isnan(percentile([], 50))


def test_every_module_has_its_figures_and_no_id_is_taken_twice():
    figures = importlib.import_module("tests.reliability.__main__").all_figures()
    assert len({figure.id for figure in figures}) == len(figures) >= 9
