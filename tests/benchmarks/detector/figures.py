"""Figures that the detector does not need itself: of rankings, of heat maps and of masks."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lfvpipe.detector import Verdict
from lfvpipe.detector.calibration import auroc, f1

Truth = NDArray[np.bool_]
Heat = NDArray[np.float32]
FALSE_POSITIVES = 0.3  # the share of normal pixels up to which AUPRO integrates


def image_figures(
    scores: NDArray[np.float64],
    labels: Truth,
    called: Truth,
    probabilities: NDArray[np.float64] | None,
) -> dict[str, float]:
    """Return how well images are ranked and called; the Brier score where probabilities are."""
    found = {
        "auroc": auroc(scores, labels),
        "ap": average_precision(scores, labels),
        "f1": f1(called, labels),
        "false_positives": float(called[~labels].mean()),
        "recall": float(called[labels].mean()),
    }
    if probabilities is not None:
        found["brier"] = float(np.mean((probabilities - labels) ** 2))
    return found


def average_precision(scores: NDArray[np.float64], labels: Truth) -> float:
    """Return the mean precision at each anomaly's rank; ties are ranked worst first."""
    truth = labels[np.lexsort((labels, -scores))]
    precision = np.cumsum(truth) / np.arange(1, len(truth) + 1)
    return float(precision[truth].mean())


def truth_at(mask: Path | None, shape: tuple[int, ...]) -> Truth:
    """Return which cells of a grid (h, w) a mask touches; none without a mask."""
    if mask is None:
        return np.zeros(shape, np.bool_)
    grey = Image.open(mask).convert("RGBA").convert("L").point(lambda level: 255 if level else 0)
    cells = np.asarray(grey.resize((shape[1], shape[0]), Image.Resampling.BOX))
    touched: Truth = cells > 10
    return touched


def pixel_auroc(pairs: Sequence[tuple[Heat, Truth]]) -> float:
    """Return the AUROC of anomalous images' heat maps by position, mean over the images."""
    partly = [(heat, truth) for heat, truth in pairs if truth.any() and not truth.all()]
    areas = [auroc(heat.ravel().astype(np.float64), truth.ravel()) for heat, truth in partly]
    return float(np.mean(areas)) if areas else float("nan")


def aupro(pairs: Sequence[tuple[Heat, Truth]]) -> float:
    """Return the area under the per-region overlap up to 30 % false positives, 0 to 1.

    Source: Bergmann et al., "The MVTec anomaly detection dataset" (IJCV 2021); regions that touch
    at a side are one; one threshold for all images, normal ones included.
    """
    normal = np.sort(np.concatenate([heat[~truth] for heat, truth in pairs]))
    found = [heat[region] for heat, truth in pairs for region in regions(truth)]
    rates = np.linspace(0, FALSE_POSITIVES, 61)
    overlaps = []
    for rate in rates:
        level = normal[min(len(normal) - 1, int((1 - rate) * len(normal)))]
        overlaps.append(float(np.mean([(values > level).mean() for values in found])))
    return float(np.trapezoid(overlaps, rates) / FALSE_POSITIVES)


def regions(truth: Truth) -> list[Truth]:
    """Return the connected regions of a small mask."""
    left, result = truth.copy(), []
    while left.any():
        region = np.zeros_like(left)
        region[np.unravel_index(int(left.argmax()), left.shape)] = True
        while (grown := _grow(region) & left).sum() > region.sum():
            region = grown
        result.append(region)
        left &= ~region
    return result


def _grow(region: Truth) -> Truth:
    """Return a region with what touches it at a side."""
    wide = np.pad(region, 1)
    return wide[1:-1, 1:-1] | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]


def overlap(verdicts: Sequence[Verdict], masks: Sequence[Path | None]) -> float:
    """Return intersection over union of the drawn masks and the true ones, pixels of all images."""
    both = either = 0
    for verdict, mask in zip(verdicts, masks, strict=True):
        if verdict.mask_png is None or mask is None:
            continue
        image = Image.open(io.BytesIO(verdict.mask_png)).convert("RGB")
        drawn = (np.asarray(image) != 255).any(-1)
        truth = truth_at(mask, drawn.shape)
        both, either = both + int((drawn & truth).sum()), either + int((drawn | truth).sum())
    return both / either if either else float("nan")
