"""The stopwatch and its formulas, by an injected clock."""

from decimal import Decimal

import pytest

from chat.timing import CURVE_POINTS, Curve, Speeds, Stopwatch, Timing, speeds


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def timed(*moments):
    """A stopwatch driven by (seconds after the start, deltas in that read)."""
    clock = Clock()
    watch = Stopwatch(clock)
    watch.started()
    for at, deltas in moments:
        clock.now = 100.0 + at
        watch.received()
        clock.now += 0.0005  # decoding takes a while; it doesn't count
        for _ in range(deltas):
            watch.delta()
    return watch


def test_nothing_is_known_before_the_start():
    assert Stopwatch(Clock()).timing() == Timing()


def test_ttft_ends_at_the_first_delta_and_not_at_the_first_byte():
    timing = timed((0.1, 0), (0.4, 1), (0.9, 1), (1.5, 0)).timing()
    assert (timing.ttft_ms, timing.duration_ms) == (400, 1500)


def test_the_span_and_the_longest_gap_lie_between_deltas():
    timing = timed((0.2, 1), (0.3, 2), (0.8, 1), (3.0, 0)).timing()
    assert timing.writing_ms == Decimal("600.000")
    assert (timing.longest_gap_ms, timing.deltas) == (500, 4)


def test_one_delta_has_no_speed():
    timing = timed((0.2, 1), (0.3, 0)).timing()
    assert (timing.writing_ms, timing.longest_gap_ms) == (None, None)


def test_a_request_that_is_handed_over_again_is_timed_from_then():
    clock = Clock()
    watch = Stopwatch(clock)
    watch.started()
    clock.now += 2
    watch.started()
    clock.now += 0.25
    watch.received()
    watch.delta()
    assert watch.timing().ttft_ms == 250


@pytest.mark.parametrize(
    ("writing_ms", "deltas", "tokens", "characters", "expected"),
    [
        (Decimal(1000), 11, 11, 200, Speeds(Decimal("100.00"), Decimal("10.00"), Decimal("200.00"))),
        (Decimal(1000), 4, 4, 10, Speeds(Decimal("333.33"), Decimal("3.00"), Decimal("10.00"))),
        (Decimal("0.005"), 4, 100, 10, Speeds(Decimal("0.00"), None, Decimal("2000000.00"))),
        (None, 1, 10, 10, Speeds()),
        (Decimal(0), 5, 10, 10, Speeds()),
        (Decimal(1000), 5, 1, 10, Speeds()),
        (Decimal(1000), 5, None, 10, Speeds()),
        (Decimal(1000), 1, 5, 10, Speeds()),
    ],
)
def test_speeds_follow_the_formulas_and_are_unknown_where_they_mean_nothing(
    writing_ms, deltas, tokens, characters, expected
):
    assert speeds(writing_ms, deltas, tokens, characters) == expected


@pytest.mark.parametrize("deltas", [0, 1, 2, CURVE_POINTS, CURVE_POINTS + 1, 1000, 100_000])
def test_a_curve_keeps_its_ends_and_few_points_in_between(deltas):
    curve = Curve()
    for number in range(deltas):
        curve.add(10 * number, number + 1)
    points = curve.points()
    assert len(points) <= CURVE_POINTS
    assert points == sorted(set(points))
    if deltas:
        assert (points[0], points[-1]) == ((0, 1), (10 * (deltas - 1), deltas))
    if deltas > 2 * CURVE_POINTS:
        gaps = [later[0] - earlier[0] for earlier, later in zip(points, points[1:], strict=False)]
        assert len(points) > CURVE_POINTS / 3
        assert max(gaps) <= 6 * 10 * deltas / CURVE_POINTS  # spread over the whole time


def test_deltas_of_one_moment_are_one_point_of_a_curve():
    curve = Curve()
    for number in range(100):
        curve.add(5, number)
    assert len(curve.points()) <= CURVE_POINTS
    assert curve.points()[-1] == (5, 99)
