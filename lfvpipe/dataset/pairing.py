"""Which mask belongs to which image, by name.

Layouts that are understood: the same name in another folder or archive, ``<stem>_mask.png``,
``<stem>_label.png`` (DAGM), ``<stem>_gt.png``, and ``ground_truth/<type>/<stem>_mask.png`` beside
``test/<type>/<stem>.png`` (MVTec AD).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

_SUFFIXES = ("_mask", "-mask", "_label", "-label", "_gt", "_segmentation")
_FOLDERS = frozenset(
    {"ground_truth", "groundtruth", "gt", "mask", "masks", "label", "labels", "mask-images"}
)


def looks_like_mask(name: str) -> bool:
    """Tell whether a member's name follows one of the habits of naming masks."""
    path = PurePosixPath(name.lower())
    return path.stem.endswith(_SUFFIXES) or not _FOLDERS.isdisjoint(path.parts[:-1])


class MaskIndex:
    """Finds, among `names`, the one that goes with another name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for name in names:
            self._by_stem[_stem(name)].append(name)

    def find(self, name: str) -> str | None:
        """Return the partner of `name`: the same stem, and the most folders in common.

        None if there is no such name, or several are equally close.
        """
        found = self._by_stem.get(_stem(name), [])
        if len(found) <= 1:
            return found[0] if found else None
        folders = _folders(name)
        closeness = sorted(
            ((common_ending(folders, _folders(other)), other) for other in found), reverse=True
        )
        return None if closeness[0][0] == closeness[1][0] else closeness[0][1]


def closeness_of(mask: str, image: str) -> int:
    """Return how many folders a mask and an image have in common, counted from the innermost."""
    return common_ending(_folders(mask), _folders(image))


def _stem(name: str) -> str:
    stem = PurePosixPath(name.lower()).stem
    suffix = next((suffix for suffix in _SUFFIXES if stem.endswith(suffix)), "")
    return stem.removesuffix(suffix)


def common_ending(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many parts of two paths are the same, counted from the end."""
    count = 0
    while count < min(len(first), len(second)) and first[-1 - count] == second[-1 - count]:
        count += 1
    return count


def _folders(name: str) -> list[str]:
    """Return the folders of a name but those that only say that masks are in them."""
    parts = PurePosixPath(name.lower()).parts[:-1]
    return [part for part in parts if part not in _FOLDERS]
