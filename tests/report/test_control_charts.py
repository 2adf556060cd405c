"""Limits of control charts, held against figures of tables and of simulations."""

from __future__ import annotations

import numpy
import pytest

from lfvpipe.report.control_charts import (
    BEYOND,
    Expected,
    FalseAlarms,
    Limits,
    NormalScores,
    Point,
    find_crossing,
)


@pytest.mark.parametrize(
    ("share", "images", "limits"),
    [
        (0.05, 60, (0, 9)),  # of 60, nine or fewer in 99.87 % of all cases, as tables have it
        (0.5, 10, (1, 9)),
        (0.5, 20, (4, 16)),
        (0.02, 1, (0, 1)),
        (0.001, 1, (0, 0)),
        (0.98, 60, (55, 60)),
        (0.5, 1_000_000, (498_500, 501_500)),  # three standard deviations
    ],
)
def test_limits_of_an_expected_share_are_the_binomial_distributions(
    share: float, images: int, limits: tuple[int, int]
) -> None:
    found = Expected(share).limits(images)
    assert (found.low, found.high) == limits


@pytest.mark.parametrize(("alarms", "of", "images"), [(0, 10, 60), (2, 40, 200), (30, 60, 20)])
def test_limits_of_false_alarms_know_how_few_images_the_test_had(
    alarms: int, of: int, images: int
) -> None:
    """Drawn: a share as the test leaves it open, then a group by that share."""
    most = FalseAlarms(of, alarms).limits(images).high
    draws, random = 400_000, numpy.random.default_rng(7)
    shares = random.beta(alarms + 0.5, of - alarms + 0.5, draws)
    found = random.binomial(images, shares)
    assert (found > most).mean() < 1.15 * BEYOND
    assert (found >= most).mean() > 0.85 * BEYOND


def test_a_larger_test_and_a_larger_group_have_narrower_limits() -> None:
    of_few, of_many = FalseAlarms(10, 0), FalseAlarms(1000, 0)
    assert of_few.limits(60).high > 20 > 3 > of_many.limits(60).high
    shares = [FalseAlarms(50, 2).limits(n).high / n for n in (20, 200, 2000, 5000)]
    assert shares == sorted(shares, reverse=True)
    assert FalseAlarms(50, 2).limits(100_000).high / 100_000 == pytest.approx(shares[-1], rel=0.01)


def test_limits_of_means_are_students() -> None:
    scores = NormalScores.of([0.1, 0.2, 0.3, 0.2, 0.2, 0.1, 0.3, 0.2, 0.2, 0.2])
    assert scores is not None
    limits = scores.limits(10**9)
    # By tables: the 99.865 % quantile of Student's t with nine degrees of freedom is 4.094.
    assert limits.high - scores.mean == pytest.approx(4.094 * scores.spread / 10**0.5, rel=0.001)
    assert limits.high - scores.mean == pytest.approx(scores.mean - limits.low)
    assert scores.limits(20).high > limits.high
    assert NormalScores.of([0.1, 0.2, 0.3, 0.4]) is None
    assert NormalScores.of([0.1] * 50) is None


def at(day: int, figure: float, *, told: bool = True) -> Point:
    return Point(day, day, 60, figure, Limits(2, 8) if told else None)


def test_a_crossing_is_the_newest_unbroken_run_on_one_side() -> None:
    assert find_crossing([]) is None
    assert find_crossing([at(1, 9), at(2, 5)]) is None
    assert find_crossing([at(1, 8), at(2, 2)]) is None
    found = find_crossing([at(1, 9), at(2, 5), at(3, 9), at(4, 50, told=False), at(5, 12)])
    assert found is not None
    assert (found.since, found.newest) == (3, at(5, 12))
    turned = find_crossing([at(1, 9), at(2, 1), at(3, 0)])
    assert turned is not None
    assert (turned.since, turned.newest.is_below) == (2, True)
