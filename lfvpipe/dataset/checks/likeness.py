"""The same picture where it must not be: in two labels, or in two splits."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

from lfvpipe.dataset.checks.findings import Finding, error, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.dataset.index import Image

    Notes = Mapping[str, Mapping[str, object]]

# Of 256 bits. Half of the copies that were resaved as JPEG or halved in size differ in at most 4,
# all in at most 10; the closest different photographs of a product under a fixed camera that we
# measured differ in 7. Missing some copies is better than crying wolf.
_NEAR = 4
_BANDS = 8  # of 32 bits: up to 7 differing bits leave at least one band equal
_CROWDED = 64  # images that share a band: the band says nothing


def likeness_findings(images: Sequence[Image], notes: Notes) -> list[Finding]:
    """Return the pictures that are there more than once where that does harm."""
    found = []
    same = list(_equal(images, notes))
    if pairs := [pair for pair in same if _labels_differ(pair)]:
        found.append(_in_two_labels(pairs))
    if pairs := [pair for pair in same if not _labels_differ(pair) and _splits_differ(pair)]:
        found.append(_in_two_splits(pairs))
    known = {frozenset((first.id, second.id)) for first, second in same}
    near = [pair for pair in _near(images, notes) if frozenset(_ids(pair)) not in known]
    if pairs := [pair for pair in near if _labels_differ(pair) or _splits_differ(pair)]:
        found.append(_nearly_equal(pairs))
    return found


Pair = tuple["Image", "Image"]


def _ids(pair: Pair) -> tuple[str, str]:
    return pair[0].id, pair[1].id


def _labels_differ(pair: Pair) -> bool:
    labels = {image.label for image in pair}
    return len(labels) == 2 and None not in labels


def _splits_differ(pair: Pair) -> bool:
    """Tell whether the two let the model see in training what it is judged on."""
    splits = {image.split for image in pair}
    return len(splits) == 2 and "train" in splits


def _equal(images: Sequence[Image], notes: Notes) -> Iterator[Pair]:
    """Yield pairs with the same pixels: each later image with the first, and across groups."""
    by_pixels: dict[object, list[Image]] = defaultdict(list)
    for image in images:
        by_pixels[notes[image.id]["pixels"]].append(image)
    for group in by_pixels.values():
        if len(group) > 1:
            yield from _across(group)


def _across(group: Sequence[Image]) -> Iterator[Pair]:
    """Yield a pair for each way in which labels or splits differ in a group of equals."""
    first_of: dict[tuple[object, object], Image] = {}
    for image in group:
        first_of.setdefault((image.label, image.split), image)
    yield from combinations(first_of.values(), 2)


def _near(images: Sequence[Image], notes: Notes) -> Iterator[Pair]:
    """Yield pairs whose difference hashes nearly agree, found by bands that fully agree."""
    hashes = {image.id: int(str(notes[image.id]["likeness"]), 16) for image in images}
    seen: set[tuple[str, str]] = set()
    for group in _banded(images, hashes):
        for pair in combinations(group, 2):
            differing = (hashes[pair[0].id] ^ hashes[pair[1].id]).bit_count()
            if differing <= _NEAR and _ids(pair) not in seen:
                seen.add(_ids(pair))
                yield pair


def _banded(images: Sequence[Image], hashes: Mapping[str, int]) -> Iterator[list[Image]]:
    for band in range(_BANDS):
        groups: dict[int, list[Image]] = defaultdict(list)
        for image in images:
            groups[(hashes[image.id] >> 32 * band) & 0xFFFFFFFF].append(image)
        yield from (group for group in groups.values() if 1 < len(group) <= _CROWDED)


def _in_two_labels(pairs: Sequence[Pair]) -> Finding:
    return error(
        "same-image-two-labels",
        f"{_count(pairs)} both normal and anomaly: remove {_them(pairs)} from one of the archives",
        _shown(pairs),
    )


def _in_two_splits(pairs: Sequence[Pair]) -> Finding:
    return warning(
        "same-image-two-splits",
        f"{_count(pairs)} both in train and in what the model is judged on, so the metrics flatter"
        " it: remove the copies from the archives",
        _shown(pairs),
    )


def _nearly_equal(pairs: Sequence[Pair]) -> Finding:
    return warning(
        "near-duplicates",
        f"{len(pairs)} pairs of images look nearly the same across splits or labels, such as a"
        " resaved copy: check whether they are the same piece",
        _shown(pairs),
    )


def _count(pairs: Sequence[Pair]) -> str:
    return "1 picture is" if len(pairs) == 1 else f"{len(pairs)} pictures are"


def _them(pairs: Sequence[Pair]) -> str:
    return "it" if len(pairs) == 1 else "them"


def _shown(pairs: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(f"{first.id} = {second.id}" for first, second in pairs[:5])
