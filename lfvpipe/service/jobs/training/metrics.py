"""The metrics of an evaluation; the positive class is the anomaly."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Metrics:
    """What EvaluationResult reports, each within 0 and 1; 0 where it is undefined."""

    roc_auc: float
    average_precision: float
    precision: float
    recall: float
    f1: float


def measure(truths: Sequence[bool], scores: Sequence[float], verdicts: Sequence[bool]) -> Metrics:
    """Compare verdicts and scores with the truth.

    Args:
        truths: Whether each image is anomalous.
        scores: Its probability of being anomalous.
        verdicts: Whether it was called anomalous.
    """
    hits = sum(truth and verdict for truth, verdict in zip(truths, verdicts, strict=True))
    precision, recall = ratio(hits, sum(verdicts)), ratio(hits, sum(truths))
    area, average = _areas(truths, scores)
    return Metrics(area, average, precision, recall, f1(precision, recall))


def f1(precision: float, recall: float) -> float:
    """Return the harmonic mean."""
    return ratio(2 * precision * recall, precision + recall)


def ratio(part: float, whole: float) -> float:
    """Return `part` of `whole`, 0 when there is nothing."""
    return part / whole if whole else 0.0


def _areas(truths: Sequence[bool], scores: Sequence[float]) -> tuple[float, float]:
    """Return the area under the ROC curve (ties count half) and the average precision."""
    pairs = sorted(zip(scores, truths, strict=True), key=lambda pair: -pair[0])
    positives, negatives = sum(truths), len(truths) - sum(truths)
    found = wrong = 0
    area = average = 0.0
    for _, tied in groupby(pairs, key=lambda pair: pair[0]):
        group = [truth for _, truth in tied]
        new = sum(group)
        area += (len(group) - new) * (found + new / 2)
        found, wrong = found + new, wrong + len(group) - new
        average += new * ratio(found, found + wrong)
    return ratio(area, positives * negatives), ratio(average, positives)
