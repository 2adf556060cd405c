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
        stored: Where its views' cells begin in the store; None where they are not kept.
        patches: Where the unmirrored view's patches are in the store.
    """

    side: int
    pooled: Floats
    placed: Floats
    grid: tuple[int, int]
    stored: int | None = None
    patches: int | None = None


@dataclass(frozen=True)
class Seen:
    """What one pass keeps of an image.

    Attributes:
        digest: SHA-256 of the file, label and mask.
        pixels: SHA-256 of the image on the coarsest scale: that of a copy in another file, too.
        size: (width, height), px.
        scales: What is kept by scale.
        classes: (k,) the class of each position on the last scale, 0 for background.
        grey: The image on the last scale, small and grey; None where positions are not kept.
    """

    digest: str
    pixels: str
    size: tuple[int, int]
    scales: tuple[Kept, ...]
    classes: Integers
    grey: Grey | None = None

    def marked(self, cells: Floats, mirror: int) -> Floats:
        """Return those of a view's `cells` (n, c) that a mask marks; all, where none are."""
        marks = (self.classes > 0).reshape(self.scales[-1].grid).astype(np.uint8)
        return cells[mirrored(marks, mirror).ravel() > 0] if marks.any() else cells


@dataclass(frozen=True)
class Pass:
    """How to look at images: on which sides, px, in how many mirrored views, for which classes.

    Positions are kept on the last side. The level `white` of deep grey is shown as white. With an
    alignment, images are moved to where most lie.
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


def _seen(how: Pass, example: Example) -> tuple[Seen, list[NDArray[np.float16]]]:
    image = open_rgb(example.path, how.white)
    looks = [_views(image, side, how) for side in how.sides]
    pixels, last = looks[-1]
    cells = [each.cells for each in last]
    shape = (cells[0].shape[0], cells[0].shape[1])
    kept = [
        Kept(side, np.stack([each.pooled() for each in seen]), seen[0].placed(), shape)
        for side, (_pixels, seen) in zip(how.sides, looks, strict=True)
    ]
    classes = cell_classes(example, image.size, how.classes, shape)
    name = hashlib.sha256(f"{image.size}".encode() + looks[0][0].tobytes()).hexdigest()
    seen = Seen(digest_of(example), name, image.size, tuple(kept), classes, small(pixels))
    kept_cells = [each.reshape(-1, each.shape[-1]) for each in cells]
    return seen, [each.astype(np.float16) for each in (*kept_cells, last[0].patches)]


def _views(image: "Image.Image", side: int, how: Pass) -> tuple[Pixels, list[View]]:
    """Return an image as it is looked at on a scale, and what is seen of its mirrored views."""
    pixels, _motion = prepared(image, side, how.alignment)
    return pixels, [view(mirrored(pixels, each), len(CHANNELS)) for each in range(how.views)]


def _stored(seen: Seen, arrays: Sequence[NDArray[np.float16]], store: CellStore) -> Seen:
    """Keep the cells of an image's views, and the patches of the first."""
    first, *_further, last = [store.append(each) for each in arrays]
    kept = replace(seen.scales[-1], stored=first, patches=last)
    return replace(seen, scales=(*seen.scales[:-1], kept))


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
