"""Which examples are learnt from and in which fold each is: decided by their content alone.

Nothing here depends on the order, names or number of threads in which examples come, so that the
same data and seed make the same model file.

Folds: every number that is chosen by scores (a scale, a weight in the blend, the threshold) is
chosen by scores of images that the scoring fit has not learnt from. With a few dozen images and
hundreds of features a fit knows its own images by heart, and its scores of them say nothing of new
ones. Setting images aside once would cost what is scarcest, labelled anomalies; so all are split
into five folds, and each is scored by fits on the other four.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.errors import DetectorError
from lfvpipe.detector.images import size_of, white_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.detector.arrays import Bools, Integers
    from lfvpipe.detector.facts import Example
    from lfvpipe.detector.watch import Watch


def median_size(examples: Sequence[Example]) -> tuple[int, int]:
    """Return the (width, height) of the example whose area is the median."""
    sizes = sorted((size_of(each.path) for each in examples), key=lambda size: size[0] * size[1])
    return sizes[len(sizes) // 2]


def common_white_level(examples: Sequence[Example]) -> float | None:
    """Return the white level of the examples in deep grey, one for all; None where there are none.

    By itself, an image a little brighter than a sensor's depth would look four times as dark.
    """
    levels = [white_level(each.path) for each in examples]
    return max((each for each in levels if each is not None), default=None)


def sample(examples: Sequence[Example], limit: int, watch: Watch) -> list[Example]:
    """Return all examples, or about `limit` of them, whose digests decide: rare labels first."""
    if len(examples) <= limit:
        return list(examples)
    shares = sample_shares([each.label == "anomaly" for each in examples], limit)
    result = []
    for number, each in enumerate(examples):
        if is_sampled(digest_of(each), shares[each.label == "anomaly"]):
            result.append(each)
        watch.tick("drawing images", number + 1, len(examples))
    return result


def sample_shares(anomalous: Sequence[bool], limit: int) -> tuple[float, float]:
    """Return which share of normal and of anomalous images to keep, about `limit` in all."""
    anomalies, normals = sum(anomalous), len(anomalous) - sum(anomalous)
    room = max(limit // 2, limit - normals)
    kept = min(anomalies, room)
    return min(1.0, (limit - kept) / max(1, normals)), min(1.0, room / max(1, anomalies))


def is_sampled(digest: str, share: float) -> bool:
    """Say whether an image is among the `share` of images that are kept."""
    return int(digest[-8:], 16) < share * 2**32


def digest_of(example: Example) -> str:
    """Return the SHA-256 of an example's image, label and mask."""
    digest = hashlib.sha256(example.label.encode())
    for path in (example.path, example.mask):
        digest.update(path.read_bytes() if path is not None else b"-")
    digest.update(repr(sorted(example.mask_classes.items())).encode())
    return digest.hexdigest()


def assign_folds(digests: Sequence[str], labels: Bools, seed: int) -> Integers:
    """Return a fold per image, balanced within each label; equal images share theirs.

    The order of the images does not matter: they are ranked by digest and seed.
    """
    folds = np.zeros(len(digests), np.int64)
    ranks = [hashlib.sha256(f"{seed}:{digest}".encode()).hexdigest() for digest in digests]
    for label in (False, True):
        members = np.flatnonzero(labels == label).tolist()
        ranked = sorted({ranks[member] for member in members})
        fold_of = {rank: number % tuning.FOLDS for number, rank in enumerate(ranked)}
        folds[members] = [fold_of[ranks[member]] for member in members]
    return folds


def require_usable(examples: Sequence[Example]) -> None:
    """Raise DetectorError where there is nothing to learn from."""
    unknown = next((each for each in examples if each.label not in ("normal", "anomaly")), None)
    if unknown is not None:
        raise DetectorError(
            f"{unknown.path} is labelled {unknown.label!r}, which is no label.",
            hint='Label each image "normal" or "anomaly".',
        )
    normals = sum(example.label == "normal" for example in examples)
    if normals < 2:
        raise DetectorError(
            f"Training needs at least 2 normal images, and has {normals}.",
            hint="Add images labelled normal.",
        )


def require_different(digests: Sequence[str], labels: Bools) -> None:
    """Raise DetectorError where the normal images are copies of one: nothing says what varies."""
    normals = {digest for digest, label in zip(digests, labels, strict=True) if not label}
    if len(normals) < 2:
        raise DetectorError(
            f"The {int((~labels).sum())} normal images are copies of one image; training needs at"
            " least 2 different ones.",
            hint="Add other images labelled normal.",
        )
