"""Metrics against cases worked by hand, and properties that hold for every set of scores."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfvpipe.report import metrics
from lfvpipe.report.metrics import ScoredImage
from lfvpipe.report.records import Confusion, Verdict

scores = st.floats(0, 1, allow_nan=False).map(lambda value: round(value, 2))
points = st.lists(st.builds(ScoredImage, scores, st.booleans()), max_size=40)
counts = st.builds(Confusion, *[st.integers(0, 60)] * 4)


def pairs(*rows: tuple[float, int]) -> list[ScoredImage]:
    return [ScoredImage(score, bool(anomaly)) for score, anomaly in rows]


def verdict(label: str | None, anomalous: bool, confidence: float = 0.9) -> Verdict:
    return Verdict("id", "name", label, anomalous, confidence)


def test_confusion_counts_only_labelled_verdicts() -> None:
    cells = metrics.confusion(
        [
            verdict("anomaly", True),
            verdict("anomaly", True),
            verdict("normal", True),
            verdict("anomaly", False),
            verdict("normal", False),
            verdict(None, True),
        ]
    )
    assert cells == Confusion(2, 1, 1, 1)


def test_precision_recall_and_f1_by_hand() -> None:
    cells = Confusion(true_positive=6, false_positive=2, false_negative=4, true_negative=8)
    assert metrics.precision(cells) == 0.75
    assert metrics.recall(cells) == 0.6
    assert metrics.f1(cells) == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))


def test_undefined_metrics_are_none_not_zero() -> None:
    nothing = Confusion(true_negative=5)
    assert metrics.precision(nothing) is None
    assert metrics.recall(nothing) is None
    assert metrics.f1(nothing) is None
    assert metrics.roc_auc(pairs((0.1, 0), (0.9, 0))) is None
    assert metrics.average_precision(pairs((0.1, 0))) is None


def test_normal_images_alone_tell_the_false_alarm_rate_and_no_more() -> None:
    scored = metrics.score_set([verdict("normal", n == 0) for n in range(11)])
    values = {name: estimate.value for name, estimate in scored.estimates.items()}
    known = {name: value for name, value in values.items() if value is not None}
    assert known == {"accuracy": 10 / 11, "false_alarm_rate": 1 / 11}


def test_auc_counts_ties_as_half() -> None:
    # anomaly .5 ties with one of two normals and beats the other; anomaly .9 beats both
    assert metrics.roc_auc(pairs((0.5, 1), (0.9, 1), (0.5, 0), (0.1, 0))) == 3.5 / 4


def test_average_precision_by_hand() -> None:
    # ranking + - + -: precision 1 at the first half of recall, 2/3 at the second
    ranked = pairs((0.9, 1), (0.8, 0), (0.7, 1), (0.6, 0))
    assert metrics.average_precision(ranked) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_brier_and_reliability_by_hand() -> None:
    rows = pairs((0.0, 0), (0.05, 1), (1.0, 1))
    assert metrics.brier(rows) == pytest.approx((0 + 0.95**2 + 0) / 3)
    low, high = metrics.reliability(rows)
    assert (low.count, low.mean_score, low.observed) == (2, 0.025, 0.5)
    assert (high.low, high.count, high.observed) == (0.9, 1, 1.0)


def test_wilson_interval_agrees_with_the_published_example() -> None:
    # Newcombe (1998), table I: 81 of 263, score method without continuity correction
    estimate = metrics.wilson(81, 263)
    assert estimate.low == pytest.approx(0.2553, abs=5e-5)
    assert estimate.high == pytest.approx(0.3662, abs=5e-5)


def test_threshold_sweep_starts_with_no_alarm_and_ends_with_all() -> None:
    sweep = metrics.threshold_sweep(pairs((0.9, 1), (0.2, 0), (0.2, 1)))
    assert [point.threshold for point in sweep] == [inf, 0.9, 0.2]
    assert sweep[1].confusion == Confusion(1, 0, 1, 1)
    assert sweep[-1].confusion == Confusion(2, 1, 0, 0)


def test_perfect_separation_of_few_images_is_not_certain() -> None:
    estimate = metrics.roc_auc_interval(pairs((0.9, 1), (0.8, 1), (0.1, 0), (0.2, 0)))
    assert estimate.value == 1.0
    assert estimate.low is not None
    assert estimate.low < 0.5


@given(points)
def test_auc_is_mirrored_by_swapping_the_classes(rows: list[ScoredImage]) -> None:
    swapped = [ScoredImage(row.score, not row.anomaly) for row in rows]
    area, mirrored = metrics.roc_auc(rows), metrics.roc_auc(swapped)
    assert (area is None) == (mirrored is None)
    if area is not None and mirrored is not None:
        assert area + mirrored == pytest.approx(1)


@given(points)
def test_auc_equals_its_definition_over_all_pairs(rows: list[ScoredImage]) -> None:
    wins = [
        (a.score > n.score) + (a.score == n.score) / 2
        for a in rows
        if a.anomaly
        for n in rows
        if not n.anomaly
    ]
    area = metrics.roc_auc(rows)
    assert area == (pytest.approx(sum(wins) / len(wins)) if wins else None)


@given(counts)
def test_intervals_hold_their_estimate(cells: Confusion) -> None:
    positives = cells.true_positive + cells.false_positive
    for estimate in (metrics.wilson(cells.true_positive, positives), metrics.f1_interval(cells)):
        if estimate.value is not None:
            assert estimate.low is not None
            assert estimate.high is not None
            assert 0 <= estimate.low <= estimate.value + 1e-12
            assert estimate.value - 1e-12 <= estimate.high <= 1


@given(points)
def test_sweep_is_monotone_and_never_loses_an_image(rows: list[ScoredImage]) -> None:
    sweep = metrics.threshold_sweep(rows)
    assert all(point.confusion.total == len(rows) for point in sweep)
    called = [p.confusion.true_positive + p.confusion.false_positive for p in sweep]
    assert called == sorted(called)


@given(points)
def test_reliability_bins_hold_every_image_once(rows: list[ScoredImage]) -> None:
    bins = metrics.reliability(rows)
    assert sum(part.count for part in bins) == len(rows)
    assert all(part.low <= part.mean_score + 1e-9 <= part.high + 2e-9 for part in bins)


def test_a_set_without_labels_has_no_metrics() -> None:
    scores_of_none = metrics.score_set([verdict(None, True)])
    assert scores_of_none.images == 1
    assert scores_of_none.confusion.total == 0
    assert all(estimate.value is None for estimate in scores_of_none.estimates.values())


def test_recall_is_told_of_each_type_the_most_missed_first() -> None:
    shown = [("dent",), ("dent", "hole"), ("hole",), ()]
    verdicts = [
        replace(verdict("anomaly", anomalous), types=types)
        for types, anomalous in zip(shown, (True, True, False, True), strict=True)
    ]
    rows = metrics.recall_by_type(verdicts)
    assert [(row.type, row.found, row.total) for row in rows] == [("hole", 1, 2), ("dent", 2, 2)]
    assert rows[0].recall == metrics.wilson(1, 2)
    assert metrics.recall_by_type([verdict("anomaly", True)]) == []
