"""What looks like nothing seen before: each patch against the most similar one of normal images.

For products that lie anywhere, whose parts are more unlike each other than one Gaussian can say.
Source: Roth et al., "Towards total recall in industrial anomaly detection" (CVPR 2022), on the
backbone's deepest map, whose patches see much of a product. The bank holds a coreset of the normal
images' patches, chosen fold by fold: so an image is compared with the other folds' alone, and a new
one with what every fold left out would leave, on average, which is the same measure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.local import ROUNDING, novelty_score
from lfvpipe.detector.logistic import Doubles, Integers
from lfvpipe.executor import in_order

Floats = NDArray[np.float32]
ReadPatches = Callable[[int], Floats]
EACH = 200  # patches of a fold


@dataclass(frozen=True)
class Bank:
    """Patches of normal images.

    Attributes:
        patches: (folds, k, c), as many of each fold.
        usual: The squared distance of a normal patch from the most similar one.
    """

    patches: Floats
    usual: float

    def score(self, patches: Floats) -> tuple[float, Floats]:
        """Return an image's score, and the distance of each of its `patches` (h, w, c): (h, w).

        Distances are squared, usual ones about 1. Both are means over the bank without each fold.
        """
        nearest = self.nearest(patches) / np.float32(self.usual)
        apart = [np.delete(nearest, fold, -1).min(-1) for fold in range(nearest.shape[-1])]
        return float(np.mean([novelty_score(each.ravel()) for each in apart])), np.mean(apart, 0)

    def nearest(self, patches: Floats) -> Floats:
        """Return the squared distance of `patches` (..., c) from the most similar: (..., folds)."""
        rows, known = _rows(patches), _rows(self.patches)
        apart = np.einsum("kc,kc->k", known, known) - 2 * (rows @ known.T)
        least = apart.reshape(len(rows), *self.patches.shape[:2]).min(-1)
        squared = np.maximum(least + np.einsum("nc,nc->n", rows, rows)[:, None], 0)
        return np.asarray(squared.reshape(*patches.shape[:-1], -1), np.float32)


def fit(
    read: ReadPatches,
    labels: NDArray[np.bool_],
    folds: Integers,
    tick: Callable[[int, int], None],
    threads: int = 1,
) -> tuple[Bank, Doubles]:
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
    chosen = [*in_order(partial(_chosen, read), members, threads)]
    bank = Bank(np.stack([each[: min(map(len, chosen))] for each in chosen]), 1.0)
    distances = list[Floats]()
    compared = in_order(lambda index: bank.nearest(_rows(read(index))), range(len(labels)), threads)
    for fold, nearest in zip(folds.tolist(), compared, strict=True):
        distances.append(nearest[:, [owner != fold for owner in owners]].min(-1))
        tick(len(distances), len(labels))
    bank = replace(bank, usual=_usual(bank, distances, labels))
    return bank, np.array([novelty_score(each / np.float32(bank.usual)) for each in distances])


def _usual(bank: Bank, distances: Sequence[Floats], labels: NDArray[np.bool_]) -> float:
    """Return the mean squared distance of normal images' patches, no less than rounding makes."""
    normal = [each for each, label in zip(distances, labels, strict=True) if not label]
    mean = float(np.mean([each.mean() for each in normal]))
    square = float(np.mean(bank.patches**2)) * bank.patches.shape[-1]
    return float(max(mean, ROUNDING**2 * square, 1e-12))


def _chosen(read: ReadPatches, images: Sequence[int]) -> Floats:
    """Return patches of a fold's images, each the farthest from those before it.

    Greedy k-centre: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985).
    """
    rows = np.concatenate([_rows(read(index)) for index in images])
    squares = np.einsum("nc,nc->n", rows, rows)
    apart = np.full(len(rows), np.inf, np.float32)
    chosen = np.empty(min(len(rows), EACH), np.int64)
    chosen[0] = np.argmin(((rows - rows.mean(0)) ** 2).sum(1))
    for at in range(1, len(chosen)):
        last = chosen[at - 1]
        apart = np.minimum(apart, squares - 2 * (rows @ rows[last]) + squares[last])
        chosen[at] = apart.argmax()
    return rows[chosen]


def _rows(patches: Floats) -> Floats:
    return patches.reshape(-1, patches.shape[-1])
