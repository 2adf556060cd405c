"""Pixel metrics of a segmentation model, by anomaly type."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfvpipe.images import read_mask
from lfvpipe.service.jobs.training.metrics import f1, ratio

_Mask = NDArray[np.bool_]


class PixelCounts:
    """Counts, over all test images, the pixels that truth and prediction give each type."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int, int]] = {}  # both, predicted, true
        self._colours: dict[str, str] = {}

    def add(self, predicted: bytes | None, truth: Path | None, classes: Mapping[str, str]) -> None:
        """Count one image.

        Args:
            predicted: The predicted mask as a PNG file, or None for nothing found.
            truth: The true mask's file, or None for a normal image.
            classes: Anomaly type to its colour, ``#RRGGBB``.
        """
        self._colours.update(classes)
        found = None if predicted is None else _pixels(predicted)
        true = None if truth is None else _pixels(truth)
        for name, colour in self._colours.items():
            ours, theirs = _where(found, colour), _where(true, classes.get(name))
            both = _both(ours, theirs)
            known = self._counts.get(name, (0, 0, 0))
            self._counts[name] = (known[0] + both, known[1] + _size(ours), known[2] + _size(theirs))

    def results(self) -> Iterator[Mapping[str, Any]]:
        """Yield the PixelAnomalyClassMetrics of each type."""
        for name, (both, predicted, true) in sorted(self._counts.items()):
            precision, recall = ratio(both, predicted), ratio(both, true)
            yield {
                "Precision": precision,
                "Recall": recall,
                "F1Score": f1(precision, recall),
                "AIOU": ratio(both, predicted + true - both),
                "ClassName": name,
            }


def _pixels(source: bytes | Path) -> NDArray[np.uint8]:
    """Return the colours (h, w, 3), white where they are transparent."""
    return np.asarray(read_mask(source))


def _where(pixels: NDArray[np.uint8] | None, colour: str | None) -> _Mask | None:
    if pixels is None or colour is None:
        return None
    wanted = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8)
    marked: _Mask = (pixels == wanted).all(axis=2)
    return marked


def _size(mask: _Mask | None) -> int:
    return 0 if mask is None else int(mask.sum())


def _both(one: _Mask | None, other: _Mask | None) -> int:
    if one is None or other is None or one.shape != other.shape:
        return 0
    return int((one & other).sum())
