"""Figures of heat maps against masks, all at the masks' own resolution.

A heat map is brought there by linear interpolation, whatever grid a method has. Anomalies without a
mask, and those whose mask marks nothing, are left out and counted; normal images are taken in.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lfvpipe.detector import Example
from tests.benchmarks.detector.figures import Truth, auroc

Heat = NDArray[np.float32]
FALSE_POSITIVES = 0.3  # the share of normal pixels up to which AUPRO integrates
TOLERANCE = 0.02  # of an image's longer side, by which masks are dilated in the pointing game


@dataclass(frozen=True)
class Seen:
    """One image's heat map and its truth, both (h, w)."""

    heat: Heat
    truth: Truth


def map_figures(heats: Sequence[Heat], tested: Sequence[Example]) -> dict[str, float]:
    """Return how well heat maps say where anomalies are; nothing where there are no masks."""
    masked = {each.path: mask_truth(each.mask) for each in tested if each.mask}
    masked = {path: truth for path, truth in masked.items() if truth.any()}
    if not masked:
        return {}
    seen = []
    for heat, each in zip(heats, tested, strict=True):
        if each.path in masked:
            seen.append(Seen(at_size(heat, masked[each.path].shape), masked[each.path]))
        elif each.label == "normal":
            with Image.open(each.path) as image:
                nothing = np.zeros((image.height, image.width), np.bool_)
            seen.append(Seen(at_size(heat, nothing.shape), nothing))
    anomalies = [each for each in seen if each.truth.any()]
    hits = [pointing(each) for each in anomalies]
    return {
        "marked": len(anomalies),
        "unmarked": sum(each.label == "anomaly" for each in tested) - len(anomalies),
        "pixel_auroc": pixel_auroc(seen),
        "pixel_auroc_within": float(np.mean([pixel_auroc([each]) for each in anomalies])),
        "aupro": aupro(seen),
        "pointing": float(np.mean(hits)),
        "pointing_chance": float(np.mean([dilate(each.truth).mean() for each in anomalies])),
    }


def mask_truth(mask: Path) -> Truth:
    """Return which pixels a mask marks: those that are not black."""
    with Image.open(mask) as image:
        marked: Truth = np.asarray(np.asarray(image.convert("RGBA"))[..., :3].any(-1))
    return marked


def at_size(heat: Heat, shape: tuple[int, ...]) -> Heat:
    """Bring a map to `shape` (h, w) by linear interpolation."""
    image = Image.fromarray(np.asarray(heat, np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def pixel_auroc(seen: Sequence[Seen]) -> float:
    """Return the AUROC of all pixels of these images together."""
    heat = np.concatenate([each.heat.ravel() for each in seen])
    return auroc(heat, np.concatenate([each.truth.ravel() for each in seen]))


def aupro(seen: Sequence[Seen]) -> float:
    """Return the normalised area under the per-region overlap up to 30 % false positives.

    1 at best, .15 by chance. One threshold counts for all images, normal ones included, and every
    region as much as any other. It is exact: a pixel of a region is found from the share of normal
    pixels on that are at least as hot, and so adds what is left of the 30 % from there.

    Source: Bergmann et al., "The MVTec anomaly detection dataset" (IJCV 2021).
    """
    normal = np.sort(np.concatenate([each.heat[~each.truth] for each in seen]))
    overlaps = []
    for each in seen:
        for region in regions(each.truth):
            values = each.heat[region]
            first, last = (
                1 - np.searchsorted(normal, values, side) / len(normal)
                for side in ("right", "left")
            )
            overlaps.append(float(_area_left(first, last).mean()))
    return float(np.mean(overlaps)) / FALSE_POSITIVES


def _area_left(first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the area up to the limit under curves that rise from 0 at `first` to 1 at `last`."""
    limit = FALSE_POSITIVES
    ramp = np.clip(limit - first, 0, None) ** 2 / (2 * np.maximum(last - first, 1e-12))
    area: NDArray[np.float64] = np.where(last <= limit, limit - (first + last) / 2, ramp)
    return area


def regions(truth: Truth) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the pixels (rows, columns) of each connected region; those at a corner touch, too.

    Horizontal runs of pixels are joined where they touch a run of the row above (union-find).
    """
    parent: list[int] = []
    runs: list[tuple[int, int, int]] = []  # (row, first column, last column)
    above: list[int] = []

    def root(run: int) -> int:
        while parent[run] != run:
            run = parent[run]
        return run

    for row in np.flatnonzero(truth.any(1)):
        steps = np.flatnonzero(np.diff(truth[row].astype(np.int8), prepend=0, append=0))
        here = []
        for first, end in zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True):
            run = len(runs)
            runs.append((int(row), first, end - 1))
            parent.append(run)
            here.append(run)
            for other in above:
                upper, left, right = runs[other]
                if upper == row - 1 and left <= end and right >= first - 1:
                    parent[root(other)] = root(run)
        above = here
    grouped: dict[int, list[tuple[int, int, int]]] = {}
    for run, found in enumerate(runs):
        grouped.setdefault(root(run), []).append(found)
    return [
        (
            np.concatenate([np.full(last - first + 1, row) for row, first, last in found]),
            np.concatenate([np.arange(first, last + 1) for _, first, last in found]),
        )
        for found in grouped.values()
    ]


def pointing(seen: Seen) -> float:
    """Return whether the peak lies in the mask or close by; of several peaks, the share that does.

    "Close by" is within 2 % of the longer side of the image: 12 px of 620.

    Source: Zhang et al., "Top-down neural attention by excitation backprop" (IJCV 2018), who allow
    15 px.
    """
    return float(dilate(seen.truth)[seen.heat == seen.heat.max()].mean())


def dilate(truth: Truth) -> Truth:
    """Return a mask with what lies within the tolerance of it, by squares."""
    reach = round(TOLERANCE * max(truth.shape))
    for axis in (0, 1):
        wide = np.pad(truth, [(reach, reach) if each == axis else (0, 0) for each in (0, 1)])
        window = np.lib.stride_tricks.sliding_window_view(wide, 2 * reach + 1, axis)
        truth = np.asarray(window.any(-1))
    return truth


def overlap(drawn_masks: Sequence[bytes | None], tested: Sequence[Example]) -> float:
    """Return intersection over union of drawn masks and true ones, pixels of all images."""
    both = either = 0
    for mask_png, example in zip(drawn_masks, tested, strict=True):
        if mask_png is None or example.mask is None:
            continue
        drawn = (np.asarray(Image.open(io.BytesIO(mask_png)).convert("RGB")) != 255).any(-1)
        truth = mask_truth(example.mask)
        both, either = both + int((drawn & truth).sum()), either + int((drawn | truth).sum())
    return both / either if either else float("nan")
