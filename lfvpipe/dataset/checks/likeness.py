"""The same picture where it must not be: in two labels, or in two splits."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

from lfvpipe.dataset.checks.findings import Finding, error, warning
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.dataset.index import Image, Note

# Of 256 bits. Half of the copies that were resaved as JPEG or halved in size differ in at most 4,
# all in at most 10; the closest different photographs of a product under a fixed camera that we
# measured differ in 7. Missing some copies is better than crying wolf.
_NEAR = 4
_BANDS = 8  # of 32 bits: up to 7 differing bits leave at least one band equal
_CROWDED = 64  # images that share a band: the band says nothing

Pair = tuple["Image", "Image"]


def likeness_findings(images: Sequence[Image], notes: Mapping[str, Note]) -> list[Finding]:
    """Return the pictures that are there more than once where that does harm."""
    found = []
    same = _equal_pairs(images, notes)
    if pairs := [pair for pair in same if _labels_differ(pair)]:
        them = "it" if len(pairs) == 1 else "them"
        text = f"{_pictures(pairs)} both normal and anomaly: remove {them} from one of the archives"
        found.append(error("same-image-two-labels", text, _examples(pairs)))
    if pairs := [pair for pair in same if not _labels_differ(pair) and _gives_away(pair)]:
        text = (
            "both in train and in what the model is judged on, so the metrics flatter it: remove"
            " the copies from the archives"
        )
        found.append(
            warning("same-image-two-splits", f"{_pictures(pairs)} {text}", _examples(pairs))
        )
    # Equal pictures are told above, a pair for each way in which they differ; all of them are near.
    near = [
        pair
        for pair in _near_pairs(images, notes)
        if notes[pair[0].id].pixels != notes[pair[1].id].pixels
        and (_labels_differ(pair) or _gives_away(pair))
    ]
    if near:
        look = "looks" if len(near) == 1 else "look"
        text = (
            f"{count_of(len(near), 'pair')} of images {look} nearly the same across splits or"
            " labels, such as a resaved copy: check whether they are the same piece"
        )
        found.append(warning("near-duplicates", text, _examples(near)))
    return found


def _labels_differ(pair: Pair) -> bool:
    labels = {image.label for image in pair}
    return len(labels) == 2 and None not in labels


def _gives_away(pair: Pair) -> bool:
    """Tell whether the two let the model see in training what it is judged on.

    It is judged on test, evaluation and unused images alike; that two of these are copies of each
    other teaches it nothing.
    """
    splits = {image.split for image in pair}
    return len(splits) == 2 and "train" in splits


def _equal_pairs(images: Sequence[Image], notes: Mapping[str, Note]) -> list[Pair]:
    """Return pairs of the same pixels: one for each way in which labels or splits differ.

    Not all pairs, of which a picture that is there a thousand times has half a million.
    """
    first_of: dict[str, dict[tuple[object, object], Image]] = defaultdict(dict)
    for image in images:
        first_of[notes[image.id].pixels].setdefault((image.label, image.split), image)
    return [pair for group in first_of.values() for pair in combinations(group.values(), 2)]


def _near_pairs(images: Sequence[Image], notes: Mapping[str, Note]) -> Iterator[Pair]:
    """Yield pairs whose difference hashes nearly agree, each once.

    Only images that share a whole band of the hash are compared: with so few differing bits at
    least one band has none, and comparing all pairs of 100,000 images would take hours.
    """
    hashes = {image.id: int(notes[image.id].likeness, 16) for image in images}
    seen: set[tuple[str, str]] = set()
    for band in range(_BANDS):
        groups: dict[int, list[Image]] = defaultdict(list)
        for image in images:
            groups[(hashes[image.id] >> 32 * band) & 0xFFFFFFFF].append(image)
        for group in groups.values():
            if len(group) > _CROWDED:
                continue
            for first, second in combinations(group, 2):
                differing = (hashes[first.id] ^ hashes[second.id]).bit_count()
                if differing <= _NEAR and (first.id, second.id) not in seen:
                    seen.add((first.id, second.id))
                    yield first, second


def _pictures(pairs: Sequence[Pair]) -> str:
    return "1 picture is" if len(pairs) == 1 else f"{len(pairs)} pictures are"


def _examples(pairs: Sequence[Pair]) -> tuple[str, ...]:
    return tuple(f"{first.id} = {second.id}" for first, second in pairs)
