"""Images to numbers: the backbone's maps of an image on one scale, pooled and by position."""

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.alignment import STILL, Alignment, Motion
from lfvpipe.detector.arrays import Floats, Pixels
from lfvpipe.detector.backbone.graph import CHANNELS
from lfvpipe.detector.backbone.network import network
from lfvpipe.detector.images import resize

if TYPE_CHECKING:
    from PIL import Image

POOLS = 3  # mean, maximum and minimum
CELL_TAPS = 3  # of the backbone's maps; the deepest sees too much around a cell
DEEPER_CHANNELS = sum(CHANNELS[1:CELL_TAPS])  # of cells, behind those of the finest map
CELL_CHANNELS = POOLS * CHANNELS[0] + DEEPER_CHANNELS


@dataclass(frozen=True)
class View:
    """One image on one scale, as the backbone sees it.

    Attributes:
        maps: Of its taps, float32 (C, h, w).
        pixels: That were looked at, uint8 (H, W, 3).
        motion: That was undone before.
    """

    maps: tuple[Floats, ...]
    pixels: Pixels
    motion: Motion = STILL

    def unalign(self, values: Floats) -> Floats:
        """Return a map (h, w) of what was seen as the image itself lies."""
        if self.motion is STILL:
            return values
        height, width = self.maps[0].shape[1:]  # of the map of stride 4
        return self.motion.redo(values, (4 * height, 4 * width))

    def pool(self) -> Floats:
        """Return the mean, maximum and minimum of each channel over its positions, map by map."""
        flat = [tap.reshape(len(tap), -1) for tap in self.maps]
        parts = [part for tap in flat for part in (tap.mean(1), tap.max(1), tap.min(1))]
        return np.concatenate(parts)

    def grid_means(self) -> Floats:
        """Return each channel's means over a coarse grid that divides the image, map by map."""
        return np.concatenate([_grid_means(tap) for tap in self.maps])

    @cached_property
    def cells(self) -> Floats:
        """A descriptor per position of the stride-8 map, (h, w, channels).

        Mean, maximum and minimum of the stride-4 map's 2 by 2, the stride-8 map, the stride-16 map
        repeated; no smoothing, so that small defects stay sharp.
        """
        finest, middle, *coarser = self.maps[:CELL_TAPS]
        height, width = middle.shape[1:]
        quads = [finest[:, y : 2 * height : 2, x : 2 * width : 2] for y in (0, 1) for x in (0, 1)]
        rows, columns = np.arange(height), np.arange(width)
        spread = [
            tap[:, rows * tap.shape[1] // height][:, :, columns * tap.shape[2] // width]
            for tap in coarser
        ]
        mean = (quads[0] + quads[1] + quads[2] + quads[3]) * np.float32(0.25)
        highest, lowest = reduce(np.maximum, quads), reduce(np.minimum, quads)
        return np.concatenate([mean, highest, lowest, middle, *spread]).transpose(1, 2, 0)

    @cached_property
    def patches(self) -> Floats:
        """The deepest map by area, (h, w, channels); of a large one, means of about 16² areas."""
        deepest = self.maps[-1]
        height, width = deepest.shape[1:]
        part = min(1.0, tuning.PATCHES_A_SIDE / (height * width) ** 0.5)
        down, right = (_areas(length, max(1, round(length * part))) for length in (height, width))
        return np.asarray((down @ deepest @ right.T).transpose(1, 2, 0), np.float32)


def _areas(length: int, count: int) -> Floats:
    """Return how much of each of `length` positions lies in each of `count` areas, (count, length).

    Each row's sum is 1.
    """
    edges = np.linspace(0, length, count + 1)
    starts, ends = np.maximum(edges[:-1, None], np.arange(length)), np.arange(1, length + 1)
    inside = np.maximum(np.minimum(edges[1:, None], ends) - starts, 0)
    areas: Floats = (inside * (count / length)).astype(np.float32)
    return areas


def deeper_channels(cells: Floats) -> Floats:
    """Return the stride-8 and stride-16 maps' part of cells (..., channels)."""
    return cells[..., POOLS * CHANNELS[0] :]


def _grid_means(tap: Floats) -> Floats:
    """Return the means of a map (c, h, w) over a grid, channel by channel: (c · areas,)."""
    rows, columns = (
        np.linspace(0, length, tuning.GRID_SIDE + 1).astype(int)[:-1] for length in tap.shape[1:]
    )
    sums = np.add.reduceat(np.add.reduceat(tap, rows, 1), columns, 2)
    areas = np.outer(np.diff([*rows, tap.shape[1]]), np.diff([*columns, tap.shape[2]]))
    means: Floats = (sums / areas).astype(np.float32)
    return means.ravel()


def look(
    image: "Image.Image",
    side: int,
    taps: int = len(CHANNELS),
    alignment: Alignment | None = None,
) -> View:
    """Return what the backbone sees in an RGB `image`.

    Args:
        image: Upright RGB.
        side: Of the square, px, whose area it is brought to.
        taps: How many maps are wanted; CELL_TAPS do for the cells, and take less time.
        alignment: Where the product lies in most images; it is moved there.
    """
    pixels, motion = prepare(image, side, alignment)
    return replace(extract(pixels, taps), motion=motion)


def prepare(image: "Image.Image", side: int, alignment: Alignment | None) -> tuple[Pixels, Motion]:
    """Return an RGB image as it is looked at on a scale, and the motion that was undone."""
    pixels = resize(image, side)
    if alignment is None:
        return pixels, STILL
    motion = alignment.motion(pixels)
    return (pixels if motion is STILL else motion.undo(pixels)), motion


def extract(pixels: Pixels, taps: int) -> View:
    """Return what the backbone sees in `pixels`, uint8 (H, W, 3), each a multiple of 16."""
    return View(tuple(network(taps).taps(pixels)), pixels)


def mirror(pixels: Pixels, view: int) -> Pixels:
    """Return the pixels of a view: flipped left-right (bit 0) and top-bottom (bit 1)."""
    return pixels[:: -1 if view & 2 else 1, :: -1 if view & 1 else 1]
