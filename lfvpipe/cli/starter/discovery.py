"""What a pipeline can be made of: which images are good, which defective, and what is left out.

Nothing is taken for good that nobody called so: what names do not tell is asked, or refused with
the options that say it.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe import archives, images
from lfvpipe.cli.output import styled
from lfvpipe.cli.starter.choosing import glob_folder
from lfvpipe.cli.starter.covering import folders
from lfvpipe.cli.starter.denials import denials
from lfvpipe.cli.starter.image_tree import (
    FOREIGN_SUFFIXES,
    LONGEST_FILE,
    look,
    place_of,
    shown_folder,
    stem,
)
from lfvpipe.cli.starter.label_sources import label_source
from lfvpipe.cli.starter.list_choice import find_list
from lfvpipe.cli.starter.listed_sources import Listed, table_faults
from lfvpipe.cli.starter.products import settle_products
from lfvpipe.cli.starter.sorting import sort
from lfvpipe.cli.starter.split_files import find_split_files
from lfvpipe.cli.starter.undecided import settle_open, settle_types, take_judged
from lfvpipe.cli.usage import UsageError
from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.annotations import AnnotationError
from lfvpipe.dataset.globs import has_wildcard, is_image_name
from lfvpipe.dataset.listing import NoTable
from lfvpipe.dataset.pairing import MaskIndex, looks_like_mask
from lfvpipe.dataset.parts import suggest_group
from lfvpipe.dataset.words import MEANINGS, is_validation, simplify
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from lfvpipe.cli.starter.covering import Cover
    from lfvpipe.cli.starter.groups import Group, Sorting
    from lfvpipe.cli.starter.image_tree import File, ImageTree
    from lfvpipe.cli.starter.label_sources import LabelSource
    from lfvpipe.cli.starter.list_choice import Ignored
    from lfvpipe.cli.starter.undecided import Asked
    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.listing import Part
    from lfvpipe.errors import UserError

NO_PRODUCT = "product"  # what one is called whose folders bear no name
LOOKED_AT = 40  # images per label whose headers are read
_GENERIC_TEXT = (
    "images image img imgs photos photo pics pictures bilder fotos data dataset datasets samples"
    " export archive archives input inputs upload tmp temp new all work home desktop downloads"
    " documents annotations labels all"
)
_GENERIC = frozenset(_GENERIC_TEXT.split())


@dataclass(frozen=True)
class Masks:
    """Masks of defects: where they lie, and how many of the defective images have one."""

    path: Path
    fitting: int


@dataclass(frozen=True)
class Judged:
    """Images that nobody called anything, in a folder for testing: the model judges them."""

    path: Path
    globs: Cover
    count: int


@dataclass(frozen=True)
class OwnSplit:
    """A published split: globs over the images of each part; none where the source brings it.

    Attributes:
        train: Globs.
        test: The same.
        files: Text files of names in place of globs.
    """

    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    files: Mapping[Part, tuple[Path, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Discovery:
    """What there is to make a pipeline of.

    Attributes:
        product: What the images' folder or archive is called.
        layout: What the layout is called.
        sources: Where the images of each label lie; empty where something lists them.
        listed: What lists them.
        names: What the pipeline calls the images of each label.
        counts: How many images there are, by label and part of the split, "" for none.
        split: The published split.
        masks: Masks that can be learnt from, where the source does not bring them.
        judged: Images to get verdicts on.
        group: A regular expression that may find what part an image shows; "" for none.
        sizes: Width and height in px → how many of the images looked at have it.
        used: What was made of the images, a line each.
        against: What a list of images denies of the names of folders, a line each.
        left_out: What is not used, and why, a line each.
    """

    product: str
    layout: str
    sources: Mapping[Label, LabelSource] = field(default_factory=dict)
    listed: Listed | None = None
    names: Mapping[Label, tuple[str, ...]] = field(default_factory=dict)
    counts: Mapping[tuple[Label, str], int] = field(default_factory=dict)
    split: OwnSplit | None = None
    masks: Masks | None = None
    judged: tuple[Judged, ...] = ()
    group: str = ""
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    used: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def count(self, label: Label) -> int:
        """Return how many images there are of a label."""
        return sum(count for (each, _), count in self.counts.items() if each == label)


def discover(paths: Sequence[Path], asked: Asked) -> Discovery:
    """Look at folders, archives, and files that list images.

    Raises:
        UsageError: One is not there, or what the images show cannot be told, nor asked.
        ArchiveError: One is damaged.
        ListingError: The table that was named cannot be used.
        AnnotationError: The annotations that were named cannot be used.
    """
    choices = asked.choices
    apart = _named_apart(paths, asked)
    tree = look([*paths, *apart])
    if not tree.images and not tree.files and not tree.others:
        raise UsageError(
            f"There are no images in {', '.join(map(str, [*paths, *apart]))}{_skipped(tree)}.",
            hint="Name a folder or archives of images.",
        )
    listed = find_list(tree, asked)
    if isinstance(listed, Listed):
        return _of_listed(tree, listed)
    if not tree.images:
        raise UsageError(
            f"There are no images in {', '.join(map(str, [*paths, *apart]))},"
            f" only {_endings(tree.others)}{_skipped(tree)}.",
            hint="Name a folder or archives of images.",
        )
    faults = table_faults(tree, choices)
    try:
        sorting = sort(tree, choices)
        if asked.may_ask and (sorting.open or sorting.types):
            asked = replace(asked, has_unused_list=_tell_unused(listed, faults))
        product = settle_products(sorting, asked)
        settle_types(tree, sorting, asked)
        judged = take_judged(sorting)
        settle_open(tree, sorting, asked)
    except UsageError as error:
        # A table that says it all may lie there, with a word in it that is not known: to sort the
        # images by hand, as the refusal proposes, would be to learn from what the table denies.
        if not faults:
            raise
        mend = [f"{fault.message} {fault.hint}" for fault in faults]
        mend.append("Put that right, or take it elsewhere to go by folders.")
        raise UsageError(
            f"{error.message} {_what_lies(faults)} there, and cannot be used.",
            hint="\n".join(mend),
        ) from error
    found = _of_sorting(tree, sorting, judged, faults)
    unused = listed.told(sorting) if listed else ()
    return replace(found, product=product or found.product, left_out=(*unused, *found.left_out))


def _tell_unused(listed: Ignored | None, faults: Sequence[UserError]) -> bool:
    """Print which lists lie there and are not used, before it is asked what they say; if any."""
    lines = [f"{fault.message} {fault.hint}" for fault in faults]
    if listed:
        lines.append(f"Not used is {listed.title or listed.fault}, since you say {listed.option}.")
    elif lines:
        lines = [f"{_what_lies(faults)} there, and cannot be used.", *lines]
        lines.append("Ctrl-C ends this, to put that right; what is asked goes by folders alone.")
    for line in lines:
        print(styled(line, "yellow", stream=sys.stderr), file=sys.stderr)
    return bool(lines)


def _what_lies(faults: Sequence[UserError]) -> str:
    return "Annotations lie" if all(map(_is_of_annotations, faults)) else "A table lies"


def _is_of_annotations(fault: UserError) -> bool:
    return isinstance(fault, AnnotationError)


def _kind(fault: UserError) -> str:
    return "annotations" if _is_of_annotations(fault) else "a table"


def _named_apart(paths: Sequence[Path], asked: Asked) -> list[Path]:
    """Return what the user names by options alone: folders, archives, and folders of images.

    Raises:
        UsageError: Nothing that is named is there.
    """
    named: list[Path] = []
    words = [word for _, word in asked.choices.items()]
    for word in words:
        place = place_of(word)
        if place.exists():
            is_image = place.is_file() and is_image_name(place.name)
            named.append(place.parent if is_image else place)
        elif not paths and has_wildcard(word) and glob_folder(word).is_dir():
            named.append(glob_folder(word))
    if not paths and not named:
        raise UsageError(
            f"There is no folder, archive or image by the name of {shlex.join(words)}.",
            hint="Name the folder or archives that hold the images, such as"
            f" `{replace(asked, paths=('photos',)).command({})}`.",
        )
    known = set(map(place_of, paths))
    return [
        each
        for each in dict.fromkeys(named)
        if known.isdisjoint([each, *each.parents]) and set(named).isdisjoint(each.parents)
    ]


def _of_listed(tree: ImageTree, listed: Listed) -> Discovery:
    names = {
        label: tuple(sorted(name for name, each in listed.labels.items() if each == label))
        for label in LABELS
    }
    labelled = [name for name, label in listed.labels.items() if label]
    has_split = set(listed.parts.values()) == {"train", "test"} or listed.kind == "manifest"
    own = None if has_split else find_split_files(tree, labelled)
    parts = own.parts if own else listed.parts
    counts: Counter[tuple[Label, str]] = Counter(
        (label, parts.get(name, "")) for name, label in listed.labels.items() if label
    )
    for said, count in listed.counts.items():
        counts["normal" if said == "normal" else "anomaly", ""] += count
    split = OwnSplit() if {part for _, part in counts} == {"train", "test"} else None
    if own:
        split = OwnSplit(files=own.files)
    unlabelled = [name for name, label in listed.labels.items() if label is None]
    told = listed.labels.keys() | listed.used | listed.left_out.keys() | listed.taken_off.keys()
    rest = [name for name in tree.images if name not in told]
    masks = [name for name in rest if looks_like_mask(name)]
    unlisted = next((f", such as {name}" for name in rest if name not in masks), "")
    verb = "do" if listed.kind == "annotations" else "does"
    left = Counter(
        {
            f"image{{}} that the {listed.kind} {verb} not list{unlisted}": len(rest) - len(masks),
            "mask{} of no defective image": len(masks),
        }
    )
    for word in listed.left_out.values():
        left[f"image{{}} that the table calls {word}, as you said"] += 1
    for word in listed.taken_off.values():
        left[f"image{{}} by --leave-out {word}"] += 1
    if listed.kind != "manifest":
        left["image{} listed without a label"] += len(unlabelled)
    if lacking := listed.lacking:
        verb = "is" if len(lacking) == 1 else "are"
        left[f"listed image{{}} that {verb} not there, such as {lacking[0]}"] = len(lacking)
    ordered = sorted(
        counts.items(), key=lambda each: (each[0][0] != "normal", each[0][1] == "test")
    )
    used = [_plain(label, part, count) for (label, part), count in ordered if count]
    used += _of_validation(tree, listed.validation)
    used += [
        f"column {listed.columns[each]}: taken for the {each}, by what is in it"
        for each in listed.told_columns
    ]
    if listed.words_as_types:
        types = [*listed.words_as_types]
        words = ", ".join(types[:6]) + ", …" * (len(types) > 6)
        used.append(f"taken for types of defects, by what they are called: {words}")
    if fitting := sum(name in tree.images for name in listed.used):
        used.append(count_of(fitting, "mask"))
    against: tuple[str, ...] = ()
    if listed.kind != "layout":
        which = listed.files[0].name if len(listed.files) == 1 else f"the {listed.kind}"
        against = denials(tree, which, listed.said or listed.labels)
    looked_at = [names[label] for label in LABELS if names[label]] or [tuple(unlabelled)]
    return Discovery(
        product=_product(tree, listed.archive or listed.files[0].parent),
        layout=listed.title,
        listed=listed,
        names=names,
        counts=counts,
        split=split,
        group="",
        sizes=_sizes(tree, looked_at),
        used=(*used, *_guesses(tree)),
        against=against,
        left_out=(
            *(f"{n} {what.replace('{}', 's' * (n > 1), 1)}" for what, n in left.items() if n),
            *(f"{name}: a table of {count_of(n, 'image')}" for name, n in listed.beside.items()),
            *_other_files(tree, listed.used | listed.beside.keys() | (own.used if own else set())),
        ),
    )


def _plain(label: Label, part: str, count: int) -> str:
    what = "normal" if label == "normal" else "anomalous"
    return count_of(count, f"{what} image") + (f" to {_VERBS[part]}" if part else "")


_VERBS = {"train": "train on", "test": "test on"}


def _of_validation(tree: ImageTree, names: Collection[str]) -> Iterator[str]:
    """Yield what is said of images in a part that is called validation."""
    if names:
        folders = {_folder(tree, name) for name in names}
        where = f" ({', '.join(sorted(folders))})" if len(folders) <= 4 else ""
        counts = "counts" if len(names) == 1 else "count"
        yield f"{count_of(len(names), 'image')} for validation{where} {counts} as test"


def _of_sorting(
    tree: ImageTree, sorting: Sorting, judged: Sequence[Group], faults: Sequence[UserError]
) -> Discovery:
    names = {label: sorting.of(label) for label in LABELS if sorting.of(label)}
    parts = {sorting.parts.get(name) for each in names.values() for name in each}
    if parts == {None, "test"}:  # what lies beside a folder for testing is learnt from
        unsaid: list[str] = [name for name in sorting.labels if name not in sorting.parts]
        sorting.parts |= dict.fromkeys(unsaid, "train")
        parts = {"train", "test"}
    own = find_split_files(tree, list(sorting.labels)) if parts == {None} else None
    has_split = parts == {"train", "test"}
    are_types = _are_types(sorting)
    sources = _sources(tree, names, sorting.told, by_folder=not has_split, are_types=are_types)
    if any(source.globs.include or source.globs.exclude for source in sources.values()):
        # Alike for both labels.
        sources = _sources(tree, names, sorting.told, by_folder=False, are_types=are_types)
    split = _own_split(sources, sorting.parts) if has_split else None
    if own:
        split = OwnSplit(files=own.files)
        sorting.parts |= own.parts
    partly = {"train", "test"} <= parts and not has_split
    masks, unfit = _masks(tree, sorting, names.get("anomaly", []))
    counts: Counter[tuple[Label, str]] = Counter(
        (label, (sorting.parts.get(name) or "") if split else "")
        for label, each in names.items()
        for name in each
    )
    used = [*_lines(tree, names, sorting.parts if split else {}), *sorting.rules]
    if split:
        everything = (PurePosixPath(name) for each in names.values() for name in each)
        used += _of_validation(
            tree, [str(path) for path in everything if any(map(is_validation, path.parts[:-1]))]
        )
    if masks:
        used.append(
            f"{count_of(masks.fitting, 'mask')} of the anomalous images: see `masks` in the file"
        )
    used += [
        f"{count_of(len(group.names), 'image')} in {shown_folder(tree, group.name)} to judge"
        for group in judged
    ]
    left = Counter((_folder(tree, name), why) for name, why in sorting.left_out.items())
    left += Counter((_folder(tree, name), "masks of no image") for name in unfit)
    left_out = [
        f"{count_of(n, 'image')} in {folder}: {why}" for (folder, why), n in sorted(left.items())
    ]
    if partly or (has_split and split is None):
        left_out.append("the division into train and test, which not all images have")
    return Discovery(
        product=_product(tree, next(iter(sources["normal"].archives))),
        layout=_title(sorting, sources, has_split=split is not None),
        sources=sources,
        names={label: tuple(source.names.values()) for label, source in sources.items()},
        counts=counts,
        split=split,
        masks=masks,
        judged=tuple(_where(tree, group) for group in judged),
        group=suggest_group(
            [name for each in sources.values() for name in each.names.values()],
            {PurePosixPath(group.name).name for group in sorting.types},
        ),
        sizes=_sizes(tree, list(names.values())),
        used=(*used, *_guesses(tree)),
        left_out=(
            *left_out,
            *(
                f"{_kind(fault)}: {fault.message}"
                for fault in faults
                if not isinstance(fault, NoTable)
            ),
            *_other_files(tree, own.used if own else ()),
        ),
    )


def _are_types(sorting: Sorting) -> bool:
    """Tell whether the folder right above each image of a type of defect is called as that is."""
    names = ((PurePosixPath(name), group) for group in sorting.types for name in group.names)
    return bool(sorting.types) and all(str(name.parent) == group.name for name, group in names)


def _sources(
    tree: ImageTree,
    names: Mapping[Label, Sequence[str]],
    told: Mapping[str, str],
    *,
    by_folder: bool,
    are_types: bool,
) -> dict[Label, LabelSource]:
    """Return how both labels are named: each by a folder of its own, or by globs over one."""
    for from_base in (False, True):
        sources = {
            label: label_source(
                tree,
                each,
                told,
                by_folder=by_folder,
                from_base=from_base,
                are_defects=label == "anomaly",
                are_types=are_types,
            )
            for label, each in names.items()
        }
        shared = [source.archives == (tree.base,) for source in sources.values()]
        if all(shared) or not any(shared):
            break
    return sources


def _title(sorting: Sorting, sources: Mapping[Label, LabelSource], *, has_split: bool) -> str:
    if "anomaly" not in sources:
        return "good products alone"
    if sorting.types or sources["anomaly"].has_types:
        title = "a folder of good products beside one for each type of defect"
    elif sorting.told_by_files() == set(sorting.labels):
        title = "files named after what they show"
    elif sorting.told_by_files():
        title = "folders and files named after what they show"
    elif all(not source.globs.include for source in sources.values()):
        title = "a folder or archive for each label"
    else:
        title = "folders named after what they hold"
    return f"{title}, divided into train and test" if has_split else title


def _lines(
    tree: ImageTree, names: Mapping[Label, Sequence[str]], parts: Mapping[str, Part]
) -> Iterator[str]:
    for label, each in names.items():
        counts = Counter((_folder(tree, name), parts.get(name, "")) for name in each)
        what = "normal" if label == "normal" else "anomalous"
        if len(counts) > 12:
            yield f"{count_of(len(each), f'{what} image')} in {len(counts)} folders"
            continue
        for (folder, part), count in sorted(
            counts.items(), key=lambda each: (each[0][1] == "test", each[0][0])
        ):
            to = f", to {_VERBS[part]}" if part else ""
            yield f"{count_of(count, f'{what} image')} in {folder}{to}"


def _folder(tree: ImageTree, name: str) -> str:
    """Return what a person calls the folder or archive that an image lies in."""
    return shown_folder(tree, PurePosixPath(name).parent.as_posix())


def _other_files(tree: ImageTree, used: Iterable[str]) -> Iterator[str]:
    """Yield what there is beside images that was made use of."""
    rest = [name for name in tree.others if name not in set(used)]
    packed = [name for name in rest if name.lower().endswith(FOREIGN_SUFFIXES)]
    if packed:
        shown = ", ".join(packed[:6]) + (", …" if packed[6:] else "")
        yield (
            f"{count_of(len(packed), 'archive')} of a kind that is not read: {shown}; images may be"
            " in there: use a zip, a tar (gz, bz2, xz) or a folder"
        )
    rest = [name for name in rest if name not in packed]
    if rest:
        yield f"{_endings(rest)}: no images that can be used"
    yield from (f"{count} {kind}" for kind, count in _all_skipped(tree).most_common())


def _guesses(tree: ImageTree) -> Iterator[str]:
    """Yield what names in archives were read as where nothing there says it."""
    for root in tree.roots:
        if root.guess:
            yield (
                f"names in {root.path.name} read as {root.guess}; should they look wrong, write"
                " `encoding` into the file"
            )


def _all_skipped(tree: ImageTree) -> Counter[str]:
    return sum((root.skipped for root in tree.roots), Counter[str]())


def _skipped(tree: ImageTree) -> str:
    """Return what was passed over where no image is left, as the end of a sentence."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in _all_skipped(tree).most_common(3))
    return f", and passed over: {kinds}" if kinds else ""


