"""The strongest simple peer: pooled taps at 256 and 384 px, and a logistic regression.

Mean, maximum and minimum of every tap over its positions, an image and its mirror image to learn
from, penalty by cross-validation, Platt's sigmoid and the threshold on out-of-fold scores. Only the
backbone is the detector's own, so that a change of anything else there leaves this yardstick alone.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lfvpipe.detector import Example
from lfvpipe.detector.backbone.network import network
from lfvpipe.images import read_image
from tests.benchmarks.detector.figures import Doubles, Truth, auroc
from tests.benchmarks.detector.peers import held_out

SIDES = (256, 384)
FOLDS = 5
PENALTIES = tuple(10.0**exponent for exponent in np.arange(-3, 3.1, 0.75))  # C, inverse strengths
STEPS = 30  # of Newton's method
PRECISION = 1e-9


@dataclass(frozen=True)
class Pooled:
    """A trained peer: a linear classifier of pooled features, and its calibration.

    Attributes:
        weights: Of the features.
        bias: Added to their sum; the logit.
        sigmoid: Slope and offset of the log-odds in the logit.
        threshold: The logit from which on an image is called anomalous.
        reported: What the training images say of it, out of fold.
    """

    weights: Doubles
    bias: float
    sigmoid: tuple[float, float]
    threshold: float
    reported: Mapping[str, float]

    def logit(self, path: Path) -> float:
        """Return how anomalous an image is."""
        return float(rows(path, [1])[0] @ self.weights) + self.bias

    def probability(self, logit: float) -> float:
        """Return the calibrated probability of an image being anomalous."""
        slope, offset = self.sigmoid
        return 1 / (1 + float(np.exp(-np.clip(slope * logit + offset, -50, 50))))


def rows(path: Path, directions: Sequence[int]) -> NDArray[np.float32]:
    """Return pooled taps (views, features); a view is the image read in a direction, 1 or -1."""
    image = read_image(path).image.convert("RGB")
    sized = [resize(image, side) for side in SIDES]
    found = []
    for direction in directions:
        taps = [tap for pixels in sized for tap in network().taps(pixels[:, ::direction])]
        found.append(np.concatenate([_pool(tap) for tap in taps]))
    return np.stack(found)


def resize(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Return the pixels (h, w, 3) at an area of about side², each side a multiple of 16."""
    scale = side / (image.width * image.height) ** 0.5
    width, height = (
        int(np.clip(round(length * scale / 16) * 16, 64, 4 * side)) for length in image.size
    )
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small)


def _pool(tap: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = tap.reshape(len(tap), -1)
    return np.concatenate([flat.mean(1), flat.max(1), flat.min(1)])


def train(examples: Sequence[Example], seed: int) -> Pooled:
    """Fit the peer on labelled examples."""
    with ThreadPoolExecutor(2) as pool_:
        seen = np.concatenate(list(pool_.map(lambda each: rows(each.path, [1, -1]), examples)))
    labels = np.array([each.label == "anomaly" for each in examples])
    folds = np.zeros(len(labels), np.int64)
    random = np.random.default_rng(seed)
    for label in (False, True):
        members = random.permutation(np.flatnonzero(labels == label))
        folds[members] = np.arange(len(members)) % FOLDS
    weights, bias, logits = fit(seen, np.repeat(labels, 2), np.repeat(folds, 2))
    scores = logits[::2]
    threshold = held_out.threshold(scores, labels)
    alarms = float((scores[~labels] >= threshold).mean())
    reported = {"auroc": auroc(scores, labels), "false_positives": alarms}
    return Pooled(weights, bias, held_out.sigmoid(scores, labels), threshold, reported)


def fit(
    seen: NDArray[np.float32], truth: Truth, folds: NDArray[np.int64]
) -> tuple[Doubles, float, Doubles]:
    """Fit a logistic regression on rows; return its weights, its bias and out-of-fold logits.

    The classes weigh the same. The penalty is the one of the least out-of-fold loss. It works in
    the span of the rows, of which there are fewer than features (the dual form).
    """
    mean, spread = seen.mean(0, dtype=np.float64), seen.std(0, dtype=np.float64)
    spread = np.where(spread > 1e-6 * (np.abs(mean) + 1e-6), spread, np.inf)
    scale = spread * np.sqrt(seen.shape[1])
    standard = (seen - mean) / scale
    values, vectors = np.linalg.eigh(standard @ standard.T)
    keep = values > max(values[-1], 1e-12) * 1e-9
    reduced = vectors[:, keep] * np.sqrt(values[keep])
    balance = 0.25 / np.where(truth, truth.mean(), 1 - truth.mean())
    logits = np.zeros((len(PENALTIES), len(truth)))
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        start = np.zeros(reduced.shape[1] + 1)
        for at, penalty in enumerate(PENALTIES):
            start = _newton(reduced[inside], truth[inside], balance[inside], penalty, start)
            logits[at, outside] = reduced[outside] @ start[:-1] + start[-1]
    losses = (np.logaddexp(0, logits) - truth * logits) @ balance
    best = int(np.argmin(losses))
    start = np.zeros(reduced.shape[1] + 1)
    solution = _newton(reduced, truth, balance, PENALTIES[best], start)
    weights = standard.T @ (vectors[:, keep] @ (solution[:-1] / np.sqrt(values[keep]))) / scale
    return weights, float(solution[-1] - mean @ weights), logits[best]


def _newton(
    reduced: Doubles, truth: Truth, balance: Doubles, penalty: float, start: Doubles
) -> Doubles:
    """Return coefficients, bias last, of the least weighted log-loss + |w|²/2C.

    Source: iteratively reweighted least squares with step halving; Hastie, Tibshirani & Friedman,
    "The Elements of Statistical Learning", 4.4.1.
    """
    design = np.column_stack([reduced, np.ones(len(reduced))])
    ridge = np.append(np.full(reduced.shape[1], 1 / penalty), 1e-8)

    def loss(at: Doubles) -> float:
        logit = design @ at
        return float(balance @ (np.logaddexp(0, logit) - truth * logit) + (ridge * at) @ at / 2)

    solution, value = start, loss(start)
    for _ in range(STEPS):
        odds = np.exp(-np.logaddexp(0, -(design @ solution)))
        gradient = design.T @ (balance * (odds - truth)) + ridge * solution
        curved = design.T @ (design * (balance * odds * (1 - odds))[:, None]) + np.diag(ridge)
        step, length = np.linalg.solve(curved, gradient), 1.0
        while length > 1e-4 and loss(solution - length * step) > value:
            length /= 2
        better = loss(solution - length * step)
        if value - better < PRECISION * (1 + abs(value)):
            break
        solution, value = solution - length * step, better
    return np.asarray(solution, np.float64)
