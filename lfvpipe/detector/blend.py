"""Several scores of an image made one, each weighing as much as its out-of-fold record earns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.logistic import Doubles, newton

PENALTY = 10.0
SOFTNESS = 12.0  # of log-likelihood: what a head must be worse by to weigh a third as much
LEAST = 0.1  # share from which on a head is worth its time
FARTHEST = 4.0  # standard deviations beyond which a score says no more, while learning


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


def average(scores: Doubles, labels: NDArray[np.bool_]) -> Blend:
    """Return the mean of the heads' log-odds, weighed by how likely each makes the `labels`.

    A head's out-of-fold `scores` (n, heads) become log-odds by a logistic regression of their own;
    its weight is its likelihood, softened (pseudo-Bayesian model averaging: Yao et al., "Using
    stacking to average Bayesian predictive distributions", 2018). Picking the best head is a gamble
    where images are few and heads are close; an average of the close ones hardly ever loses.
    """
    centre, spread = scores[~labels].mean(0), np.maximum(scores.std(0), 1e-3)
    rows = np.clip((scores - centre) / spread, -FARTHEST, FARTHEST)
    fits = [_platt(rows[:, head], labels) for head in range(rows.shape[1])]
    slopes, losses = np.array([fit[0] for fit in fits]), np.array([fit[1] for fit in fits])
    shares = np.exp((losses.min() - losses) / SOFTNESS)
    shares /= shares.sum()
    shares[shares < min(LEAST, shares.max())] = 0  # of a dozen equal heads, each has less
    return Blend(centre, spread, slopes * shares / shares.sum())


def loss(scores: Doubles, labels: NDArray[np.bool_]) -> float:
    """Return what one score's log-odds leave unexplained of the labels, nats in all.

    It is as if both labels were as rare as the rarer one: 1.4 nats for each of its images where the
    score says nothing, 0 where it tells them apart.
    """
    spread = max(float(scores.std()), 1e-3)
    standard = (scores - scores[~labels].mean()) / spread
    return _platt(np.clip(standard, -FARTHEST, FARTHEST), labels)[1]


def _platt(scores: Doubles, labels: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the slope of a score's log-odds, and its loss as if both labels were as rare."""
    balance = 0.5 / np.where(labels, labels.mean(), 1 - labels.mean())
    slope, bias = newton(scores[:, None], labels, balance, PENALTY).tolist()
    if slope <= 0:  # no evidence, or evidence of the contrary: as good as none
        slope, bias = 1e-3, 0.0
    odds = slope * scores + bias
    loss = float(balance @ (np.logaddexp(0, odds) - labels * odds))
    rare = 2 * min(labels.mean(), 1 - labels.mean())
    return slope, loss * rare


def unlabelled(scores: Doubles, labels: NDArray[np.bool_], shares: Sequence[float]) -> Blend:
    """Return the mean of `scores` weighed by `shares`, standardised by the normal images'."""
    normal = scores[~labels]
    centre, spread = normal.mean(0), np.maximum(normal.std(0), 0.05)
    return Blend(centre, spread, np.array(shares) / sum(shares))
