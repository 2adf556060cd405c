"""Which images are good and which defective, told by the names of folders, archives and files.

What no name tells for certain stays open, in groups of images that one answer settles; so does what
one name says and another denies.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.cli.starter.choosing import chosen
from lfvpipe.cli.starter.covering import escaped
from lfvpipe.cli.starter.file_names import FileNames
from lfvpipe.cli.starter.groups import Group, Sorting, below
from lfvpipe.cli.starter.name_reading import (
    MADE,
    doubt,
    is_companion,
    is_vague,
    may_be_made,
    read_name,
)
from lfvpipe.dataset.globs import has_wildcard, matcher
from lfvpipe.dataset.pairing import MaskIndex, looks_like_mask
from lfvpipe.dataset.words import (
    MEANINGS,
    has_other_words,
    is_any_defect,
    is_defect_type,
    is_undecided,
    product_words,
    simplify,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lfvpipe.cli.starter.choosing import Choice, Choices
    from lfvpipe.cli.starter.image_tree import ImageTree
    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.listing import Part


def sort(tree: ImageTree, choices: Choices) -> Sorting:
    """Sort the images of a tree.

    Raises:
        UsageError: A choice fits no image, or two that contradict each other fit one.
    """
    sorting = Sorting(no_parts=_no_parts(tree))
    sorting.rules += [
        f"{name}/ is not taken for a part of a split into train and test: its name says more"
        for name in sorted(sorting.no_parts)
    ]
    said = chosen(tree, choices)
    rest = [name for name in tree.images if name not in said]
    if choices.are_all:
        sorting.left_out |= dict.fromkeys(rest, "not among what you named")
        rest = []
    folder = _Folder.of(rest)
    folders_tell = {"normal", "anomaly"} <= set(_Folder.of(tree.images).labels())
    files = FileNames(tree.images, folders_tell)
    state = _State()
    if tree.is_whole and tree.base and not folder.tells_both():
        own = read_name(tree.base.name)
        plain = MEANINGS.get(simplify(tree.base.name))
        if own.label and plain == own.label:
            state = _State(own.label, tree.base.name, below(""))
    folder.shared = product_words(folder.folders)
    _Visit(sorting, files).visit(folder, "", state)
    _take_chosen(tree, said, files, sorting)
    for group in list(sorting.open):
        if not group.doubt and not files.sort(group, sorting):
            files.part(group, sorting)
    if files.lead:
        sorting.rules.append(
            f"all names begin with {files.lead}: that is taken for a part of the product's name"
        )
    _find_masks(sorting)
    sorting.open = _merged(sorting.open, tree)
    return sorting


def _no_parts(tree: ImageTree) -> frozenset[str]:
    """Return names of folders with a word for testing in them that are no part of a split.

    An end-of-line test is a station. Where folders say train, too, these are parts.
    """
    names = {folder for name in tree.images for folder in name.split("/")[:-1]}
    parts = {name: part for name in names if (part := read_name(name).part)}
    if set(parts.values()) == {"train", "test"}:
        return frozenset()
    products = product_words(names)
    return frozenset(name for name in parts if has_other_words(name, products))


def _take_chosen(
    tree: ImageTree, said: Mapping[str, Choice], files: FileNames, sorting: Sorting
) -> None:
    """Take what the user says of images, but for what names in a folder deny that he named."""
    by_folder: dict[tuple[str, Label, str], list[str]] = defaultdict(list)
    by_glob: dict[tuple[str, Label, str], list[str]] = defaultdict(list)
    types: dict[str, list[str]] = defaultdict(list)
    for name, choice in said.items():
        sorting.told[name] = choice.glob
        if choice.kind == "leave-out":
            sorting.left_out[name] = f"by --leave-out {choice.pattern}"
            continue
        sorting.labels[name] = choice.kind
        folders = name.split("/")[:-1]
        if part := next((part for each in folders if (part := sorting.part_of(each))), None):
            sorting.parts[name] = part
        if choice.folder and choice.kind == "anomaly" and _is_type_by_place(tree, choice.folder):
            types[choice.folder].append(name)
        above = PurePosixPath(name).parent.as_posix().removeprefix(".")
        if choice.folder is not None:
            by_folder[above, choice.kind, choice.folder].append(name)
        elif has_wildcard(choice.pattern) and choice.glob != escaped(name):
            by_glob[above, choice.kind, choice.pattern].append(name)
    sorting.types += (Group(folder, tuple(names)) for folder, names in types.items())
    for (above, label, top), names in by_folder.items():
        outer = PurePosixPath(top).name or "the folder"
        inner = above[len(top) :].strip("/").split("/")
        doubts = (doubt(each, label, outer, is_all=True) for each in inner if each)
        if why := next(filter(None, doubts), ""):
            groups = [Group(above, tuple(names), doubt=why)]
        else:
            groups = [*files.doubted(above, names, label)]
        _doubt_all(groups, sorting)
    # Of a glob what denies it is asked, but for what the glob itself names: './*', '*_NG.*'.
    for (above, label, pattern), names in by_glob.items():
        by = f"--{label} {pattern}"
        _doubt_all(files.doubted(above, names, label, by=by, named=pattern), sorting)


def _doubt_all(groups: Iterable[Group], sorting: Sorting) -> None:
    for group in groups:
        for name in group.names:
            del sorting.labels[name]
        sorting.open.append(group)


def _is_type_by_place(tree: ImageTree, folder: str) -> bool:
    """Tell whether a folder that the user calls defective lies beside the good products alone."""
    above, _, own = folder.rpartition("/")
    inside = [name.removeprefix(f"{above}/") for name in tree.images if name.startswith(above)]
    beside = {name.split("/")[0] for name in inside if "/" in name}
    has_good = any(MEANINGS.get(simplify(name)) == "normal" for name in beside)
    is_all = any(_is_all_defects(name, product_words(beside)) for name in beside)
    return has_good and not is_all and not is_vague(own)


@dataclass(frozen=True)
class _State:
    """What the folders above say.

    Attributes:
        label: What the images are.
        above: The name of the folder that says so.
        told: The glob by which they are told.
        part: The part of a published split.
        is_mask: They are masks.
        may_be_type: They lie beside good products, in a folder of whose name nothing is known.
    """

    label: Label | None = None
    above: str = ""
    told: str = ""
    part: Part | None = None
    is_mask: bool = False
    may_be_type: bool = False


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

    def labels(self) -> Iterator[Label]:
        """Yield what the names of the folders below say of what lies in them."""
        shared = product_words(self.folders)
        for name, each in self.folders.items():
            if label := read_name(name, shared).label:
                yield label
            yield from each.labels()

    def tells_both(self) -> bool:
        """Whether folders below say all: the name of this one is the product's (defects/ok)."""
        return not self.images and {"normal", "anomaly"} <= set(self.labels())


