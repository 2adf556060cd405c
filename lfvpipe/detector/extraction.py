"""Pass over the images once, several at a time and in order, keeping only what a fit needs.

Memory does not grow with the number of images but by a few kilobytes each: cells and patches go to
the feature store, on disk, at half precision, and only those of images that are drawn for it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.detector.alignment import reduce_to_grey
from lfvpipe.detector.augmentation import vary
from lfvpipe.detector.backbone.graph import CHANNELS
from lfvpipe.detector.checkpoints import NOTHING_KEPT, Checkpoints, pack, unpack
from lfvpipe.detector.features import CELL_TAPS, extract, mirror, prepare
from lfvpipe.detector.images import open_rgb, reduce
from lfvpipe.detector.likeness import describe
from lfvpipe.detector.masks import cell_classes, pixel_classes
from lfvpipe.detector.sampling import digest_of, is_sampled
from lfvpipe.executor import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.detector.alignment import Alignment
    from lfvpipe.detector.arrays import Floats, Halves, Integers, Pixels
    from lfvpipe.detector.facts import Example
    from lfvpipe.detector.feature_store import FeatureStore
    from lfvpipe.detector.watch import Watch
    from lfvpipe.images import PixelRules

PART_BYTES = 8 << 20  # of features that are kept at once, …
PART_IMAGES = 200  # … or of so many images


@dataclass(frozen=True)
class ScaleFeatures:
    """What one pass keeps of an image on one scale.

    Attributes:
        side: Of the square, px, whose area the image was brought to.
        pooled: (views, features) pooled maps, the unmirrored view first.
        grid_means: (features,) means by area.
        grid: (h, w) of the cells.
        classes: (h · w,) the class of each, 0 for background.
        traits: What tells whether an image is like this one.
        cells: Where its views' cells begin in the store; None where they are not kept.
        patches: Where the unmirrored view's patches are in the store.
        looks: Where what each varied view shows is in the store: see `_vary`.
    """

    side: int
    pooled: Floats
    grid_means: Floats
    grid: tuple[int, int]
    classes: Integers
    traits: Floats
    cells: int | None = None
    patches: int | None = None
    looks: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class ImageFeatures:
    """What one pass keeps of an image.

    Attributes:
        digest: SHA-256 of the file, label and mask.
        pixel_digest: SHA-256 of the image on the coarsest scale: the same for a copy that was
            compressed otherwise.
        size: (width, height), px.
        scales: What is kept by scale.
        grey: The image on the last scale, small and grey; None where cells are not kept.
    """

    digest: str
    pixel_digest: str
    size: tuple[int, int]
    scales: tuple[ScaleFeatures, ...]
    grey: Pixels | None = None


Seen = tuple[ImageFeatures, "list[list[Halves]]", "list[list[Halves]]"]
"""What is kept of an image, and what goes to the store: see `_extract_one`."""


@dataclass(frozen=True)
class Extraction:
    """How to look at images.

    Attributes:
        sides: Of the scales, px.
        views: How many mirrored views of each image.
        classes: Of the masks.
        threads: Images worked on at the same time.
        rules: From bytes to pixels, the same for all.
        alignment: Where images are moved to; None: they are left as they lie.
        looks: How many varied views to keep of the coarsest scale, to fine-tune on; maybe none.
        seed: Of what they differ by.
    """

    sides: tuple[int, ...]
    views: int
    classes: tuple[str, ...]
    threads: int
    rules: PixelRules
    alignment: Alignment | None = None
    looks: int = 0
    seed: int = 0


def extract_features(
    examples: Sequence[Example],
    how: Extraction,
    share: Sequence[float],
    store: FeatureStore,
    watch: Watch,
    checkpoints: Checkpoints = NOTHING_KEPT,
) -> list[ImageFeatures]:
    """Look at every example; the result is in their order.

    Args:
        examples: What to look at.
        how: Sides, views, classes.
        share: Of the normal and of the anomalous images, to keep the cells of.
        store: Where to keep them.
        watch: Told of progress.
        checkpoints: Keeps what was seen so far.

    Raises:
        DetectorError: An image or mask cannot be read.
        TrainingCancelled: The caller said so.
    """
    result: list[ImageFeatures] = []
    stage = f"features at {how.sides[-1]} px"
    for features, arrays, varied in _extract_all(how, examples, share, checkpoints):
        result.append(_keep(features, arrays, varied, store) if arrays else features)
        watch.tick(stage, len(result), len(examples))
    return result


def _extract_all(
    how: Extraction,
    examples: Sequence[Example],
    share: Sequence[float],
    checkpoints: Checkpoints,
) -> Iterator[Seen]:
    """Yield what each example shows: as it was kept, and from the first that was not, anew."""
    done = 0
    while (data := checkpoints.load(f"features, from {done}")) is not None:
        for kept in _unpack(data):
            yield kept
            done += 1
    anew, size = list[Seen](), 0
    rest = examples[done:]
    found = in_order(partial(_extract_one, how), rest, how.threads)
    for example, (features, arrays, varied) in zip(rest, found, strict=True):
        drawn = is_sampled(features.digest, share[example.label == "anomaly"])
        seen = (features, arrays, varied) if drawn else (replace(features, grey=None), [], [])
        yield seen
        anew.append(seen)
        size += sum(each.nbytes for group in (*seen[1], *seen[2]) for each in group)
        if size >= PART_BYTES or len(anew) >= PART_IMAGES or done + len(anew) == len(examples):
            checkpoints.save(f"features, from {done}", partial(_pack, anew), bulky=True)
            done, anew, size = done + len(anew), [], 0


def _pack(some: Sequence[Seen]) -> bytes:
    """Return what images show as bytes."""
    return pack(
        [
            [vars(features) | {"scales": [vars(each) for each in features.scales]}, arrays, varied]
            for features, arrays, varied in some
        ]
    )


def _unpack(data: bytes) -> Iterator[Seen]:
    """Yield what `_pack` was given."""
    for features, arrays, varied in unpack(data):
        scales = tuple(
            ScaleFeatures(**each | {"grid": tuple(each["grid"]), "looks": ()})
            for each in features["scales"]
        )
        known = {**features, "size": tuple(features["size"]), "scales": scales}
        yield ImageFeatures(**known), arrays, varied


def _extract_one(how: Extraction, example: Example) -> Seen:
    """Look at an image; return what is kept of it, and what goes to the store.

    That is, for each scale, the cells of all views and the patches of the first; and for each
    varied view its maps.
    """
    image = open_rgb(example.path, how.rules)
    looks = [prepare(image, side, how.alignment)[0] for side in how.sides]
    views_by_scale = [
        [extract(mirror(pixels, each), len(CHANNELS)) for each in range(how.views)]
        for pixels in looks
    ]
    grids = [(views[0].cells.shape[0], views[0].cells.shape[1]) for views in views_by_scale]
    classes = cell_classes(example, image.size, how.classes, grids)
    scales, arrays = [], []
    for side, views, grid, known in zip(how.sides, views_by_scale, grids, classes, strict=True):
        pooled = np.stack([each.pool() for each in views])
        grid_means, traits = views[0].grid_means(), describe(views[0])
        scales.append(ScaleFeatures(side, pooled, grid_means, grid, known, traits))
        cells = [each.cells.reshape(-1, each.cells.shape[-1]) for each in views]
        arrays.append([each.astype(np.float16) for each in (*cells, views[0].patches)])
    pixel_digest = hashlib.sha256(f"{image.size}".encode() + looks[0].tobytes()).hexdigest()
    grey, digest = reduce_to_grey(looks[-1]), digest_of(example)
    features = ImageFeatures(digest, pixel_digest, image.size, tuple(scales), grey)
    varied = _vary(how, example, looks[0], digest) if how.looks else []
    return features, arrays, varied


def _vary(how: Extraction, example: Example, pixels: Pixels, digest: str) -> list[list[Halves]]:
    """Return what views of an image show: the stride-8 map and the stride-16 map of each.

    Where the example has a mask, also the share of each stride-8 cell that it marks.
    """
    known, marks = pixel_classes(example, how.classes), None
    if known is not None:
        share = reduce((known > 0).astype(np.float32), pixels.shape[:2])
        marks = np.rint(share * 255).astype(np.uint8)
    result = []
    for each in vary(how.looks, [how.seed, int(digest[:8], 16)]):
        _finest, fine, coarse = extract(each.apply(pixels), CELL_TAPS).maps
        maps = [fine, coarse]
        if marks is not None:
            moved: Floats = each.move(marks).astype(np.float32)
            maps.append(reduce(moved / np.float32(255), fine.shape[1:]))
        result.append([array.astype(np.float16) for array in maps])
    return result


def _keep(
    features: ImageFeatures,
    arrays: Sequence[Sequence[Halves]],
    varied: Sequence[Sequence[Halves]],
    store: FeatureStore,
) -> ImageFeatures:
    """Put what goes to the store there, scale by scale; return the features with its numbers."""
    scales = []
    for scale, each in zip(features.scales, arrays, strict=True):
        first, *_further, last = [store.append(array) for array in each]
        scales.append(replace(scale, cells=first, patches=last))
    looks = tuple(tuple(store.append(array) for array in each) for each in varied)
    scales[0] = replace(scales[0], looks=looks)
    return replace(features, scales=tuple(scales))
