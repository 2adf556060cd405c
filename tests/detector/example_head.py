"""A head of one's own: how far an image's features lie from the most similar normal image's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lfvpipe.detector.arrays import Floats
from lfvpipe.detector.backbone.graph import CHANNELS
from lfvpipe.detector.features import POOLS, View
from lfvpipe.detector.heads.head import FitOptions, FittedHead, Head, HeadScore, TrainingFeatures
from lfvpipe.detector.layout import Layout


@dataclass(frozen=True)
class NearestImageHead(Head):
    """The normal images' pooled features, (images, features)."""

    NAME: ClassVar[str] = "nearest-image"
    PART: ClassVar[str] = "nearest-image"
    TAPS: ClassVar[int] = len(CHANNELS)
    LAYOUT: ClassVar[Layout] = {"rows": ("images", POOLS * sum(CHANNELS))}

    rows: Floats

    @classmethod
    def fit(cls, features: TrainingFeatures, options: FitOptions) -> Sequence[FittedHead]:
        """Remember the normal images; each image is scored without those of its own fold."""
        rows = features.pooled[:: features.views]
        scores = np.zeros(len(rows))
        for fold in np.unique(features.folds):
            others = cls(rows[(features.folds != fold) & ~features.labels])
            for index in np.flatnonzero(features.folds == fold):
                scores[index] = others.distance(rows[index])
        return [FittedHead(cls(rows[~features.labels]), scores)]

    def score(self, view: View) -> HeadScore:
        """Return the distance; there is no heat map."""
        return HeadScore(self.distance(view.pool()))

    def distance(self, row: Floats) -> float:
        """Return how far one image's features lie from the most similar normal image's."""
        return float(np.linalg.norm(self.rows - row, axis=1).min())
