"""Pass over the images once, several at a time and in order, keeping only what a fit needs."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.alignment import Alignment, Grey, small
from lfvpipe.detector.backbone import CHANNELS
from lfvpipe.detector.facts import Example
from lfvpipe.detector.faults import DetectorError, TrainingCancelled
from lfvpipe.detector.features import Floats, View, mirrored, prepared, view
from lfvpipe.detector.logistic import Integers
from lfvpipe.detector.masks import cell_classes
from lfvpipe.detector.pictures import Pixels, open_rgb, size_of, white_of
from lfvpipe.detector.store import CellStore
from lfvpipe.executor import in_order

if TYPE_CHECKING:
    from PIL import Image

Progress = Callable[[str, int, int], None]
Cancelled = Callable[[], bool]
Half = NDArray[np.float16]
FOLDS = 5


@dataclass(frozen=True)
class Watch:
    """Who is told of progress, and who may stop the training."""

    progress: Progress
    cancelled: Cancelled

    def tick(self, stage: str, done: int, total: int) -> None:
        """Report progress; raise TrainingCancelled where the caller has had enough."""
        if self.cancelled():
            raise TrainingCancelled
        self.progress(stage, done, total)


@dataclass(frozen=True)
class Kept:
    """What one pass keeps of an image on one scale.

    Attributes:
        side: Of the square, px, whose area the image was brought to.
        pooled: (views, features) pooled maps, the unmirrored view first.
        placed: (features,) means by place.
        grid: (h, w) of the positions.
        classes: (h · w,) the class of each, 0 for background.
        stored: Where its views' cells begin in the store; None where they are not kept.
        patches: Where the unmirrored view's patches are in the store.
    """

    side: int
    pooled: Floats
    placed: Floats
    grid: tuple[int, int]
    classes: Integers
    stored: int | None = None
    patches: int | None = None

    def marked(self, cells: Floats, mirror: int) -> Floats:
        """Return those of a view's `cells` (n, c) that a mask marks; all, where none are."""
        marks = (self.classes > 0).reshape(self.grid).astype(np.uint8)
        return cells[mirrored(marks, mirror).ravel() > 0] if marks.any() else cells


@dataclass(frozen=True)
class Seen:
    """What one pass keeps of an image.

    Attributes:
        digest: SHA-256 of the file, label and mask.
        pixels: SHA-256 of the image on the coarsest scale: that of a copy in another file, too.
        size: (width, height), px.
        scales: What is kept by scale.
        grey: The image on the last scale, small and grey; None where positions are not kept.
    """

    digest: str
    pixels: str
    size: tuple[int, int]
    scales: tuple[Kept, ...]
    grey: Grey | None = None


@dataclass(frozen=True)
class Pass:
    """How to look at images: on which sides, px, in how many mirrored views, for which classes.

    The level `white` of deep grey is shown as white. With an alignment, images are moved to where
    most lie.
    """

    sides: tuple[int, ...]
    views: int
    classes: tuple[str, ...]
    threads: int
    white: float | None
    alignment: Alignment | None = None


def gather(
    examples: Sequence[Example], how: Pass, share: Sequence[float], store: CellStore, watch: Watch
) -> list[Seen]:
    """Look at every example; the result is in their order.

    Args:
        examples: What to look at.
        how: Sides, views, classes.
        share: Of the normal and of the anomalous images, to keep the positions of.
        store: Where to keep them.
        watch: Told of progress.

    Raises:
        DetectorError: An image or mask cannot be read.
        TrainingCancelled: The caller said so.
    """
    result: list[Seen] = []
    stage = f"features at {how.sides[-1]} px"
    for seen, arrays in in_order(partial(_seen, how), examples, how.threads):
        keep = picked(seen.digest, share[examples[len(result)].label == "anomaly"])
        result.append(_stored(seen, arrays, store) if keep else replace(seen, grey=None))
        watch.tick(stage, len(result), len(examples))
    return result


def _seen(how: Pass, example: Example) -> tuple[Seen, list[list[Half]]]:
    """Look at an image; return what is kept of it, and for each scale what goes to the store."""
    image = open_rgb(example.path, how.white)
    looks = [_views(image, side, how) for side in how.sides]
    grids = [(views[0].cells.shape[0], views[0].cells.shape[1]) for _pixels, views in looks]
    classes = cell_classes(example, image.size, how.classes, grids)
    kept = [
        Kept(side, np.stack([each.pooled() for each in views]), views[0].placed(), grid, known)
        for side, (_, views), grid, known in zip(how.sides, looks, grids, classes, strict=True)
    ]
    name = hashlib.sha256(f"{image.size}".encode() + looks[0][0].tobytes()).hexdigest()
    seen = Seen(digest_of(example), name, image.size, tuple(kept), small(looks[-1][0]))
    return seen, [_halves(views) for _pixels, views in looks]


