"""Several scores of an image made one, each weighing as much as its out-of-fold record earns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.logistic import Doubles, newton

PENALTY = 1.0


@dataclass(frozen=True)
class Blend:
    """A weighted sum of standardised scores.

    Attributes:
        centre: Of each score over the normal training images.
        spread: Of each score over all of them.
        weights: None negative: a higher score never means less anomalous.
    """

    centre: Doubles
    spread: Doubles
    weights: Doubles

    def combined(self, scores: Doubles) -> Doubles:
        """Return the blend (n,) of `scores` (n, heads)."""
        result: Doubles = ((scores - self.centre) / self.spread) @ self.weights
        return result


def stack(scores: Doubles, labels: NDArray[np.bool_]) -> Blend:
    """Return the blend whose out-of-fold `scores` (n, heads) best tell the `labels`.

    A ridge-penalised logistic regression with non-negative weights (Breiman, "Stacked regressions",
    1996): heads that would weigh less than nothing are left out, one by one.
    """
    centre, spread = _standard(scores, labels)
    rows = np.clip((scores - centre) / spread, -4, 4)
    share = np.where(labels, labels.mean(), 1 - labels.mean())
    kept = list(range(scores.shape[1]))
    while True:
        solution = newton(rows[:, kept], labels, 0.5 / share, PENALTY)[:-1]
        if len(kept) == 1 or solution.min() >= 0:
            break
        kept.pop(int(solution.argmin()))
    weights = np.zeros(scores.shape[1])
    weights[kept] = np.maximum(solution, 1e-3)
    return Blend(centre, spread, weights)


def equal(scores: Doubles, labels: NDArray[np.bool_]) -> Blend:
    """Return the plain mean of `scores`, standardised by the normal images'."""
    normal = scores[~labels]
    centre, spread = normal.mean(0), np.maximum(normal.std(0), 1e-3)
    return Blend(centre, spread, np.full(scores.shape[1], 1 / scores.shape[1]))


def _standard(scores: Doubles, labels: NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
    return scores[~labels].mean(0), np.maximum(scores.std(0), 1e-3)
