"""Image registration: bring photographs of a product into the same position, to be compared there.

Where a camera looks at the same product again and again, images differ by a shift, a turn and a
little in size. The motion is found on small grey images, against the normal images' mean. Source:
Baker & Matthews, "Lucas-Kanade 20 years on: a unifying framework" (IJCV 2004), the inverse
compositional algorithm, with Cauchy's weights, so that a defect does not pull.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Bools, Doubles, Floats, Pixels
from lfvpipe.detector.layout import check_part

if TYPE_CHECKING:
    from PIL import Image

OUTSIDE = -1.0  # a grey level that no image has


@dataclass(frozen=True)
class Motion:
    """How an image lies against the normal images' mean: p becomes matrix · p + shift.

    Attributes:
        matrix: (2, 2) a turn and a growth, of positions (right, down) from the middle.
        shift: (2,) px.
    """

    matrix: Doubles
    shift: Doubles

    def undo(self, pixels: Pixels) -> Pixels:
        """Return `pixels` (H, W, 3) moved back; the border is repeated where nothing is known."""
        from PIL import Image

        # How far a corner moves at most, and two px for the interpolation.
        corners = np.array([[1, 1], [1, -1]]) * np.array([pixels.shape[1], pixels.shape[0]]) / 2
        moved = np.abs(corners @ (self.matrix - np.eye(2)).T) + np.abs(self.shift)
        margin = int(np.ceil(moved.max())) + 2
        wide = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        back = self.warp(Image.fromarray(wide), pixels.shape, Image.Resampling.BILINEAR)
        return np.asarray(back)

    def redo(self, values: Floats, shape: tuple[int, ...]) -> Floats:
        """Return a map (h, w) of what was moved back, as the image (H, W) itself lies."""
        from PIL import Image

        scale = np.array([values.shape[1] / shape[1], values.shape[0] / shape[0]])
        back = self.inverse()
        there = Motion(back.matrix, back.shift * scale)
        least, image = float(values.min()), Image.fromarray(values)
        moved = there.warp(image, values.shape, Image.Resampling.BILINEAR, least)
        return np.asarray(moved)

    def inverse(self) -> "Motion":
        """Return the motion back."""
        inverse = np.linalg.inv(self.matrix).astype(np.float64)
        return Motion(inverse, -inverse @ self.shift)

    def after(self, other: "Motion") -> "Motion":
        """Return this motion behind the other."""
        return Motion(self.matrix @ other.matrix, self.matrix @ other.shift + self.shift)

    def is_small(self, side: float) -> bool:
        """Say whether it is one that a product in front of a camera makes; `side` in px."""
        growth = np.sqrt(np.linalg.det(self.matrix)) - 1
        turn = np.arctan2(self.matrix[1, 0], self.matrix[0, 0])
        farthest = max(abs(growth), abs(turn), *np.abs(self.shift / side))
        return bool(farthest <= tuning.ALIGNMENT_FARTHEST)

    def warp(
        self,
        image: "Image.Image",
        shape: tuple[int, ...],
        how: "Image.Resampling",
        fill: float | None = None,
    ) -> "Image.Image":
        """Return an image (h, w) whose position p shows what lies in `image` where p moves to."""
        from PIL import Image

        height, width = shape[:2]
        offset = np.array(image.size) / 2 + self.shift - self.matrix @ [width / 2, height / 2]
        table = np.column_stack([self.matrix, offset]).ravel().tolist()
        return image.transform((width, height), Image.Transform.AFFINE, table, how, fillcolor=fill)


STILL = Motion(np.eye(2), np.zeros(2))


@dataclass(frozen=True)
class Alignment:
    """Where the product lies in most photographs.

    Attributes:
        reference: (h, w) the mean of the normal images' small grey ones, standardised.
    """

    reference: Floats

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> "Alignment":
        """Return what a model file kept; ValueError where it is something else."""
        check_part("alignment", {"reference": ("h", "w")}, parameters)
        return cls(**parameters)

    def motion(self, pixels: Pixels) -> Motion:
        """Return how an image (H, W, 3) lies; as most do, where it cannot be told."""
        grey = reduce_to_grey(pixels)
        if grey.shape != self.reference.shape:
            return STILL
        found = _find_motion(self.reference, grey)
        if found is STILL:
            return STILL
        return Motion(found.matrix, found.shift * tuning.ALIGNMENT_REDUCTION)


def reduce_to_grey(pixels: Pixels) -> Pixels:
    """Return `pixels` (H, W, 3) in grey (h, w), several times smaller and a little blurred."""
    from PIL import Image, ImageFilter

    grey = Image.fromarray(pixels).convert("L").reduce(tuning.ALIGNMENT_REDUCTION)
    return np.asarray(grey.filter(ImageFilter.GaussianBlur(1)))


def fit_alignment(greys: Sequence[Pixels]) -> Alignment | None:
    """Learn from normal images' small grey ones (h, w) where the product lies.

    None where alignment explains nothing that differs, or where hardly two images are of one size.
    """
    shapes = Counter(each.shape for each in greys)
    usual = max(shapes, key=lambda shape: (shapes[shape], shape), default=())
    if shapes[usual] <= len(greys) / 2:
        return None
    greys = [each for each in greys if each.shape == usual][: tuning.ALIGNMENT_MAX_IMAGES]
    standard = [_standardise(each.astype(np.float32)) for each in greys]
    reference: Floats = np.stack(standard).mean(0)
    before = _variance(standard, reference)
    for _ in range(tuning.ALIGNMENT_ROUNDS):
        aligned = [_align(reference, each) for each in greys]
        reference = _mean_of_known(aligned)
        if _variance(aligned, reference) > tuning.ALIGNMENT_MOST_LEFT * before:
            return None
    return Alignment(reference)


def _mean_of_known(images: Sequence[Floats]) -> Floats:
    """Return the mean of what is known, 0 where nothing is."""
    stack = np.stack(images)
    known = np.isfinite(stack)
    result: Floats = np.where(known, stack, 0).sum(0) / np.maximum(known.sum(0), 1)
    return result.astype(np.float32)


def _variance(images: Sequence[Floats], mean: Floats) -> float:
    return float(np.nanmean([np.nanmean((each - mean) ** 2) for each in images]))


def _align(reference: Floats, grey: Pixels) -> Floats:
    """Return a small grey image as it would lie like the reference; NaN where nothing is known."""
    seen = _sample(grey, _find_motion(reference, grey))
    return np.where(seen >= 0, _standardise(seen, seen >= 0), np.float32(np.nan))


def _sample(grey: Pixels, motion: Motion) -> Floats:
    from PIL import Image

    image = Image.fromarray(grey.astype(np.float32))
    return np.asarray(motion.warp(image, grey.shape, Image.Resampling.BILINEAR, OUTSIDE))


def _standardise(values: Floats, of: Bools | None = None) -> Floats:
    """Return `values` with mean 0 and spread 1, both those of some of them."""
    part = values if of is None else values[of]
    result: Floats = (values - part.mean()) / max(float(part.std()), 1e-3)
    return result


def _find_motion(reference: Floats, grey: Pixels) -> Motion:
    """Return how a small grey image lies: shifted and turned, else shifted, else STILL.

    A wrong motion is worse than none. So it must explain the image better than lying still does,
    and be a small one; where four degrees of freedom run astray, two often do not.
    """
    for freedom in (4, 2):
        motion, before, after = _follow(reference, grey, freedom)
        if after < before and motion.is_small(grey.size**0.5):
            return motion
    return STILL


def _follow(reference: Floats, grey: Pixels, freedom: int) -> tuple[Motion, float, float]:
    """Return the motion that explains an image best, and what is unexplained before and after.

    Gauss-Newton with the inverse compositional trick: the slopes are those of the reference, once
    for all steps, and each step's motion of the reference is undone on the image's.
    """
    slopes, motion, left = _slopes(reference)[..., :freedom], STILL, list[float]()
    for _ in range(tuning.ALIGNMENT_STEPS):
        seen = _sample(grey, motion)
        inside = seen >= 0
        if inside.mean() < tuning.ALIGNMENT_LEAST_COVERED:
            break
        error = _standardise(seen[inside]) - _standardise(reference[inside])
        left.append(float(np.log1p(error**2).mean()))
        change = _change(slopes[inside], error)
        motion = motion.after(change.inverse())
        if np.abs(change.shift).max() < tuning.ALIGNMENT_PRECISION:
            break
    return motion, left[0], left[-1]


def _slopes(reference: Floats) -> Doubles:
    """Return how each pixel changes with a shift right, down, a turn and a growth: (h, w, 4)."""
    height, width = reference.shape
    down, right = np.gradient(reference.astype(np.float64))
    y, x = np.arange(height)[:, None] + 0.5 - height / 2, np.arange(width) + 0.5 - width / 2
    return np.stack([right, down, x * down - y * right, x * right + y * down], axis=-1)


def _change(slopes: Doubles, error: Floats) -> Motion:
    """Return the motion of the reference that explains most of the `error` (n,).

    Weights are Cauchy's: what differs much, as a defect does, pulls little.
    """
    weighed = slopes / (1 + error.astype(np.float64) ** 2)[:, None]
    normal = weighed.T @ slopes
    normal += 1e-6 * np.diag(np.diag(normal)) + 1e-9 * np.eye(len(normal))
    found = np.zeros(4)
    found[: len(normal)] = np.linalg.solve(normal, weighed.T @ error)
    right, down, turn, growth = found.tolist()
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return Motion((1 + growth) * turned, np.array([right, down]))