def _endings(names: Iterable[str]) -> str:
    kinds = Counter(
        PurePosixPath(name).suffix.lower() or "files without an ending" for name in names
    )
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(8))


def _own_split(sources: Mapping[Label, LabelSource], parts: Mapping[str, Part]) -> OwnSplit | None:
    """Return globs for the parts of a split; None where the pipeline's names do not tell them."""
    by_part: dict[str, set[str]] = {"train": set(), "test": set()}
    for source in sources.values():
        for name, shown in source.names.items():
            by_part[parts[name]].add(shown)
    train, test = by_part["train"], by_part["test"]
    if train & test:
        return None
    in_train, in_test = (folders(each, train | test) for each in (train, test))
    return OwnSplit(in_train, in_test)


def _masks(
    tree: ImageTree, sorting: Sorting, defective: Sequence[str]
) -> tuple[Masks | None, list[str]]:
    """Return where the masks lie that fit defective images, and the masks that fit none."""
    if not sorting.masks:
        return None, []
    index = MaskIndex(sorting.masks)
    fitting = {mask for name in defective if (mask := index.find(name))}
    unfit = [name for name in sorting.masks if name not in fitting]
    if not fitting:
        return None, unfit
    roots = {id(tree.images[name].root): tree.images[name].root for name in fitting}
    if len(roots) > 1:
        return None, sorting.masks
    (root,) = roots.values()
    if not root.path.is_dir():
        return Masks(root.path, len(fitting)), unfit
    tops = {name[len(root.prefix) :].split("/")[0] for name in fitting}
    own = root.path / tops.pop() if len(tops) == 1 else root.path
    return Masks(own if own.is_dir() else root.path, len(fitting)), unfit


