"""Images to numbers: pooled taps of the backbone at several scales, and its maps for the where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.backbone import CHANNELS
from lfvpipe.detector.network import Network
from lfvpipe.detector.pictures import Pixels, resized

if TYPE_CHECKING:
    from PIL import Image

Floats = NDArray[np.float32]
POOLS = 3
WIDTH = POOLS * sum(CHANNELS)


@dataclass(frozen=True)
class View:
    """One image, seen by the backbone.

    Attributes:
        taps: Per scale, the maps of every tap, float32 (C, h, w).
    """

    taps: tuple[tuple[Floats, ...], ...]

    def pooled(self) -> Floats:
        """Return mean, maximum and minimum of each channel and scale, (scales · WIDTH,)."""
        return np.concatenate([pool(tap) for taps in self.taps for tap in taps])


def pool(tap: Floats) -> Floats:
    """Return the mean, maximum and minimum over the positions of (C, h, w): (3 · C,)."""
    flat = tap.reshape(len(tap), -1)
    return np.concatenate([flat.mean(1), flat.max(1), flat.min(1)])


def look(network: Network, image: "Image.Image", scales: Sequence[int], mirror: int = 0) -> View:
    """Return what the backbone sees in an RGB `image`; `mirror` 0 to 3 chooses a mirrored view."""
    pixels = [mirrored(resized(image, side), mirror) for side in scales]
    return View(tuple(tuple(network.taps(each)) for each in pixels))


def mirrored(pixels: Pixels, mirror: int) -> Pixels:
    """Flip left-right (bit 0) and top-bottom (bit 1)."""
    return pixels[:: -1 if mirror & 2 else 1, :: -1 if mirror & 1 else 1]


def positions(taps: Sequence[Floats]) -> Floats:
    """Return one descriptor per position of the stride-8 tap: (h, w, sum of channels).

    Finer taps are averaged, coarser ones repeated; no smoothing, so that small defects stay sharp.
    """
    height, width = taps[1].shape[1:]
    maps = [_fit(tap, height, width) for tap in taps]
    return np.ascontiguousarray(np.concatenate(maps).transpose(1, 2, 0))


def _fit(tap: Floats, height: int, width: int) -> Floats:
    factor = tap.shape[1] / height
    if factor > 1:
        step = round(factor)
        cut = tap[:, : height * step, : width * step]
        fine: Floats = cut.reshape(len(tap), height, step, width, step).mean((2, 4))
        return fine
    rows = np.arange(height) * tap.shape[1] // height
    columns = np.arange(width) * tap.shape[2] // width
    return tap[:, rows][:, :, columns]
