"""Pass over the images once, several at a time and in order, keeping only what a fit needs."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.facts import Example, Settings
from lfvpipe.detector.faults import DetectorError, TrainingCancelled
from lfvpipe.detector.features import Floats, View, look, positions
from lfvpipe.detector.logistic import Integers
from lfvpipe.detector.masks import cell_classes
from lfvpipe.detector.network import network
from lfvpipe.detector.pictures import open_rgb

Progress = Callable[[str, int, int], None]
Cancelled = Callable[[], bool]
FOLDS = 5
MAX_THREADS = 8
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
        rows: (views, features) pooled taps, the unmirrored view first.
        cells: (k, channels) sampled position descriptors, for a bank or a segmentation.
        classes: (k,) the class of each sampled position, 0 for background.
        shares: (k,) how many positions of the image each sampled one stands for.
    """

    digest: str
    size: tuple[int, int]
    rows: Floats
    cells: Floats
    classes: Integers
    shares: NDArray[np.float64]


def gather(
    examples: Sequence[Example], settings: Settings, classes: Sequence[str], watch: Watch
) -> list[Seen]:
    """Look at every example; the result is in the examples' order.

    Raises:
        DetectorError: An image or mask cannot be read.
        TrainingCancelled: The caller said so.
    """
    views = min(settings.views, max(1, settings.max_rows // 4 // len(examples)))
    quota = max(16, settings.max_rows // len(examples))
    backbone = network()  # before the threads, so that it is converted once

    def one(numbered: tuple[int, Example]) -> Seen:
        index, example = numbered
        image = open_rgb(example.path)
        seen = [look(backbone, image, settings.scales, mirror) for mirror in range(views)]
        pooled = np.stack([view.pooled() for view in seen])
        generator = np.random.default_rng([settings.seed, index])
        cells = sampled(seen[0], example, classes, quota, generator)
        return Seen(digest_of(example), image.size, pooled, *cells)

    result = []
    for seen in in_order(one, list(enumerate(examples)), thread_count(settings)):
        result.append(seen)
        watch.tick("features", len(result), len(examples))
    return result


def sampled(
    view: View,
    example: Example,
    classes: Sequence[str],
    quota: int,
    generator: np.random.Generator,
) -> tuple[Floats, Integers, NDArray[np.float64]]:
    """Return at most `quota` positions' descriptors, at least half from anomalous cells if any."""
    descriptors = positions(view.taps[-1])
    truth = cell_classes(example, classes, descriptors.shape[:2]).ravel()
    flat = descriptors.reshape(-1, descriptors.shape[-1])
    chosen, shares = [], []
    groups = [np.flatnonzero(truth > 0), np.flatnonzero(truth == 0)]
    for group in groups:
        room = quota // 2 if len(groups[0]) else quota
        pick = np.sort(generator.permutation(group)[:room])
        chosen.append(pick)
        shares.append(np.full(len(pick), len(group) / max(1, len(pick))))
    indices = np.concatenate(chosen)
    return flat[indices], truth[indices], np.concatenate(shares)


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
