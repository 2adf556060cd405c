"""Several scores of an image made one, each weighing as much as its out-of-fold record earns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.logistic import Doubles, newton

PENALTY = 10.0
MARGIN = 4.0  # of log-likelihood, about twice what BIC asks of a parameter


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

    Forward selection for a logistic regression with weights that are not negative (after Breiman,
    "Stacked regressions", 1996): the best head alone, then others only while each makes the labels
    likelier by MARGIN; with few images, a head that helps less than that as often harms.
    """
    centre, spread = scores[~labels].mean(0), np.maximum(scores.std(0), 1e-3)
    rows = np.clip((scores - centre) / spread, -4, 4)
    kept: list[int] = []
    weights, least = np.zeros(scores.shape[1]), np.inf
    for _ in range(scores.shape[1]):
        loss, solution, head = _best_addition(rows, labels, kept)
        if kept and least - loss < MARGIN:
            break
        kept, least = [*kept, head], loss
        weights[kept] = np.maximum(solution, 1e-3)
    return Blend(centre, spread, weights)


def _best_addition(
    rows: Doubles, labels: NDArray[np.bool_], kept: list[int]
) -> tuple[float, Doubles, int]:
    """Return (loss, weights, head) for the head whose addition to those `kept` helps most."""
    balance = 0.5 / np.where(labels, labels.mean(), 1 - labels.mean())
    trials = []
    for head in set(range(rows.shape[1])) - set(kept):
        chosen = rows[:, [*kept, head]]
        solution = newton(chosen, labels, balance, PENALTY)
        odds = chosen @ solution[:-1] + solution[-1]
        loss = float(balance @ (np.logaddexp(0, odds) - labels * odds))
        harmful = bool(kept) and solution[:-1].min() < 0
        trials.append((np.inf if harmful else loss, solution[:-1], head))
    return min(trials, key=lambda trial: (trial[0], trial[2]))


def equal(scores: Doubles, labels: NDArray[np.bool_]) -> Blend:
    """Return the plain mean of `scores`, standardised by the normal images'."""
    normal = scores[~labels]
    centre, spread = normal.mean(0), np.maximum(normal.std(0), 1e-3)
    return Blend(centre, spread, np.full(scores.shape[1], 1 / scores.shape[1]))
