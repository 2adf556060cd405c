"""How like the labelled anomalies an image as a whole looks: a logistic regression on pooled maps.

Models of lfvpipe 0.1.0 hold it. Its heat map is a class activation mapping (Zhou et al., "Learning
deep features for discriminative localization", CVPR 2016), with extrema.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.backbone.graph import CHANNELS
from lfvpipe.detector.features import POOLS
from lfvpipe.detector.heads.head import (
    FitOptions,
    FittedHead,
    Head,
    HeadScore,
    Parameters,
    TrainingFeatures,
)
from lfvpipe.detector.heat_map import resize, smooth
from lfvpipe.detector.layout import Layout, check_part
from lfvpipe.detector.logistic import LinearClassifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.detector.arrays import Floats
    from lfvpipe.detector.features import View


_FEATURES = POOLS * sum(CHANNELS)


@dataclass(frozen=True)
class PooledClassifierHead(Head):
    """A linear classifier of pooled maps."""

    NAME: ClassVar[str] = "classifier"
    PART: ClassVar[str] = "classifier"
    TAPS: ClassVar[int] = len(CHANNELS)
    HEAT_MAP_TRUST: ClassVar[float] = tuning.HEAT_MAP_CLASSIFIER_TRUST

    LAYOUT: ClassVar[Layout] = {
        "mean": (_FEATURES,),
        "spread": (_FEATURES,),
        "weights": (_FEATURES,),
        "bias": "number",
    }

    classifier: LinearClassifier

    @classmethod
    def fit(cls, _features: TrainingFeatures, _options: FitOptions) -> list[FittedHead]:
        """Return nothing: models of lfvpipe 0.1.0 hold this head, newer ones are fine-tuned."""
        return []

    def score(self, view: View) -> HeadScore:
        """Return an image's logit, and what each position adds to it."""
        logit = float(self.classifier.logits(view.pool()[None])[0])
        return HeadScore(logit, self._contributions(view))

    def _contributions(self, view: View) -> Floats:
        """Return how much each position adds to the logit of a view, (h, w).

        A mean's part is spread over all positions, a maximum's and a minimum's lie where they are
        attained. Maps of several sizes are brought to that of the stride-8 map, their sums kept.
        """
        shape, start = view.maps[1].shape[1:], 0
        total = np.zeros(shape, np.float32)
        for tap in view.maps:
            part = slice(start, start + POOLS * len(tap))
            found = self._contributions_of(tap, part)
            sums_kept = np.float32(found.size / (shape[0] * shape[1]))
            total += resize(found, shape) * sums_kept
            start = part.stop
        return smooth(smooth(total))

    def _contributions_of(self, tap: Floats, part: slice) -> Floats:
        """Return the same of one map (c, h, w), whose pooled features are that `part` of all."""
        known, shape = self.classifier, (POOLS, -1)
        weights = (known.weights[part] / known.spread[part]).reshape(shape)
        means = known.mean[part].reshape(shape)
        flat = tap.reshape(len(tap), -1)
        result = weights[0] @ (flat - means[0][:, None]) / flat.shape[1]
        np.add.at(result, flat.argmax(1), weights[1] * (flat.max(1) - means[1]))
        np.add.at(result, flat.argmin(1), weights[2] * (flat.min(1) - means[2]))
        shaped: Floats = result.reshape(tap.shape[1:]).astype(np.float32)
        return shaped

    def parameters(self) -> Parameters:
        """Return the classifier's arrays and bias."""
        return vars(self.classifier)

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> PooledClassifierHead:
        """Return the head with these."""
        check_part(cls.PART, cls.LAYOUT, parameters)
        return cls(LinearClassifier(**parameters))
