"""Whether an image is like the training images: a verdict on what was never seen is a guess.

Another product, a blank or blurred photograph, one in other light: a detector gives such an image
a score as it gives any, and nothing in that tells that it knows nothing of it. So what is typical
of all training images, normal and anomalous, is kept: an anomaly is no reason for doubt. Two things
are asked, each with a threshold of its own: how far the features of the whole image lie from those
of the training images, and how much lighter or darker it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.backbone.graph import CHANNELS
from lfvpipe.detector.features import CELL_TAPS, POOLS, View
from lfvpipe.detector.layout import Layout, check_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.detector.arrays import Doubles, Floats, Integers


_FEATURES = POOLS * sum(CHANNELS[:CELL_TAPS])
_LAYOUT: Layout = {
    "mean": (_FEATURES,),
    "spread": (_FEATURES,),
    "farthest": "positive",
    "light": "number",
    "farthest_light": "positive",
}


@dataclass(frozen=True)
class Likeness:
    """What is typical of the training images on one scale.

    Attributes:
        mean: (d,) of each feature.
        spread: (d,) what it differs by, or may differ by.
        farthest: How far from the mean an image may lie, in spreads.
        light: The mean of the logarithm of brightness.
        farthest_light: How far from it an image may lie.
    """

    mean: Floats
    spread: Floats
    farthest: float
    light: float
    farthest_light: float

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> Likeness:
        """Return what a model file kept; ValueError where it is something else."""
        check_part("likeness", _LAYOUT, parameters)
        return cls(**parameters)

    def unlikeness(self, view: View) -> float:
        """Return how far an image lies from the training images, as a share of the threshold.

        From 1 on it is unlike them.
        """
        return self.unlikeness_of(describe(view))

    def unlikeness_of(self, traits: Floats) -> float:
        """Return the same of an image that was described."""
        far = float(_distances(traits[None, 1:], self.mean, self.spread)[0]) / self.farthest
        return max(far, abs(float(traits[0]) - self.light) / self.farthest_light)


def describe(view: View) -> Floats:
    """Return what an image is compared by, (1 + d,): the logarithm of its brightness, features.

    These are each channel's mean, maximum and minimum, of the maps that a view always has.
    """
    taps = [tap.reshape(len(tap), -1) for tap in view.maps[:CELL_TAPS]]
    pooled = [np.stack([tap.mean(1), tap.max(1), tap.min(1)], axis=1).ravel() for tap in taps]
    light = np.log(1 + view.pixels.mean())
    return np.concatenate([[light], *pooled]).astype(np.float32)


def fit_likeness(traits: Floats, folds: Integers) -> Likeness:
    """Return what is typical of images whose `traits` (n, 1 + d) were described.

    The thresholds lie beyond what images of one fold differ by from those of the others.
    """
    lights, features = traits[:, 0].astype(np.float64), traits[:, 1:]
    far, darker = np.zeros(len(traits)), np.zeros(len(traits))
    for fold in np.unique(folds):
        outside = folds == fold
        far[outside] = _distances(features[outside], *_typical(features[~outside]))
        darker[outside] = np.abs(lights[outside] - lights[~outside].mean())
    mean, spread = _typical(features)
    return Likeness(
        mean=mean,
        spread=spread,
        # One spread at least: where all images are all but the same, the next may differ a little.
        farthest=max(1.0, tuning.LIKENESS_MARGIN * _high(far)),
        light=float(lights.mean()),
        farthest_light=tuning.LIKENESS_MARGIN * _high(darker) + tuning.LIKENESS_LEAST_LIGHT,
    )


def _high(distances: Doubles) -> float:
    """Return what one new distance in twenty lies above; one odd image does not move it far."""
    return float(np.quantile(distances, tuning.LIKENESS_QUANTILE, method="weibull"))


def _typical(features: Floats) -> tuple[Floats, Floats]:
    """Return the mean and the spread of each feature of the rows (n, d).

    Where images are all alike, the slightest change of light would be a large one: a feature may
    always differ by some share of what its channel differs by within an image.
    """
    mean = features.mean(0)
    channels = mean.reshape(-1, 3)  # mean, maximum and minimum of each
    within = np.repeat(channels[:, 1] - channels[:, 2], 3)
    spread = np.sqrt(features.var(0) + (tuning.LIKENESS_LEAST_SPREAD * within) ** 2)
    return mean, (spread + np.float32(1e-6)).astype(np.float32)


def _distances(features: Floats, mean: Floats, spread: Floats) -> Doubles:
    """Return the root mean square of each row's differences from the mean, in spreads."""
    standard = ((features - mean) / spread).astype(np.float64)
    distances: Doubles = np.sqrt(np.mean(standard**2, axis=1))
    return distances
