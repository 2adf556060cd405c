"""The strongest simple peer: pooled taps at 256 and 384 px, and a logistic regression.

Mean, maximum and minimum of every tap over its positions, an image and its mirror image to learn
from, penalty by cross-validation, Platt's sigmoid and the threshold on out-of-fold scores. It has
the detector's own backbone, solver and calibration, so that only the method differs.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import Example, logistic
from lfvpipe.detector.backbone.network import network
from lfvpipe.detector.calibration import Calibration, calibrate
from lfvpipe.detector.features import mirror
from lfvpipe.detector.images import open_rgb, resize
from tests.benchmarks.detector.figures import auroc

SIDES = (256, 384)
FOLDS = 5


@dataclass(frozen=True)
class Pooled:
    """A trained peer, and what its training images say of it out of fold."""

    classifier: logistic.LinearClassifier
    calibration: Calibration
    reported: Mapping[str, float]

    def probability(self, path: Path) -> float:
        """Return the calibrated probability of an image being anomalous."""
        return float(self.calibration.probability(self.classifier.logits(rows(path, 1)))[0])


def rows(path: Path, views: int) -> NDArray[np.float32]:
    """Return pooled taps, (views, features)."""
    image = open_rgb(path)
    sized = [resize(image, side) for side in SIDES]
    return np.stack(
        [
            np.concatenate([_pool(t) for p in sized for t in network().taps(mirror(p, view))])
            for view in range(views)
        ]
    )


def _pool(tap: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = tap.reshape(len(tap), -1)
    return np.concatenate([flat.mean(1), flat.max(1), flat.min(1)])


def train(examples: Sequence[Example], seed: int) -> Pooled:
    """Fit the peer on labelled examples."""
    with ThreadPoolExecutor(2) as pool_:
        seen = np.concatenate(list(pool_.map(lambda each: rows(each.path, 2), examples)))
    labels = np.array([each.label == "anomaly" for each in examples])
    folds = np.zeros(len(labels), np.int64)
    random = np.random.default_rng(seed)
    for label in (False, True):
        members = random.permutation(np.flatnonzero(labels == label))
        folds[members] = np.arange(len(members)) % FOLDS
    truth = np.repeat(labels, 2)
    weights = 0.25 / np.where(truth, labels.mean(), 1 - labels.mean())
    fitted = logistic.fit_classifier(seen, truth, np.repeat(folds, 2), weights)
    scores = fitted.out_of_fold[::2]
    calibration = calibrate(scores, labels, np.ones(len(labels)), None)
    alarms = calibration.probability(scores[~labels]) >= 0.5
    reported = {"auroc": auroc(scores, labels), "false_positives": float(alarms.mean())}
    return Pooled(fitted.classifier, calibration, reported)
