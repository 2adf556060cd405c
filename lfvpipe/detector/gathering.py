"""Pass over the images once, several at a time and in order, keeping only what a fit needs."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.facts import Example, Settings
from lfvpipe.detector.faults import DetectorError, TrainingCancelled
from lfvpipe.detector.features import Floats, Scales, View, look, scales_for
from lfvpipe.detector.logistic import Integers
from lfvpipe.detector.masks import cell_classes
from lfvpipe.detector.pictures import open_rgb, size_of
from lfvpipe.detector.store import CellStore

Progress = Callable[[str, int, int], None]
Cancelled = Callable[[], bool]
FOLDS = 5
MAX_THREADS = 8
MAX_LOCAL = 600  # images whose positions are kept
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


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
class Seen:
    """What one pass keeps of an image.

    Attributes:
        digest: SHA-256 of the file, label and mask.
        size: (width, height), px.
        coarse: (views, features) pooled maps of the coarse views, the unmirrored one first; without
            features where the fine views do for both.
        fine: (views, features) those of the fine views.
        placed: (features,) means by place.
        grid: (h, w) of the positions.
        stored: Where its views' cells begin in the store; None where there are too many images.
        classes: (k,) the class of each of those cells, 0 for background.
    """

    digest: str
    size: tuple[int, int]
    coarse: Floats
    fine: Floats
    placed: Floats
    grid: tuple[int, int]
    stored: int | None
    classes: Integers


def gather(
    examples: Sequence[Example],
    settings: Settings,
    classes: Sequence[str],
    store: CellStore,
    watch: Watch,
) -> tuple[list[Seen], Scales]:
    """Look at every example; the result is in the examples' order, with the scales chosen for them.

    Raises:
        DetectorError: An image or mask cannot be read.
        TrainingCancelled: The caller said so.
    """
    views = min(settings.views, max(1, settings.max_rows // 4 // len(examples)))
    shares = kept_shares([each.label == "anomaly" for each in examples], MAX_LOCAL)
    sizes = sorted((size_of(each.path) for each in examples), key=lambda size: size[0] * size[1])
    scales = scales_for(sizes[len(sizes) // 2], settings.coarse, settings.fine)

    def one(example: Example) -> tuple[Seen, list[NDArray[np.float16]]]:
        image = open_rgb(example.path)
        seen = [look(image, scales, each) for each in range(views)]
        return _kept(seen, example, classes, image.size)

    result: list[Seen] = []
    for seen, cells in in_order(one, examples, thread_count(settings)):
        share = shares[examples[len(result)].label == "anomaly"]
        result.append(_stored(seen, cells, store) if drawn(seen.digest, share) else seen)
        watch.tick("features", len(result), len(examples))
    return result, scales


def _kept(
    views: Sequence[View], example: Example, classes: Sequence[str], size: tuple[int, int]
) -> tuple[Seen, list[NDArray[np.float16]]]:
    grids = [view.cells for view in views]
    shape = (grids[0].shape[0], grids[0].shape[1])
    seen = Seen(
        digest=digest_of(example),
        size=size,
        coarse=np.stack([view.coarse_pooled() for view in views]),
        fine=np.stack([view.fine_pooled() for view in views]),
        placed=views[0].placed(),
        grid=shape,
        stored=None,
        classes=cell_classes(example, classes, shape).ravel(),
    )
    return seen, [grid.reshape(-1, grid.shape[-1]).astype(np.float16) for grid in grids]


def _stored(seen: Seen, views: Sequence[NDArray[np.float16]], store: CellStore) -> Seen:
    """Keep an image's cells."""
    numbers = [store.append(cells) for cells in views]
    return replace(seen, stored=numbers[0])


def sampled(examples: Sequence[Example], limit: int, watch: Watch) -> list[Example]:
    """Return all examples, or about `limit` of them, whose digests decide: rare labels first."""
    if len(examples) <= limit:
        return list(examples)
    shares = kept_shares([each.label == "anomaly" for each in examples], limit)
    result = []
    for number, each in enumerate(examples):
        if drawn(digest_of(each), shares[each.label == "anomaly"]):
            result.append(each)
        watch.tick("drawing images", number + 1, len(examples))
    return result


def kept_shares(anomalous: Sequence[bool], limit: int) -> tuple[float, float]:
    """Return which share of normal and of anomalous images to keep, about `limit` in all."""
    anomalies, normals = sum(anomalous), len(anomalous) - sum(anomalous)
    room = max(limit // 2, limit - normals)
    kept = min(anomalies, room)
    return min(1.0, (limit - kept) / max(1, normals)), min(1.0, room / max(1, anomalies))


def drawn(digest: str, share: float) -> bool:
    """Say whether an image is among the `share` of images that are kept."""
    return int(digest[-8:], 16) < share * 2**32


def digest_of(example: Example) -> str:
    """Return the SHA-256 of an example's image, label and mask."""
    digest = hashlib.sha256(example.label.encode())
    for path in (example.path, example.mask):
        digest.update(path.read_bytes() if path is not None else b"-")
    digest.update(repr(sorted(example.mask_classes.items())).encode())
    return digest.hexdigest()


def thread_count(settings: Settings) -> int:
    """Return how many images are worked on at the same time."""
    return settings.threads or min(MAX_THREADS, os.cpu_count() or 1)


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int
) -> Iterator[_Result]:
    """Yield function(item) for each item, in order, at most 2 · threads of them ahead."""
    waiting: deque[Future[_Result]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="detector")
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


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
