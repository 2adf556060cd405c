"""Several scores of an image made one, each weighing as much as its out-of-fold record earns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.logistic import newton

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.detector.arrays import Bools, Doubles


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

    def combine(self, scores: Doubles) -> Doubles:
        """Return the blend (n,) of `scores` (n, heads)."""
        result: Doubles = ((scores - self.centre) / self.spread) @ self.weights
        return result


def fit_blend(scores: Doubles, labels: Bools) -> Blend:
    """Return the mean of the heads' logits, weighed by how likely each makes the `labels`.

    A head's out-of-fold `scores` (n, heads) become logits by a logistic regression of their own;
    its weight is its likelihood, softened (pseudo-Bayesian model averaging: Yao et al., "Using
    stacking to average Bayesian predictive distributions", 2018). Picking the best head is a gamble
    where images are few and heads are close; an average of the close ones hardly ever loses.
    """
    centre, spread = scores[~labels].mean(0), np.maximum(scores.std(0), 1e-3)
    farthest = tuning.BLEND_FARTHEST
    rows = np.clip((scores - centre) / spread, -farthest, farthest)
    fits = [_fit_logit(rows[:, head], labels) for head in range(rows.shape[1])]
    slopes, losses = np.array([fit[0] for fit in fits]), np.array([fit[1] for fit in fits])
    shares = np.exp((losses.min() - losses) / tuning.BLEND_SOFTNESS)
    shares /= shares.sum()
    # Of a dozen equal heads each has less than the least share: then the largest ones stay.
    shares[shares < min(tuning.BLEND_LEAST_SHARE, shares.max())] = 0
    return Blend(centre, spread, slopes * shares / shares.sum())


def fit_unlabelled_blend(scores: Doubles, labels: Bools, weights: Sequence[float]) -> Blend:
    """Return the mean of `scores` by given `weights`, standardised by the normal images'."""
    normal = scores[~labels]
    centre, spread = normal.mean(0), np.maximum(normal.std(0), tuning.NORMALS_LEAST_SPREAD)
    return Blend(centre, spread, np.array(weights) / sum(weights))


def fit_scale_blend(
    scores: Doubles, labels: Bools, weights: Sequence[float], learnt: Bools
) -> Blend:
    """Return the blend of a scale's heads, of which some learnt from the labels.

    What is unlike normal images is evidence of another kind than what is like known anomalies, and
    errs elsewhere; it counts as much as so many labelled anomalies would: `NOVELTY_ANOMALIES`. With
    few labels that is much, with many it is little.

    Args:
        scores: (n, heads) out of fold.
        labels: (n,) True for anomalies.
        weights: Of each head among those of its kind.
        learnt: Which heads learnt from the labels.
    """
    kinds = [kind for kind in (learnt, ~learnt) if kind.any()]
    of_all = np.array(weights, np.float64)
    if len(kinds) == 2:
        anomalies = int(labels.sum())
        share = tuning.NOVELTY_ANOMALIES / (tuning.NOVELTY_ANOMALIES + anomalies)
        for kind, part in zip(kinds, (1 - share, share), strict=True):
            of_all[kind] *= part / of_all[kind].sum()
    return fit_unlabelled_blend(scores, labels, of_all.tolist())


def label_loss(scores: Doubles, labels: Bools) -> float:
    """Return what one score's logit leaves unexplained of the labels, nats in all.

    It is as if both labels were as rare as the rarer one: 1.4 nats for each of its images where the
    score says nothing, 0 where it tells them apart.
    """
    spread = max(float(scores.std()), 1e-3)
    standard = (scores - scores[~labels].mean()) / spread
    farthest = tuning.BLEND_FARTHEST
    return _fit_logit(np.clip(standard, -farthest, farthest), labels)[1]


def _fit_logit(scores: Doubles, labels: Bools) -> tuple[float, float]:
    """Return the slope of a score's logit, and its loss as if both labels were as rare."""
    balance = 0.5 / np.where(labels, labels.mean(), 1 - labels.mean())
    slope, bias = newton(scores[:, None], labels, balance, tuning.BLEND_PENALTY).tolist()
    if slope <= 0:  # no evidence, or evidence of the contrary: as good as none
        slope, bias = 1e-3, 0.0
    logits = slope * scores + bias
    loss = float(balance @ (np.logaddexp(0, logits) - labels * logits))
    rare = 2 * min(labels.mean(), 1 - labels.mean())
    return slope, loss * rare
