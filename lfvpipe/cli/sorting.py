"""Which images are good and which defective, told by the names of folders, archives and files.

What no name tells for certain stays open, in groups of images that one answer settles.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from lfvpipe.cli.name_reading import is_companion, is_vague, read_name
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset.globs import has_wildcard, matcher
from lfvpipe.dataset.pairing import MaskIndex, looks_like_mask
from lfvpipe.dataset.words import MEANINGS, simplify, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lfvpipe.cli.image_tree import ImageTree
    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.listing import Part

Kind = Literal["normal", "anomaly", "leave-out"]
_ALSO_TYPES = frozenset({"broken", "damage", "damaged", "flaw", "fehler", "defekt"})
MOST_GROUPS = 24  # of files by the beginning or end of their names


@dataclass(frozen=True)
class Group:
    """Images that one answer settles.

    Attributes:
        name: What the user calls them by: a folder, or a glob over files.
        names: Of the images.
        is_defect_type: They lie beside good products, and are called like no other thing.
    """

    name: str
    names: tuple[str, ...]
    is_defect_type: bool = False


@dataclass(frozen=True)
class Choices:
    """What the user says of folders, or of files by globs, before anything is guessed."""

    normal: tuple[str, ...] = ()
    anomaly: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()

    def items(self) -> Iterator[tuple[Kind, str]]:
        """Yield each with what it is said to be."""
        yield from (("normal", each) for each in self.normal)
        yield from (("anomaly", each) for each in self.anomaly)
        yield from (("leave-out", each) for each in self.leave_out)


@dataclass
class Sorting:
    """What became of each image.

    Attributes:
        labels: What an image is.
        parts: The part of a published split that it is in.
        masks: Images that are masks.
        left_out: Why an image is not used.
        open: What nobody knows yet.
        types: Types of defects that folders beside the good ones name.
        globs: Globs that tell images in one folder apart by their names.
    """

    labels: dict[str, Label] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    masks: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    open: list[Group] = field(default_factory=list)
    types: list[Group] = field(default_factory=list)
    globs: list[str] = field(default_factory=list)

    def of(self, label: Label) -> list[str]:
        """Return the names of a label's images, in the tree's order."""
        return sorted(name for name, each in self.labels.items() if each == label)

    def settle(self, group: Group, kind: Kind) -> None:
        """Take what a group is from the user."""
        if kind == "leave-out":
            self.left_out |= dict.fromkeys(group.names, "as you said")
        else:
            self.labels |= dict.fromkeys(group.names, kind)
        if has_wildcard(group.name):
            self.globs.append(group.name)
        self.open = [each for each in self.open if each != group]


def sort(tree: ImageTree, choices: Choices) -> Sorting:
    """Sort the images of a tree.

    Raises:
        UsageError: A choice fits no image, or two that contradict each other fit one.
    """
    sorting = Sorting()
    chosen = _chosen(tree, choices)
    folder = _Folder.of(name for name in tree.images if name not in chosen)
    state = _State()
    if tree.is_whole and tree.base:
        own = read_name(tree.base.name)
        plain = MEANINGS.get(simplify(tree.base.name))
        state = _State(own.label) if own.label and plain == own.label else state
    folder.shared = _shared_words(folder)
    _visit(folder, "", state, sorting)
    for name, (kind, pattern) in chosen.items():
        if kind == "leave-out":
            sorting.left_out[name] = f"by --leave-out {pattern}"
        else:
            sorting.labels[name] = kind
            folders = name.split("/")[:-1]
            part = next((part for each in folders if (part := read_name(each).part)), None)
            if part:
                sorting.parts[name] = part
    sorting.globs += [each for _, each in choices.items() if has_wildcard(each)]
    _sort_files(sorting)
    _find_masks(sorting)
    return sorting


@dataclass(frozen=True)
class _State:
    """What the folders above say."""

    label: Label | None = None
    part: Part | None = None
    is_mask: bool = False
    is_type: bool = False


@dataclass
class _Folder:
    folders: dict[str, _Folder] = field(default_factory=dict)
    images: list[str] = field(default_factory=list)
    shared: frozenset[str] = frozenset()

    @classmethod
    def of(cls, names: Iterable[str]) -> _Folder:
        """Return the tree of the folders of images with these names."""
        top = cls()
        for name in names:
            at = top
            for part in name.split("/")[:-1]:
                at = at.folders.setdefault(part, cls())
            at.images.append(name)
        return top

    def all(self) -> Iterator[str]:
        """Yield the names of all images below."""
        yield from self.images
        for each in self.folders.values():
            yield from each.all()

    def tells(self) -> bool:
        """Whether the name of a folder below says what lies in it."""
        return any(read_name(n).label or each.tells() for n, each in self.folders.items())


def _shared_words(folder: _Folder) -> frozenset[str]:
    """Return the words that several names side by side have: those of the product."""
    counts = Counter(word for name in folder.folders for word in set(words_of(name)))
    return frozenset(word for word, n in counts.items() if n > 1 and word not in MEANINGS)


def _visit(folder: _Folder, path: str, state: _State, sorting: Sorting) -> None:
    _take(folder.images, path, state, sorting)
    readings = {name: read_name(name, folder.shared) for name in folder.folders}
    has_good = any(MEANINGS.get(simplify(name)) == "normal" for name in folder.folders)
    has_bad = any(_is_all_defects(name, folder.shared) for name in folder.folders)
    for name, below in folder.folders.items():
        inside = f"{path}/{name}" if path else name
        reading = readings[name]
        below.shared = folder.shared | _shared_words(below)
        new = replace(
            state,
            label=reading.label or state.label,
            part=state.part or reading.part,
            is_mask=state.is_mask or (reading.is_mask and reading.label is None),
        )
        says_nothing = not (reading.label or reading.part or reading.is_mask)
        if says_nothing and state.label is None and not new.is_mask and not below.tells():
            if any(is_companion(name, other) for other in folder.folders):
                new = replace(new, label="normal")
            elif has_good and not has_bad and not is_vague(name):
                group = Group(inside, tuple(sorted(below.all())), is_defect_type=True)
                sorting.types.append(group)
                new = replace(new, label="anomaly", is_type=True)
        _visit(below, inside, new, sorting)


def _is_all_defects(name: str, shared: frozenset[str]) -> bool:
    """Tell a folder of whatever is defective (bad, ng) from one of a type of defects (broken)."""
    words = set(words_of(name)) - shared
    return read_name(name, shared).label == "anomaly" and all(
        MEANINGS.get(word) == "anomaly" and word not in _ALSO_TYPES for word in words
    )


def _take(images: Sequence[str], path: str, state: _State, sorting: Sorting) -> None:
    """Note what images in one folder are."""
    if not images:
        return
    if state.part:
        sorting.parts |= dict.fromkeys(images, state.part)
    if state.is_mask:
        sorting.masks += images
    elif state.label:
        sorting.labels |= dict.fromkeys(images, state.label)
    else:
        sorting.open.append(Group(path, tuple(images)))


def _sort_files(sorting: Sorting) -> None:
    """Tell images in one folder apart by how their names begin or end: ``ok_1.png``, ``ng_1``."""
    for group in list(sorting.open):
        found = _by_name(group)
        if found is None:
            continue
        sorting.open.remove(group)
        for each, label in found:
            if label:
                sorting.settle(each, label)
            else:
                sorting.open.append(each)


def _by_name(group: Group) -> list[tuple[Group, Label | None]] | None:
    """Return the groups that beginnings or endings tell apart; None where they tell nothing."""
    masks = {name for name in group.names if looks_like_mask(name)}
    for pattern, glob in ((r"^(\D*)", "{}*"), (r"(?<=\d)(\D*)$", "*{}.*")):
        by_text: dict[str, list[str]] = defaultdict(list)
        for name in group.names:
            if name not in masks:
                found = re.search(pattern, PurePosixPath(name).stem)
                by_text[found[1].casefold() if found else ""].append(name)
        labels = {text: read_name(text.strip(" _-.")).label for text in by_text}
        if not any(labels.values()) or "" in by_text or len(by_text) > MOST_GROUPS:
            continue
        folder = f"{group.name}/" if group.name else ""
        sorted_ = [
            (Group(f"{folder}{glob.format(text)}", tuple(names)), labels[text])
            for text, names in by_text.items()
        ]
        return sorted_ + ([(Group(group.name, tuple(sorted(masks))), None)] if masks else [])
    return None


def _find_masks(sorting: Sorting) -> None:
    """Take images for masks that are named like masks of others: ``1_mask.png``."""
    index = MaskIndex(name for name in sorting.labels if not looks_like_mask(name))
    for group in list(sorting.open):
        masks = [n for n in group.names if looks_like_mask(n) and index.find(n) is not None]
        if len(masks) == len(group.names):
            sorting.masks += masks
            sorting.open.remove(group)
    own = [n for n in sorting.labels if looks_like_mask(n) and index.find(n) is not None]
    for name in own:
        del sorting.labels[name]
    sorting.masks += own


def _chosen(tree: ImageTree, choices: Choices) -> Mapping[str, tuple[Kind, str]]:
    """Return what the user says of images, by their names in the tree."""
    chosen: dict[str, tuple[Kind, str]] = {}
    for kind, pattern in choices.items():
        fitting = [name for name in tree.images if fits(tree, pattern, name)]
        if not fitting:
            folders = sorted({str(PurePosixPath(name).parent) for name in tree.images})
            raise UsageError(
                f"No image fits --{kind} {pattern}.",
                hint=f"Images lie in {', '.join(folders[:8])}." if folders else "",
            )
        if kind == "normal":
            _insist_on_no_defects(pattern, fitting)
        for name in fitting:
            before = chosen.setdefault(name, (kind, pattern))
            if before[0] != kind:
                raise UsageError(
                    f"{name} fits --{before[0]} {before[1]} and --{kind} {pattern}.",
                    hint="Name folders, or globs over names, that have no image in common.",
                )
    return chosen


def _insist_on_no_defects(pattern: str, names: Iterable[str]) -> None:
    """Raise a UsageError where a folder called good has folders in it that are called defective."""
    last = pattern.strip("/").split("/")[-1].casefold()
    for name in names:
        folders = name.split("/")[:-1]
        at = next((at for at, each in enumerate(folders) if each.casefold() == last), -1)
        below = [each for each in folders[at + 1 :] if read_name(each).label == "anomaly"]
        if below and not has_wildcard(pattern):
            raise UsageError(
                f"--normal {pattern} would take {name} for good, which lies in {below[0]}/.",
                hint="Name the folders one by one.",
            )


def fits(tree: ImageTree, pattern: str, name: str) -> bool:
    """Tell whether what the user calls images by fits one: a path, a folder's name, or a glob."""
    path = Path(pattern).absolute()
    file = tree.images[name]
    if path.exists():
        place = file.root.path / file.member if file.root.path.is_dir() else file.root.path
        return path == place or path in place.parents
    if has_wildcard(pattern):
        is_top = pattern.startswith("./") and "/" not in pattern[2:]
        return matcher([pattern])(name) and not (is_top and "/" in name)
    folder = PurePosixPath(name).parent.as_posix().casefold()
    return f"/{pattern.strip('/').casefold()}/" in f"/{folder}/"
