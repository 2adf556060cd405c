"""The same picture where it must not be: in two labels, or in two splits."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, zip_longest
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
    groups = _equal_images(images, notes)
    if contrary := [each for each in groups if _labels_differ(each)]:
        them = "it" if len(contrary) == 1 else "them"
        text = f"{_pictures(contrary)} both normal and anomaly: remove {them} from one of the"
        found.append(error("same-image-two-labels", f"{text} archives", _examples(contrary)))
    agreed = [each for each in groups if not _labels_differ(each)]
    if leaked := [each for each in agreed if _gives_away(each)]:
        text = (
            f"{_pictures(leaked)} both in train and in what the model is judged on, so the metrics"
            " flatter it: remove the copies from the archives"
        )
        found.append(warning("same-image-two-splits", text, _examples(leaked)))
    found += _copies_counted(agreed)
    # Equal pictures are told above; all of them are near.
    near = [
        pair
        for pair in near_pairs(images, notes)
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


def _labels_differ(group: Sequence[Image]) -> bool:
    return len({image.label for image in group if image.label is not None}) == 2


def _gives_away(group: Sequence[Image]) -> bool:
    """Tell whether images that are alike let the model see in training what it is judged on.

    It is judged on test, evaluation and unused images alike; that two of these are copies of each
    other teaches it nothing.
    """
    splits = {image.split for image in group}
    return len(splits) > 1 and "train" in splits


def _equal_images(images: Sequence[Image], notes: Mapping[str, Note]) -> list[list[Image]]:
    """Return the images of each picture that is there more than once, by their pixels.

    Not pairs, of which a picture that is there a thousand times has half a million.
    """
    groups: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        groups[notes[image.id].pixels].append(image)
    return [group for group in groups.values() if len(group) > 1]


def _copies_counted(groups: Sequence[Sequence[Image]]) -> Iterator[Finding]:
    """Yield that pictures are counted more than once in one part."""
    harms = {
        "train": "the model learns from fewer pictures than there are files",
        "test": "the metrics count as often what the model makes of it",
    }
    for part, harm in harms.items():
        within = [[each for each in group if each.split == part] for group in groups]
        within = [group for group in within if len(group) > 1]
        if within:
            files = sum(map(len, within))
            text = (
                f"{files} images in {part} show {count_of(len(within), 'picture')}: copies of the"
                f" same pixels, so {harm}. Keep one of each"
            )
            yield warning(f"copies-in-{part}", text, _examples(within))


def near_pairs(images: Sequence[Image], notes: Mapping[str, Note]) -> Iterator[Pair]:
    """Yield pairs whose difference hashes nearly agree, each once."""
    by_id = {image.id: image for image in images}
    hashes = {name: int(notes[name].likeness, 16) for name in by_id}
    for first, second in near_hashes(hashes):
        yield by_id[first], by_id[second]


def near_hashes(hashes: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    """Yield the names of pairs whose difference hashes nearly agree, each once.

    Only images that share a whole band of the hash are compared: with so few differing bits at
    least one band has none, and comparing all pairs of 100,000 images would take hours.
    """
    seen: set[tuple[str, str]] = set()
    for band in range(_BANDS):
        groups: dict[int, list[str]] = defaultdict(list)
        for name, likeness in hashes.items():
            groups[(likeness >> 32 * band) & 0xFFFFFFFF].append(name)
        for group in groups.values():
            if len(group) > _CROWDED:
                continue
            for pair in combinations(group, 2):
                differing = (hashes[pair[0]] ^ hashes[pair[1]]).bit_count()
                if differing <= _NEAR and pair not in seen:
                    seen.add(pair)
                    yield pair


def alike_of_other_label(
    images: Sequence[Image], notes: Mapping[str, Note]
) -> dict[str, list[Image]]:
    """Return the images that look nearly the same as another one under the other label, by its id.

    Those without a note are passed over.
    """
    found: dict[str, list[Image]] = defaultdict(list)
    for pair in near_pairs([each for each in images if each.id in notes], notes):
        if _labels_differ(pair):
            first, second = pair
            found[first.id].append(second)
            found[second.id].append(first)
    return dict(found)


def _pictures(groups: Sequence[Sequence[Image]]) -> str:
    """Return ``2 pictures are``, or ``2 pictures, in 30 files, are`` of more than pairs."""
    pictures, files = count_of(len(groups), "picture"), sum(map(len, groups))
    within = f", in {files} files," if files > 2 * len(groups) else ""
    return f"{pictures}{within} {'is' if len(groups) == 1 else 'are'}"


def _examples(groups: Sequence[Sequence[Image]]) -> tuple[str, ...]:
    """Return every copy beside the first of its group, the first copies of all groups first."""
    beside = [[f"{group[0].id} = {other.id}" for other in group[1:]] for group in groups]
    return tuple(name for row in zip_longest(*beside) for name in row if name)
