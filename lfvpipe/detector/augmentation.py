"""Views of an image to learn from: mirrored, a little turned, moved, larger, lighter and noisier.

What is the same product in them teaches that such differences are no anomaly: a camera is never
mounted twice in the same way, and lamps age.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.features import mirror

if TYPE_CHECKING:
    from lfvpipe.detector.arrays import Floats, Pixels


@dataclass(frozen=True)
class Variation:
    """How a view differs from the image.

    Attributes:
        mirrored: Left-right (bit 0) and top-bottom (bit 1).
        turn: Degrees, about the middle.
        growth: How many times as large.
        shift: (x, y), shares of the sides.
        contrast: How many times as far pixels lie from the middle grey.
        light: Grey levels added.
        noise: Standard deviation, grey levels.
        seed: Of the noise.
    """

    mirrored: int = 0
    turn: float = 0.0
    growth: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    contrast: float = 1.0
    light: float = 0.0
    noise: float = 0.0
    seed: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether the view is the image as it is."""
        return self == Variation()

    def move(self, values: Pixels) -> Pixels:
        """Return `values`, uint8 (h, w) or (h, w, 3), turned, moved and mirrored.

        What comes in from outside is the image mirrored at its border.
        """
        from PIL import Image

        if self.is_plain:
            return values
        height, width = values.shape[:2]
        margin = round(tuning.VARIATION_MARGIN * max(height, width))
        around = [(min(margin, length - 1),) * 2 for length in (height, width)]
        wide = np.pad(values, [*around, *[(0, 0)] * (values.ndim - 2)], mode="reflect")
        angle = radians(self.turn)
        across, down = cos(angle) / self.growth, sin(angle) / self.growth
        x, y = width / 2, height / 2
        # Where each pixel of the view comes from: about the middle, within the wider image.
        left = x - across * x + down * y + self.shift[0] * width + around[1][0]
        top = y - down * x - across * y + self.shift[1] * height + around[0][0]
        moved = Image.fromarray(wide).transform(
            (width, height),
            Image.Transform.AFFINE,
            (across, -down, left, down, across, top),
            Image.Resampling.BILINEAR,
        )
        return np.ascontiguousarray(mirror(np.asarray(moved), self.mirrored))

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the view of an image, uint8 (h, w, 3)."""
        if self.is_plain:
            return pixels
        moved = self.move(pixels).astype(np.float32)
        lit = (moved - 127) * np.float32(self.contrast) + np.float32(127 + self.light)
        # The same in all channels: what a sensor adds to a grey image, and near it in a colour one.
        grain = np.random.default_rng(self.seed).standard_normal(lit.shape[:2], np.float32)
        return _as_pixels(lit + grain[..., None] * np.float32(self.noise))


def vary(count: int, seed: list[int]) -> list[Variation]:
    """Return so many variations; the first is the image as it is, the next ones mirrored in turn.

    Args:
        count: At least 1.
        seed: Decides them.
    """
    random = np.random.default_rng(seed)

    def either_way(most: float) -> float:
        return float(random.uniform(-most, most))

    return [Variation()] + [
        Variation(
            mirrored=number & 3,
            turn=either_way(tuning.VARIATION_TURN),
            growth=1 + either_way(tuning.VARIATION_GROWTH),
            shift=(either_way(tuning.VARIATION_SHIFT), either_way(tuning.VARIATION_SHIFT)),
            contrast=1 + either_way(tuning.VARIATION_CONTRAST),
            light=either_way(tuning.VARIATION_LIGHT),
            noise=abs(either_way(tuning.VARIATION_NOISE)),
            seed=int(random.integers(2**31)),
        )
        for number in range(1, count)
    ]


def _as_pixels(values: Floats) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