def _halves(views: Sequence[View]) -> list[Half]:
    """Return the cells of views, and the patches of the first."""
    cells = [each.cells.reshape(-1, each.cells.shape[-1]) for each in views]
    return [each.astype(np.float16) for each in (*cells, views[0].patches)]


def _views(image: "Image.Image", side: int, how: Pass) -> tuple[Pixels, list[View]]:
    """Return an image as it is looked at on a scale, and what is seen of its mirrored views."""
    pixels, _motion = prepared(image, side, how.alignment)
    return pixels, [view(mirrored(pixels, each), len(CHANNELS)) for each in range(how.views)]


def _stored(seen: Seen, arrays: Sequence[Sequence[Half]], store: CellStore) -> Seen:
    """Keep what goes to the store, scale by scale."""
    scales = []
    for kept, each in zip(seen.scales, arrays, strict=True):
        first, *_further, last = [store.append(array) for array in each]
        scales.append(replace(kept, stored=first, patches=last))
    return replace(seen, scales=tuple(scales))


def usual_size(examples: Sequence[Example]) -> tuple[int, int]:
    """Return the (width, height) of the example whose area is the median."""
    sizes = sorted((size_of(each.path) for each in examples), key=lambda size: size[0] * size[1])
    return sizes[len(sizes) // 2]


def usual_white(examples: Sequence[Example]) -> float | None:
    """Return the white level of the examples in deep grey, one for all; None where there are none.

    By itself, an image a little brighter than a sensor's depth would look four times as dark.
    """
    levels = [white_of(each.path) for each in examples]
    return max((each for each in levels if each is not None), default=None)


def sampled(examples: Sequence[Example], limit: int, watch: Watch) -> list[Example]:
    """Return all examples, or about `limit` of them, whose digests decide: rare labels first."""
    if len(examples) <= limit:
        return list(examples)
    shares = kept_shares([each.label == "anomaly" for each in examples], limit)
    result = []
    for number, each in enumerate(examples):
        if picked(digest_of(each), shares[each.label == "anomaly"]):
            result.append(each)
        watch.tick("drawing images", number + 1, len(examples))
    return result


def kept_shares(anomalous: Sequence[bool], limit: int) -> tuple[float, float]:
    """Return which share of normal and of anomalous images to keep, about `limit` in all."""
    anomalies, normals = sum(anomalous), len(anomalous) - sum(anomalous)
    room = max(limit // 2, limit - normals)
    kept = min(anomalies, room)
    return min(1.0, (limit - kept) / max(1, normals)), min(1.0, room / max(1, anomalies))


def picked(digest: str, share: float) -> bool:
    """Say whether an image is among the `share` of images that are kept."""
    return int(digest[-8:], 16) < share * 2**32


def digest_of(example: Example) -> str:
    """Return the SHA-256 of an example's image, label and mask."""
    digest = hashlib.sha256(example.label.encode())
    for path in (example.path, example.mask):
        digest.update(path.read_bytes() if path is not None else b"-")
    digest.update(repr(sorted(example.mask_classes.items())).encode())
    return digest.hexdigest()


def assign_folds(digests: Sequence[str], labels: NDArray[np.bool_], seed: int) -> Integers:
    """Return a fold per image, balanced within each label; equal images share theirs.

    The order of the images does not matter: they are ranked by digest and seed.
    """
    folds = np.zeros(len(digests), np.int64)
    for label in (False, True):
        members = np.flatnonzero(labels == label).tolist()
        ranked = sorted({_rank(seed, digests[member]) for member in members})
        place = {rank: number % FOLDS for number, rank in enumerate(ranked)}
        folds[members] = [place[_rank(seed, digests[member])] for member in members]
    return folds


def _rank(seed: int, digest: str) -> str:
    return hashlib.sha256(f"{seed}:{digest}".encode()).hexdigest()


def require_usable(examples: Sequence[Example]) -> None:
    """Raise DetectorError where there is nothing to learn from."""
    unknown = next((each for each in examples if each.label not in ("normal", "anomaly")), None)
    if unknown is not None:
        raise DetectorError(
            f"{unknown.path} is labelled {unknown.label!r}, which is no label",
            hint='Label each image "normal" or "anomaly".',
        )
    normals = sum(example.label == "normal" for example in examples)
    if normals < 2:
        raise DetectorError(
            f"training needs at least 2 normal images, and has {normals}",
            hint="Add images labelled normal.",
        )


def require_different(digests: Sequence[str], labels: NDArray[np.bool_]) -> None:
    """Raise DetectorError where the normal images are copies of one: nothing says what varies."""
    normals = {digest for digest, label in zip(digests, labels, strict=True) if not label}
    if len(normals) < 2:
        raise DetectorError(
            f"the {int((~labels).sum())} normal images are copies of one image; training needs at"
            " least 2 different ones",
            hint="Add other images labelled normal.",
        )