@dataclass(frozen=True)
class _Visit:
    """Goes through folders, and notes what their images are."""

    sorting: Sorting
    files: FileNames

    def visit(self, folder: _Folder, path: str, state: _State) -> None:
        """Note what the images in a folder are, and in those below."""
        self._take(folder.images, path, state)
        has_good = any(MEANINGS.get(simplify(name)) == "normal" for name in folder.folders)
        has_bad = any(_is_all_defects(name, folder.shared) for name in folder.folders)
        defective = [n for n in folder.folders if read_name(n, folder.shared).label == "anomaly"]
        for name, inner in folder.folders.items():
            inside = f"{path}/{name}" if path else name
            reading = read_name(name, folder.shared)
            if name in self.sorting.no_parts:
                reading = replace(reading, part=None)
            inner.shared = folder.shared | product_words(inner.folders)
            if not reading.is_mask and (why := _doubt(folder, name, state)):
                self._leave_open(Group(inside, tuple(sorted(inner.all())), doubt=why), state)
                continue
            if reading.label and inner.tells_both():
                reading = replace(reading, label=None)
            new = replace(
                state,
                part=state.part or reading.part,
                is_mask=state.is_mask or (reading.is_mask and reading.label is None),
            )
            if reading.label:
                new = replace(new, label=reading.label, above=name, told=below(inside))
            says_nothing = not (reading.label or reading.part or reading.is_mask)
            tells = bool(set(inner.labels()))
            if says_nothing and state.label is None and not new.is_mask and not tells:
                if any(is_companion(name, other) for other in defective):
                    new = replace(new, label="normal", above=name, told=below(inside))
                elif has_good and not has_bad and is_defect_type(name):
                    group = Group(inside, tuple(sorted(inner.all())), is_defect_type=True)
                    self.sorting.types.append(group)
                    new = replace(new, label="anomaly", above=name, told=below(inside))
                elif has_good and not has_bad and not is_vague(name):
                    new = replace(new, may_be_type=True)
            self.visit(inner, inside, new)

    def _take(self, images: Sequence[str], path: str, state: _State) -> None:
        """Note what images in one folder are."""
        if not images:
            return
        self._note_part(images, state)
        if state.is_mask:
            self.sorting.masks += images
            self.sorting.told |= dict.fromkeys(images, below(path))
        elif state.label:
            self.sorting.labels |= dict.fromkeys(images, state.label)
            self.sorting.told |= dict.fromkeys(images, state.told)
            _doubt_all(self.files.doubted(path, images, state.label), self.sorting)
        else:
            group = Group(path, tuple(images), is_defect_type=state.may_be_type)
            self.sorting.open.append(group)

    def _leave_open(self, group: Group, state: _State) -> None:
        self._note_part(group.names, state)
        self.sorting.open.append(group)

    def _note_part(self, images: Sequence[str], state: _State) -> None:
        if state.part:
            self.sorting.parts |= dict.fromkeys(images, state.part)


