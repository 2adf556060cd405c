"""Metrics of a binary classifier, in pure Python: anomaly is positive, a higher score more so.

A report is small (at most some thousand images), so numpy would cost more to import than it saves.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt

from lfvpipe.report.records import Confusion, Estimate, ForPerson, Scores, TypeRecall, Verdict

Z95 = 1.959963984540054  # the normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class ScoredImage:
    """One labelled image: its anomaly score (0 to 1) and whether it really is an anomaly."""

    score: float
    anomaly: bool


@dataclass(frozen=True)
class ThresholdPoint:
    """What would happen if every score of at least `threshold` were called an anomaly."""

    threshold: float
    confusion: Confusion


@dataclass(frozen=True)
class ReliabilityBin:
    """Images whose score lies in [low, high): their mean score and the share of anomalies."""

    low: float
    high: float
    count: int
    mean_score: float
    observed: float


def scored_images(verdicts: Iterable[Verdict]) -> list[ScoredImage]:
    """Return scores and truths of the verdicts whose label is known."""
    return [
        ScoredImage(verdict.score, verdict.label == "anomaly")
        for verdict in verdicts
        if verdict.label is not None
    ]


def confusion(verdicts: Iterable[Verdict]) -> Confusion:
    """Count the labelled verdicts by what they are and what they were called.

    Without those that are left to a person.
    """
    return _count((v.is_anomalous, v.label == "anomaly") for v in verdicts if v.correct is not None)


def for_person(verdicts: Iterable[Verdict]) -> ForPerson:
    """Count the verdicts that are left to a person, which `confusion` does not."""
    labels = [verdict.label for verdict in verdicts if verdict.to_person]
    return ForPerson(labels.count("anomaly"), labels.count("normal"), len(labels))


def _count(pairs: Iterable[tuple[bool, bool]]) -> Confusion:
    """Count pairs of called and true."""
    cells = list(pairs)
    return Confusion(
        true_positive=cells.count((True, True)),
        false_positive=cells.count((True, False)),
        false_negative=cells.count((False, True)),
        true_negative=cells.count((False, False)),
    )


def ratio(part: float, whole: float) -> float | None:
    """Return `part` / `whole`, or None where there is nothing to divide by."""
    return part / whole if whole else None


def precision(counts: Confusion) -> float | None:
    """Return the share of called anomalies that are ones; None when none was called, or is one."""
    called = counts.true_positive + counts.false_positive
    return ratio(counts.true_positive, called) if counts.positive else None


def recall(counts: Confusion) -> float | None:
    """Return the share of anomalies that were called; None when there are none."""
    return ratio(counts.true_positive, counts.positive)


def f1(counts: Confusion) -> float | None:
    """Return the harmonic mean of precision and recall; None without any anomaly."""
    double = 2 * counts.true_positive
    whole = double + counts.false_positive + counts.false_negative
    return ratio(double, whole) if counts.positive else None


def cost(counts: Confusion, *, false_accept: float, false_reject: float) -> float:
    """Return what the mistakes cost: missed anomalies and rejected normal images."""
    return counts.false_negative * false_accept + counts.false_positive * false_reject


def wilson(successes: float, trials: int) -> Estimate:
    """Return a proportion with its 95 % score interval (E. B. Wilson, 1927).

    Successes are counts, or as many as are to be expected.
    """
    if not trials:
        return Estimate(None)
    share, square = successes / trials, Z95 * Z95
    centre = share + square / (2 * trials)
    spread = Z95 * sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    low, high = max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
    return Estimate(share, min(low, share), max(high, share))  # rounding may cross the bounds


def recall_by_type(verdicts: Iterable[Verdict]) -> list[TypeRecall]:
    """Return the recall of each type of defect, the rarest found first; images may show several."""
    shown: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for verdict in verdicts:
        if verdict.to_person:
            continue
        shown.update(verdict.types)
        found.update(verdict.types if verdict.is_anomalous else ())
    rows = [TypeRecall(name, found[name], n, wilson(found[name], n)) for name, n in shown.items()]
    return sorted(rows, key=lambda row: (row.found / row.total, row.type))


def f1_interval(counts: Confusion) -> Estimate:
    """Return F1 with its 95 % interval.

    With J = TP / (TP + FP + FN), F1 = 2J / (1 + J). J is a plain proportion of the images that
    are anomalous or were called so; Wilson's interval for it carries over, as F1 grows with J.
    """
    if not counts.positive:
        return Estimate(None)
    trials = counts.true_positive + counts.false_positive + counts.false_negative
    share = wilson(counts.true_positive, trials)
    return Estimate(f1(counts), _f1_of(share.low), _f1_of(share.high))


def _f1_of(jaccard: float | None) -> float | None:
    return None if jaccard is None else 2 * jaccard / (1 + jaccard)


def roc_auc(points: Sequence[ScoredImage]) -> float | None:
    """Return the area under the ROC curve: P(anomaly scores above normal), ties count half."""
    positives, negatives = _placements(points)
    return ratio(sum(positives), len(positives)) if negatives else None


def roc_auc_interval(points: Sequence[ScoredImage]) -> Estimate:
    """Return the AUROC with its 95 % interval by DeLong's variance (DeLong et al., 1988).

    Where the variance is zero (perfect separation) the bound is Wilson's for as many successes
    as the smaller class has images: a perfect score on few images proves little.
    """
    positives, negatives = _placements(points)
    area = roc_auc(points)
    if area is None:
        return Estimate(None)
    spread = sqrt(_variance_of_mean(positives) + _variance_of_mean(negatives)) * Z95
    if spread:
        return Estimate(area, max(0.0, area - spread), min(1.0, area + spread))
    smaller = min(len(positives), len(negatives))
    bound = wilson(round(area * smaller), smaller)
    return Estimate(area, min(area, bound.low or 0.0), max(area, bound.high or 0.0))


def _placements(points: Sequence[ScoredImage]) -> tuple[list[float], list[float]]:
    """Return, for each anomaly, the share of normal images it beats, and the other way round."""
    positives, negatives = [], []
    normal_total = sum(not point.anomaly for point in points)
    anomaly_total = len(points) - normal_total
    normal_below = anomaly_below = 0
    for _, tied in groupby(sorted(points, key=_score), key=_score):
        flags = [point.anomaly for point in tied]
        anomalies = sum(flags)
        normals = len(flags) - anomalies
        if normal_total:
            positives += [(normal_below + normals / 2) / normal_total] * anomalies
        if anomaly_total:
            above = anomaly_total - anomaly_below - anomalies
            negatives += [(above + anomalies / 2) / anomaly_total] * normals
        normal_below, anomaly_below = normal_below + normals, anomaly_below + anomalies
    return positives, negatives


def _score(point: ScoredImage) -> float:
    return point.score


def _variance_of_mean(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)


def threshold_sweep(points: Sequence[ScoredImage]) -> list[ThresholdPoint]:
    """Return the confusion at every distinct score, from the highest threshold to the lowest.

    The first point has a threshold above every score: nothing is called an anomaly.
    """
    positive = sum(point.anomaly for point in points)
    negative = len(points) - positive
    sweep = [ThresholdPoint(float("inf"), Confusion(0, 0, positive, negative))]
    caught = alarms = 0
    for score, tied in groupby(sorted(points, key=_score, reverse=True), key=_score):
        flags = [point.anomaly for point in tied]
        caught += sum(flags)
        alarms += len(flags) - sum(flags)
        counts = Confusion(caught, alarms, positive - caught, negative - alarms)
        sweep.append(ThresholdPoint(score, counts))
    return sweep


def at_threshold(points: Sequence[ScoredImage], threshold: float) -> Confusion:
    """Count as if every score of at least `threshold` were called an anomaly."""
    return _count((point.score >= threshold, point.anomaly) for point in points)


def average_precision(points: Sequence[ScoredImage]) -> float | None:
    """Return the step-wise area under the precision-recall curve; None without anomalies."""
    sweep = threshold_sweep(points)
    positive = sweep[0].confusion.positive
    if not positive:
        return None
    area, before = 0.0, 0
    for point in sweep[1:]:
        caught = point.confusion.true_positive
        area += (caught - before) / positive * (precision(point.confusion) or 0.0)
        before = caught
    return min(area, 1.0)  # the sum may be a rounding error too large


def brier(points: Sequence[ScoredImage]) -> float | None:
    """Return the mean squared difference of score and truth (G. W. Brier, 1950)."""
    return ratio(sum((point.score - point.anomaly) ** 2 for point in points), len(points))


def reliability(points: Sequence[ScoredImage], bins: int = 10) -> list[ReliabilityBin]:
    """Return the non-empty bins of a reliability diagram over equal ranges of the score."""
    filled: dict[int, list[ScoredImage]] = {}
    for point in points:
        filled.setdefault(min(int(point.score * bins), bins - 1), []).append(point)
    return [
        ReliabilityBin(
            low=number / bins,
            high=(number + 1) / bins,
            count=len(members),
            mean_score=sum(member.score for member in members) / len(members),
            observed=sum(member.anomaly for member in members) / len(members),
        )
        for number, members in sorted(filled.items())
    ]


def score_set(verdicts: Sequence[Verdict]) -> Scores:
    """Return every metric of one set of verdicts.

    AUROC and average precision are of scores, whoever decides on the images; F1 and precision are
    of what the model decides, and need images of both kinds among that.
    """
    points, counts = scored_images(verdicts), confusion(verdicts)
    both = counts.positive > 0 < counts.negative
    right = counts.true_positive + counts.true_negative
    called = counts.true_positive + counts.false_positive
    return Scores(
        images=len(verdicts),
        confusion=counts,
        estimates={
            "accuracy": wilson(right, counts.total),
            "precision": wilson(counts.true_positive, called if both else 0),
            "recall": wilson(counts.true_positive, counts.positive),
            "f1": f1_interval(counts) if both else Estimate(None),
            "false_alarm_rate": wilson(counts.false_positive, counts.negative),
            "roc_auc": roc_auc_interval(points),
            "average_precision": Estimate(
                average_precision(points) if any(not point.anomaly for point in points) else None
            ),
        },
        brier=brier(points),
        to_person=for_person(verdicts).labelled,
    )
