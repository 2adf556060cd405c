"""The metrics of an evaluation; the positive class is the anomaly."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Metrics:
    """What EvaluationResult reports, each within 0 and 1; None where nothing can be said.

    Without an anomaly among the images nothing is known of precision, recall and F1, and without
    images of both kinds nothing of the areas. With anomalies of which none is found, all three are
    0, also precision where nothing at all was called anomalous: the usual convention.
    """

    roc_auc: float | None
    average_precision: float | None
    precision: float | None
    recall: float | None
    f1: float | None


def measure(truths: Sequence[bool], scores: Sequence[float], verdicts: Sequence[bool]) -> Metrics:
    """Compare verdicts and scores with the truth.

    Args:
        truths: Whether each image is anomalous.
        scores: Its probability of being anomalous.
        verdicts: Whether it was called anomalous.
    """
    if not any(truths):
        return Metrics(None, None, None, None, None)
    hits = sum(truth and verdict for truth, verdict in zip(truths, verdicts, strict=True))
    precision, recall = ratio(hits, sum(verdicts)), ratio(hits, sum(truths))
    area, average = (None, None) if all(truths) else _areas(truths, scores)
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