def _doubt(folder: _Folder, name: str, state: _State) -> str:
    """Return what speaks against taking a folder for what it, or those above, say; "" if nothing.

    Args:
        folder: The one that it lies in.
        name: Its name.
        state: What those above say.
    """
    inner = folder.folders[name]
    if state.is_mask:
        return ""
    if state.label:
        is_made = may_be_made(name) and _is_again(inner, folder)
        is_all = not _has_more(folder, name)
        why = doubt(name, state.label, state.above, folder.shared, is_all=is_all)
        return why or (MADE if is_made else "")
    if is_undecided(name) and any(inner.labels()) and _has_more(folder, name):
        return "what is in it is called good or defective, but the folder's name takes that back"
    return ""


def _has_more(folder: _Folder, name: str) -> bool:
    """Tell whether a folder has images beside those in one of its folders."""
    return bool(folder.images) or any(
        next(each.all(), "") for other, each in folder.folders.items() if other != name
    )


def _is_again(inner: _Folder, folder: _Folder) -> bool:
    """Tell whether files in a folder are called as others in the one above it."""
    own = list(inner.all())
    beside = {PurePosixPath(name).stem for name in set(folder.all()).difference(own)}
    return {PurePosixPath(name).stem for name in own} <= beside


def _is_all_defects(name: str, shared: frozenset[str]) -> bool:
    """Tell a folder of whatever is defective (bad, ng) from one of a type of defects (broken)."""
    return read_name(name, shared).label == "anomaly" and is_any_defect(name)


def _find_masks(sorting: Sorting) -> None:
    """Take images for masks that are named like masks of others: ``1_mask.png``."""
    index = MaskIndex(name for name in sorting.labels if not looks_like_mask(name))
    for group in list(sorting.open):
        masks = [n for n in group.names if looks_like_mask(n) and index.find(n) is not None]
        if len(masks) == len(group.names):
            sorting.masks += masks
            sorting.told |= {name: _mask_glob(name) for name in masks}
            sorting.open.remove(group)
    own = [n for n in sorting.labels if looks_like_mask(n) and index.find(n) is not None]
    for name in own:
        del sorting.labels[name]
        sorting.told[name] = _mask_glob(name)
    sorting.masks += own


def _mask_glob(name: str) -> str:
    """Return the glob of masks that are called so in a folder: ``bad/*_mask.*``."""
    path = PurePosixPath(name)
    at = max(path.stem.rfind("_"), path.stem.rfind("-"))
    if at < 0 or not looks_like_mask(path.name):  # it lies in a folder of masks
        return below(path.parent.as_posix())
    return f"{escaped(path.parent.as_posix())}/*{escaped(path.stem[at:])}.*"


def _merged(groups: Sequence[Group], tree: ImageTree) -> list[Group]:
    """Return groups with those of several folders put together that one word can name."""
    alike: dict[tuple[str, str], list[Group]] = defaultdict(list)
    for group in groups:
        last = group.name.rsplit("/", maxsplit=1)[-1]
        alike[(last if group.is_glob and group.doubt else group.name), group.doubt].append(group)
    found: list[Group] = []
    for (last, _), same in alike.items():
        names = tuple(sorted(name for group in same for name in group.names))
        if len(same) > 1 and has_wildcard(last):
            matches = matcher([last])
            if {name for name in tree.images if matches(name)} == set(names):
                found.append(replace(same[0], name=last, names=names))
                continue
        found += same
    return found
