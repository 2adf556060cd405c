"""PatchCore: each patch against the most similar one in a memory bank of normal images' patches.

For products that lie anywhere, whose parts are more unlike each other than one Gaussian can say.
Source: Roth et al., "Towards total recall in industrial anomaly detection" (CVPR 2022), on the
backbone's deepest map, whose patches see much of a product. The bank holds a coreset of the normal
images' patches, chosen fold by fold: so a training image is compared with the other folds' alone,
and a new one with what every fold left out would leave, on average, which is the same measure. A
bank that held the image that it scores would find it at distance 0, and no threshold could be told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Floats
from lfvpipe.detector.backbone.graph import CHANNELS
from lfvpipe.detector.feature_store import as_stored
from lfvpipe.detector.heads.cell_mahalanobis import image_novelty
from lfvpipe.detector.heads.head import (
    FitOptions,
    FittedHead,
    Head,
    HeadScore,
    Tick,
    TrainingFeatures,
)
from lfvpipe.executor import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfvpipe.detector.arrays import Bools, Doubles, Integers
    from lfvpipe.detector.features import View
    from lfvpipe.detector.layout import Layout


@dataclass(frozen=True)
class MemoryBankHead(Head):
    """Patches of normal images.

    Attributes:
        patches: (folds, k, c) the coresets, as many patches of each fold.
        usual: The squared distance of a normal patch from the most similar one.
    """

    NAME: ClassVar[str] = "bank"
    PART: ClassVar[str] = "bank"
    TAPS: ClassVar[int] = len(CHANNELS)
    LAYOUT: ClassVar[Layout] = {"patches": ("folds", "k", CHANNELS[-1]), "usual": "positive"}

    patches: Floats
    usual: float

    @classmethod
    def fit(cls, features: TrainingFeatures, options: FitOptions) -> list[FittedHead]:
        """Fit on the patches of normal images."""
        bank, scores = fit_bank(
            features.read_patches,
            features.cell_labels,
            features.cell_folds,
            options.stage(f"memory bank at {features.side} px"),
            options.threads,
        )
        return [FittedHead(bank, features.of_all_images(scores))]

    @property
    def unlabelled_weight(self) -> float:
        """The most of those that do not know positions."""
        return tuning.BLEND_BANK_WEIGHT

    def score(self, view: View) -> HeadScore:
        """Return an image's score, and the distance of each of its patches."""
        return HeadScore(*self.distances(as_stored(view.patches)))

    def distances(self, patches: Floats) -> tuple[float, Floats]:
        """Return an image's score, and the distance of each of its `patches` (h, w, c): (h, w).

        Distances are squared, usual ones about 1. Both are means over the bank without each fold.
        """
        nearest = self.nearest(patches) / np.float32(self.usual)
        apart = [np.delete(nearest, fold, -1).min(-1) for fold in range(nearest.shape[-1])]
        return float(np.mean([image_novelty(each.ravel()) for each in apart])), np.mean(apart, 0)

    def nearest(self, patches: Floats) -> Floats:
        """Return the squared distance of `patches` (..., c) from the most similar: (..., folds)."""
        rows, known = _flat(patches), _flat(self.patches)
        apart = np.einsum("kc,kc->k", known, known) - 2 * (rows @ known.T)
        least = apart.reshape(len(rows), *self.patches.shape[:2]).min(-1)
        squared = np.maximum(least + np.einsum("nc,nc->n", rows, rows)[:, None], 0)
        return np.asarray(squared.reshape(*patches.shape[:-1], -1), np.float32)


def fit_bank(
    read: Callable[[int], Floats],
    labels: Bools,
    folds: Integers,
    tick: Tick,
    threads: int = 1,
) -> tuple[MemoryBankHead, Doubles]:
    """Return the bank of the normal images, and each image's score by the other folds' patches.

    Args:
        read: An image's patches (h, w, c).
        labels: True for anomalies.
        folds: Of each image; normal ones in two at least.
        tick: Told of (done, total) images; may raise to stop.
        threads: Folds, and images, worked on at the same time.
    """
    owners = np.unique(folds[~labels]).tolist()
    members = [np.flatnonzero(~labels & (folds == owner)).tolist() for owner in owners]
    coresets = [*in_order(partial(_coreset, read), members, threads)]
    smallest = min(map(len, coresets))
    bank = MemoryBankHead(np.stack([each[:smallest] for each in coresets]), 1.0)
    distances = list[Floats]()
    compared = in_order(lambda index: bank.nearest(_flat(read(index))), range(len(labels)), threads)
    for fold, nearest in zip(folds.tolist(), compared, strict=True):
        distances.append(nearest[:, [owner != fold for owner in owners]].min(-1))
        tick(len(distances), len(labels))
    bank = replace(bank, usual=_usual_distance(bank, distances, labels))
    return bank, np.array([image_novelty(each / np.float32(bank.usual)) for each in distances])


def _usual_distance(bank: MemoryBankHead, distances: Sequence[Floats], labels: Bools) -> float:
    """Return the mean squared distance of normal images' patches, no less than rounding makes."""
    normal = [each for each, label in zip(distances, labels, strict=True) if not label]
    mean = float(np.mean([each.mean() for each in normal]))
    square = float(np.mean(bank.patches**2)) * bank.patches.shape[-1]
    return float(max(mean, tuning.FEATURE_ROUNDING**2 * square, 1e-12))


def _coreset(read: Callable[[int], Floats], images: Sequence[int]) -> Floats:
    """Return patches of a fold's images, each the farthest from those before it.

    Greedy k-centre: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985).
    """
    rows = np.concatenate([_flat(read(index)) for index in images])
    squares = np.einsum("nc,nc->n", rows, rows)
    apart = np.full(len(rows), np.inf, np.float32)
    chosen = np.empty(min(len(rows), tuning.BANK_PATCHES_PER_FOLD), np.int64)
    chosen[0] = np.argmin(((rows - rows.mean(0)) ** 2).sum(1))
    for at in range(1, len(chosen)):
        last = chosen[at - 1]
        apart = np.minimum(apart, squares - 2 * (rows @ rows[last]) + squares[last])
        chosen[at] = apart.argmax()
    return rows[chosen]


def _flat(patches: Floats) -> Floats:
    return patches.reshape(-1, patches.shape[-1])
