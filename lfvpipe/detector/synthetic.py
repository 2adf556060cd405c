"""Synthetic defects, drawn onto normal images: to learn from where few anomalies are labelled.

Strokes, spots, stains and patches from elsewhere in the image, of random size and strength. What
they look like matters less than that their cells are known, and that everything around them is
normal. Sources: Li et al., "CutPaste: self-supervised learning for anomaly detection and
localization" (CVPR 2021), for the patches; Zavrtanik, Kristan & Skočaj, "DRÆM: a discriminatively
trained reconstruction embedding for surface anomaly detection" (ICCV 2021), for stains shaped by
noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Bools, Floats, Pixels
from lfvpipe.detector.backbone.graph import CHANNELS
from lfvpipe.detector.features import extract
from lfvpipe.detector.images import reduce
from lfvpipe.detector.logistic import expit

Random = np.random.Generator
OVERSAMPLING = 4  # times that scratches are drawn larger, to be smooth


@dataclass(frozen=True)
class Spot:
    """Where a defect is drawn.

    Attributes:
        rows: Of the image.
        columns: Of the image.
        middle: (y, x) from the first of these rows and columns, px.
        extent: Of the defect, px.
        unit: px of the image that one px of a drawing of 512 px is.
    """

    rows: slice
    columns: slice
    middle: tuple[float, float]
    extent: float
    unit: float

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the rows and columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def offsets(self) -> tuple[Floats, Floats]:
        """Return how far each pixel (h, w) lies from the middle, down and right."""
        y, x = np.ogrid[: self.shape[0], : self.shape[1]]
        down, right = np.broadcast_arrays(y - self.middle[0], x - self.middle[1])
        return down.astype(np.float32), right.astype(np.float32)


@dataclass(frozen=True)
class Defect:
    """Where a defect was drawn, and how far it covers each pixel there, float32 (h, w), 0 to 1."""

    spot: Spot
    cover: Floats


def synthetic_cells(pixels: Pixels, random: Random) -> list[Floats]:
    """Return the cells in each of some defects drawn onto a normal image.

    Args:
        pixels: The image as it is looked at (h, w, 3), each a multiple of 16: what is drawn before
            an image is made smaller shows how it was made smaller.
        random: Decides what is drawn.

    Returns:
        (n, c) of each defect that is seen at all.
    """
    drawn, defects = add_defects(pixels, random)
    grid = extract(drawn, len(CHANNELS)).cells  # a network for fewer taps is another in memory
    found = [grid[_is_covered(each, pixels.shape, grid.shape)] for each in defects]
    most = tuning.DEFECT_MAX_CELLS
    return [each[np.sort(random.permutation(len(each))[:most])] for each in found if len(each)]


def add_defects(pixels: Pixels, random: Random) -> tuple[Pixels, list[Defect]]:
    """Return a copy of `pixels` (h, w, 3) with defects, and what they are."""
    result, drawn = pixels.copy(), list[Defect]()
    for _ in range(tuning.DEFECTS_AN_IMAGE):
        spot = _random_spot(random, (pixels.shape[0], pixels.shape[1]))
        shape, fill = KINDS[int(random.integers(len(KINDS)))]
        alpha = shape(random, spot) * np.float32(random.uniform(0.5, 1))
        old = result[spot.rows, spot.columns].astype(np.float32)
        change = fill(random, spot, pixels) - old
        changed = np.rint(old + change * alpha[..., None])
        result[spot.rows, spot.columns] = np.clip(changed, 0, 255).astype(np.uint8)
        drawn.append(Defect(spot, alpha * (np.abs(change).max(-1) > tuning.DEFECT_VISIBLE)))
    return result, drawn


def _is_covered(defect: Defect, size: tuple[int, ...], grid: tuple[int, ...]) -> Bools:
    """Say which cells of a grid (h, w) over an image of that size a defect covers."""
    cover = np.zeros(size[:2], np.float32)
    cover[defect.spot.rows, defect.spot.columns] = defect.cover
    share = reduce(cover, (grid[0], grid[1]))
    return np.asarray((share > 0) & (share >= min(tuning.DEFECT_LEAST_COVERED, share.max())))


def _random_spot(random: Random, shape: tuple[int, int]) -> Spot:
    """Return a place for a defect in an image (h, w), with room around it for ragged edges."""
    side = (shape[0] * shape[1]) ** 0.5
    extent = side * _between(random, tuning.DEFECT_EXTENT)
    margin = tuning.DEFECT_MARGIN
    y, x = (random.uniform(margin, 1 - margin) * length for length in shape)
    reach = int(np.ceil(1.6 * extent)) + 4
    rows = slice(max(0, int(y) - reach), min(shape[0], int(y) + reach))
    columns = slice(max(0, int(x) - reach), min(shape[1], int(x) + reach))
    unit = side / tuning.DEFECT_DRAWING_SIDE
    return Spot(rows, columns, (y - rows.start, x - columns.start), extent, unit)


def _between(random: Random, bounds: tuple[float, float]) -> float:
    """Return a number between `bounds` whose logarithm is uniform."""
    return float(np.exp(random.uniform(*np.log(bounds))))


# Shapes: how far a defect covers each pixel of its spot, float32 (h, w), 0 to 1.


def scratch(random: Random, spot: Spot) -> Floats:
    """Return a scratch or crack, more or less straight."""
    from PIL import Image, ImageDraw

    count, step = 15, spot.extent / 6
    turns = random.normal(0, random.choice([0.0, 0.3, 0.6]), count)
    angles = random.uniform(0, 2 * np.pi) + np.cumsum(turns)
    path = np.stack([np.cumsum(np.cos(angles)), np.cumsum(np.sin(angles))], 1) * step
    path += np.array(spot.middle[::-1]) - path.mean(0)
    height, width = spot.shape
    image = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    thickness = max(1, round(_between(random, tuning.DEFECT_WIDTHS) * spot.unit * OVERSAMPLING))
    points = (path * OVERSAMPLING).ravel().tolist()
    ImageDraw.Draw(image).line(points, fill=255, width=thickness, joint="curve")
    return reduce(np.asarray(image, np.float32), spot.shape) / np.float32(255)


def dots(random: Random, spot: Spot) -> Floats:
    """Return a few dots."""
    down, right = spot.offsets()
    result = np.zeros(spot.shape, np.float32)
    for _ in range(int(random.integers(1, 6))):
        y, x = random.normal(0, spot.extent / 2, 2).astype(np.float32)
        radius = np.float32(random.uniform(*tuning.DEFECT_RADII) * spot.unit)
        result = np.maximum(result, np.clip(radius - np.hypot(down - y, right - x) + 0.5, 0, 1))
    return result


def stain(random: Random, spot: Spot) -> Floats:
    """Return a blot with a ragged edge."""
    distance = np.hypot(*spot.offsets()) / np.float32(spot.extent)
    rough = _noise(random, spot.shape, max(3.0, spot.extent / 1.5))
    ragged = expit(8.0 * (1 - distance**2 + 0.7 * rough).astype(np.float64))
    near = expit(spot.extent / 2 * (1.4 - distance).astype(np.float64))
    return np.asarray(ragged * near, np.float32)


def _noise(random: Random, shape: tuple[int, int], scale: float) -> Floats:
    """Return smooth noise (h, w) whose features are `scale` px wide."""
    from PIL import Image

    height, width = (max(2, int(length / scale) + 2) for length in shape)
    coarse = Image.fromarray(random.standard_normal((height, width)).astype(np.float32))
    return np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


# Fills: what is there in its stead, float32 (h, w, 3).


def tone(random: Random, spot: Spot, pixels: Pixels) -> Floats:
    """Return the surface lighter or darker, maybe of another hue; or an even tone."""
    old = pixels[spot.rows, spot.columns].astype(np.float32)
    level = random.uniform(*tuning.DEFECT_LEVELS) * random.choice([-1.0, 1.0])
    hue = random.normal(0, 0.15, 3) if random.random() < 0.5 else np.zeros(3)
    base = old if random.random() < 0.7 else np.broadcast_to(old.mean((0, 1)), old.shape)
    return np.asarray(np.clip(base + level * (1 + hue), 0, 255), np.float32)


def cut_paste(random: Random, spot: Spot, pixels: Pixels) -> Floats:
    """Return another part of the image, turned by quarters."""
    source = np.rot90(pixels, int(random.integers(4)))
    height, width = spot.shape
    if source.shape[0] < height or source.shape[1] < width:
        source = np.rot90(source)
    y = int(random.integers(source.shape[0] - height + 1))
    x = int(random.integers(source.shape[1] - width + 1))
    return source[y : y + height, x : x + width].astype(np.float32)


Shape = Callable[[Random, Spot], Floats]
Fill = Callable[[Random, Spot, Pixels], Floats]
KINDS: tuple[tuple[Shape, Fill], ...] = (
    (scratch, tone),
    (dots, tone),
    (stain, tone),
    (stain, cut_paste),
)
