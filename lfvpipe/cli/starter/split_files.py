"""Text files that say which images are learnt from and which tested on, beside the images."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.listing import ListingError
from lfvpipe.dataset.naming import NameFinder
from lfvpipe.dataset.split_lists import read_names
from lfvpipe.dataset.words import MEANINGS, simplify

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from lfvpipe.cli.starter.image_tree import ImageTree
    from lfvpipe.dataset.listing import Part


@dataclass(frozen=True)
class SplitFiles:
    """A published split that text files hold.

    Attributes:
        files: The files of each part.
        parts: The part of each image that they list.
        used: The files' names in the tree.
    """

    files: Mapping[Part, tuple[Path, ...]] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    used: frozenset[str] = frozenset()


def find_split_files(tree: ImageTree, labelled: Collection[str]) -> SplitFiles | None:
    """Return the split that ``train.txt`` and ``test.txt`` in one folder hold; None for none.

    Of several folders with such files, as VOC's ImageSets has, it is the one that lists the most.

    Args:
        tree: What there is.
        labelled: The images that take part.
    """
    finder = NameFinder(tree.images, tree.base if tree.is_whole else None)
    by_folder: dict[Path, list[tuple[Part, Path, str]]] = defaultdict(list)
    for part, path, name in _texts(tree):
        by_folder[path.parent].append((part, path, name))
    splits = (_read(finder, texts) for texts in by_folder.values())
    found = [
        split
        for split in splits
        if split and {split.parts.get(name) for name in labelled} >= {"train", "test"}
    ]
    return max(found, key=lambda split: len(split.parts), default=None)


def _texts(tree: ImageTree) -> Iterator[tuple[Part, Path, str]]:
    places = {name: path for name, file in tree.others.items() if (path := file.path)}
    places |= {path.name: path for path in tree.files}
    for name, path in places.items():
        part = MEANINGS.get(simplify(path.stem)) if path.suffix.lower() == ".txt" else None
        if part == "train" or part == "test":
            yield part, path, name


def _read(finder: NameFinder, texts: list[tuple[Part, Path, str]]) -> SplitFiles | None:
    """Return what text files of one folder say; None where a run would refuse them."""
    files: dict[Part, tuple[Path, ...]] = {}
    parts: dict[str, Part] = {}
    for part, path, _ in texts:
        files[part] = (*files.get(part, ()), path)
        try:
            for where, said in read_names(path.name, path.read_bytes()):
                name = finder.find(said, where) or finder.find(said.split()[0], where)
                if name is not None and parts.setdefault(name, part) != part:
                    return None
        except (OSError, ListingError, SelectionError):
            return None
    return SplitFiles(files, parts, frozenset(name for _, _, name in texts))
