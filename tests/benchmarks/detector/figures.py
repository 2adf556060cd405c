"""Figures of rankings, verdicts and confidence; those of heat maps are in maps.py.

Of numpy alone, and not the detector's own: what is measured does not measure itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Truth = NDArray[np.bool_]
GROUPS = 5  # of the calibration error
Z = 1.96  # of an interval that holds 95 of 100


@dataclass(frozen=True)
class Judged:
    """What a method says of the tested images.

    Attributes:
        scores: Higher is more anomalous.
        called: The verdicts.
        probabilities: Of being anomalous, where the method gives them.
        reported: What the method says of itself, from its training images alone: "auroc" and
            "false_positives", where it does.
    """

    scores: Doubles
    called: Truth
    probabilities: Doubles | None
    reported: Mapping[str, float]


def image_figures(judged: Judged, labels: Truth, normals: int) -> dict[str, float]:
    """Return how well images are ranked and called, and how far the method knows that.

    Args:
        judged: Of the tested images.
        labels: Which of them are anomalous.
        normals: How many normal images were learnt from, which the reported rate is of.
    """
    found = {
        "auroc": auroc(judged.scores, labels),
        "ap": average_precision(judged.scores, labels),
        "f1": f1(judged.called, labels),
        "best_f1": best_f1(judged.scores, labels),
        "false_positives": float(judged.called[~labels].mean()),
        "recall": float(judged.called[labels].mean()),
    }
    if judged.probabilities is not None:
        found["brier"] = float(np.mean((judged.probabilities - labels) ** 2))
        found["calibration_error"] = calibration_error(judged.probabilities, labels)
    found |= {f"reported_{name}": value for name, value in judged.reported.items()}
    if "auroc" in judged.reported:
        found["auroc_gap"] = judged.reported["auroc"] - found["auroc"]
    if "false_positives" in judged.reported:
        low, high = interval(judged.reported["false_positives"], normals)
        found["false_positives_within"] = float(low <= found["false_positives"] <= high)
    return found


def auroc(scores: NDArray[np.floating], labels: Truth) -> float:
    """Return the area under the ROC curve, ties counted half; NaN with a single class."""
    good, bad = np.sort(scores[~labels]), scores[labels]
    if not len(good) or not len(bad):
        return float("nan")
    below = np.searchsorted(good, bad, "left").mean() + np.searchsorted(good, bad, "right").mean()
    return float(below / (2 * len(good)))


def average_precision(scores: Doubles, labels: Truth) -> float:
    """Return the mean precision at each anomaly's rank; ties are ranked worst first."""
    truth = labels[np.lexsort((labels, -scores))]
    precision = np.cumsum(truth) / np.arange(1, len(truth) + 1)
    return float(precision[truth].mean())


def f1(called: Truth, labels: Truth) -> float:
    """Return the F1 score of `called` anomalous against `labels`; 0 where nothing was found."""
    return 2 * int((called & labels).sum()) / max(1, int(called.sum()) + int(labels.sum()))


def best_f1(scores: Doubles, labels: Truth) -> float:
    """Return the best F1 score that any threshold on these very scores has."""
    return max(f1(scores >= cut, labels) for cut in np.unique(scores))


def calibration_error(probabilities: Doubles, labels: Truth) -> float:
    """Return how far probabilities lie from frequencies, mean over groups of equal size.

    Source: expected calibration error: Naeini, Cooper & Hauskrecht, AAAI 2015, by rank.
    """
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(GROUPS, len(labels)))
    gaps = [abs(float(probabilities[p].mean() - labels[p].mean())) * len(p) for p in parts]
    return sum(gaps) / len(labels)


def interval(share: float, count: int) -> tuple[float, float]:
    """Return where a share seen in `count` images lies with 95 % (Wilson's score interval)."""
    middle = share + Z**2 / (2 * count)
    half = Z * (share * (1 - share) / count + Z**2 / (4 * count**2)) ** 0.5
    scale = 1 + Z**2 / count
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def robustness(
    called: Truth, disturbed: Mapping[str, Sequence[tuple[Doubles, Truth]]], labels: Truth
) -> dict[str, float]:
    """Return the share of verdicts that each kind of disturbance flips, and the AUROC under it.

    Args:
        called: The verdicts on the images as they are.
        disturbed: Kind → (scores, verdicts) for each of its variants; their mean counts.
        labels: Which images are anomalous.
    """
    found = {}
    for kind, variants in disturbed.items():
        found[f"flips_{kind}"] = float(np.mean([called != verdicts for _, verdicts in variants]))
        found[f"auroc_{kind}"] = float(np.mean([auroc(scores, labels) for scores, _ in variants]))
    return found