def _where(tree: ImageTree, group: Group) -> Judged:
    told = dict.fromkeys(group.names, group.glob)
    source = label_source(
        tree, group.names, told, by_folder=True, from_base=False, are_defects=False
    )
    return Judged(source.archives[0], source.globs, len(group.names))


def _product(tree: ImageTree, place: Path) -> str:
    """Return a name of the product: what its folder or archive is called, no word for a label."""
    for path in (place, *([tree.base] if tree.base else []), *place.absolute().parents[:2]):
        words = [word for word in re.split(r"[\W_]+", stem(path)) if word]
        is_said = [simplify(word) not in MEANINGS.keys() | _GENERIC for word in words]
        if any(is_said):
            first, last = is_said.index(True), len(words) - is_said[::-1].index(True)
            return "-".join(words[first:last])
    return NO_PRODUCT


def _sizes(tree: ImageTree, groups: Iterable[Sequence[str]]) -> Counter[tuple[int, int]]:
    """Return the sizes of some images of each group, evenly spread, as they are looked at."""
    sizes: Counter[tuple[int, int]] = Counter()
    for names in groups:
        by_root: dict[Path, list[File]] = defaultdict(list)
        for name in names[:: max(1, len(names) // LOOKED_AT)]:
            by_root[tree.images[name].root.path].append(tree.images[name])
        for path, files in by_root.items():
            with archives.open_archive(path) as archive:
                for _ in archive.members():
                    pass
                for _, data in archive.extract([file.member for file in files], LONGEST_FILE):
                    if isinstance(data, archives.ArchiveError):
                        continue
                    try:
                        size = images.upright_size(data)
                    except images.ImageError:
                        continue  # `check` will name it; here it only has no size
                    sizes[size] += 1
    return sizes
