"""Images that a file beside them, or a well-known layout, says everything of."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from lfvpipe import archives
from lfvpipe.cli.starter.choosing import Choices
from lfvpipe.cli.starter.image_tree import LONGEST_FILE, shown_folder
from lfvpipe.cli.starter.name_reading import read_name
from lfvpipe.cli.starter.sorting import sort
from lfvpipe.cli.starter.table_columns import name_images, told_columns
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset import annotations as exports
from lfvpipe.dataset.annotations import AnnotationError
from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.globs import is_image_name
from lfvpipe.dataset.layouts import rows_of
from lfvpipe.dataset.listed import meanings_of, words_as_types
from lfvpipe.dataset.listing import (
    WORKBOOKS,
    ListingError,
    NoLabels,
    NoTable,
    UnknownWords,
    read_cells,
    read_table,
)
from lfvpipe.dataset.naming import NameFinder, match_rows, shared_top
from lfvpipe.dataset.pairing import common_ending
from lfvpipe.dataset.words import (
    is_uncertain,
    is_validation,
    labels_of,
    marks_defect,
    meaning_of,
)
from lfvpipe.engine.phrases import doing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lfvpipe.cli.starter.image_tree import ImageTree, Root
    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.annotations import AnnotatedImage
    from lfvpipe.dataset.listing import Part, Row, Table
    from lfvpipe.errors import UserError

Unmarked = Literal["listed", "normal", "leave-out"]
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
MOST_JSON = 5  # in a folder; more are about an image each
MOST_FILES = 100_000  # of annotations
_TITLES = {
    "mvtec-ad": "the layout of MVTec AD",
    "visa": "the layout of VisA",
    "dagm": "the ten-class layout of DAGM",
    "kolektor": "the layout of KolektorSDD",
    "coco": "an export in COCO's format",
    "pascal-voc": "annotations in Pascal VOC's format",
    "yolo": "labels in YOLO's format",
    "labelme": "annotations by LabelMe",
    "label-studio": "an export of Label Studio",
    "cvat": "an export of CVAT",
}


@dataclass(frozen=True)
class Listed:
    """A section of `sources` that says itself which image is what.

    Attributes:
        kind: The section.
        name: The layout, or the format of the annotations.
        archive: Where the images lie; None for a manifest whose references lead to them.
        files: The table, the manifests or the files of annotations, where they are to be named.
        labels: What each image is, by its name in the tree; None where it is only listed.
        parts: The published split.
        include: Globs over the images, where the archive holds more than one product.
        exclude: Globs over those that the user leaves out.
        taken_off: These by their names in the tree, with the user's word for them.
        unmarked: What images without a mark are, where annotations are no list of all.
        words: What words stand for that are no known ones, as the user said.
        left_out_words: Words in a table whose images the user leaves out.
        left_out: The images that are left out by them, with the word.
        used: Names in the tree of files that are no images and are made use of.
        types: Types of defects.
        columns: What columns of a table are called, by what they hold, where that is not known.
        told_columns: These of them what is in them told, and nobody said.
        words_as_types: Words of a table, or of an export for whole images, that were taken for
            types of defects, with how many images have them.
        has_masks: It is a segmentation project.
        counts: How many images of each label, of a manifest.
        said: What a manifest says of the images that are here.
        validation: Images in a part that the list calls validation.
        lacking: What is listed and is not there.
        beside: Tables that lie there, too, and are not used, with how many images they list.
    """

    kind: Literal["table", "layout", "annotations", "manifest"]
    title: str
    name: str = ""
    archive: Path | None = None
    files: tuple[Path, ...] = ()
    labels: Mapping[str, Label | None] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    taken_off: Mapping[str, str] = field(default_factory=dict)
    unmarked: Unmarked = "listed"
    words: Mapping[str, Label] = field(default_factory=dict)
    left_out_words: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    used: frozenset[str] = frozenset()
    types: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    told_columns: tuple[str, ...] = ()
    words_as_types: Mapping[str, int] = field(default_factory=dict)
    has_masks: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    said: Mapping[str, Label] = field(default_factory=dict)
    validation: frozenset[str] = frozenset()
    lacking: tuple[str, ...] = ()
    beside: Mapping[str, int] = field(default_factory=dict)


def find_listed(
    tree: ImageTree,
    choices: Choices,
    unmarked: Unmarked | None,
    product: str,
    away: frozenset[str] = frozenset(),
) -> Listed | None:
    """Return what lists the images of a tree; None where nothing does.

    Args:
        tree: What there is.
        choices: What words stand for, as the user says.
        unmarked: What images without a mark are, as the user says.
        product: The folder of one product, where there are several.
        away: Images that the user leaves out.

    Raises:
        UserError: What there is can be read in several ways, or not at all.
    """
    found = (
        _manifest(tree)
        or _layout(tree, product)
        or _annotations(tree, words_of(choices), unmarked, away)
        or _table(tree, choices)
    )
    if found is None:
        return None
    if found.kind == "layout":
        _insist_on_types(found, away)
    if product and found.kind != "layout":
        raise UsageError(
            f"This is {found.title}, which says nothing of products.",
            hint=f"Name the folder of {product} in place of --product, or what lists it alone.",
        )
    tables = (each for each in _tables(tree, choices)[0] if each.name not in found.used)
    return replace(found, beside={each.name: len(each.by_image) for each in tables})


def _finder(tree: ImageTree) -> NameFinder:
    return NameFinder(tree.images, tree.base if tree.is_whole else None)


def _closest(names: Iterable[str]) -> Callable[[str], str | None]:
    """Return what finds the image that a manifest refers to: the name with most in common."""
    by_base: dict[str, list[str]] = defaultdict(list)
    for name in names:
        by_base[PurePosixPath(name).name].append(name)

    def find(reference: str) -> str | None:
        parts = PurePosixPath(reference).parts
        found = [
            (common_ending(parts, PurePosixPath(name).parts), name)
            for name in by_base.get(parts[-1] if parts else "", ())
        ]
        best = max((length for length, _ in found), default=0)
        names = [name for length, name in found if length == best]
        return names[0] if len(names) == 1 else None

    return find


def _one_root(tree: ImageTree, names: Iterable[str]) -> tuple[Path, str] | None:
    """Return the archive or folder that holds all these images, and its prefix in the tree."""
    roots = list({id(tree.images[n].root): tree.images[n].root for n in names}.values())
    if len(roots) == 1:
        return roots[0].path, roots[0].prefix
    return (tree.base, "") if roots and tree.is_whole and tree.base else None


# --- Tables


@dataclass(frozen=True)
class _Found:
    """A table that lists images of the tree.

    Attributes:
        place: Where it lies; a text, the archive's path, where that is an archive.
        name: Its own name in the tree.
        table: What it says.
        by_image: Its rows by the names of their images.
        lacking: The images in its other rows, which are not there.
        columns: What its columns are called, where the user said so, or what is in them did.
    """

    place: Path | str
    name: str
    table: Table
    by_image: Mapping[str, Row]
    lacking: tuple[str, ...]
    columns: Mapping[str, str]


def table_faults(tree: ImageTree, choices: Choices) -> list[UserError]:
    """Return what is wrong with each table that lies there and cannot be used."""
    return _tables(tree, choices)[1]


def _tables(tree: ImageTree, choices: Choices) -> tuple[list[_Found], list[UserError]]:
    finder = _finder(tree)
    words = words_of(choices)
    found: list[_Found] = []
    faults: list[UserError] = []
    for place, name, data in _candidates(tree, (*TABLES, *WORKBOOKS)):
        try:
            columns = _columns(PurePosixPath(name).name, data, finder, choices)
            table = read_table(
                PurePosixPath(name).name,
                data,
                words,
                left_out=choices.leave_out,
                columns=columns,
            )
            matches = match_rows(table.rows, finder)
            by_image = matches.by_name
        except (ListingError, SelectionError) as error:
            faults += _faults(tree, name, data, error)
        else:
            if any(row.label for row in by_image.values()):
                found.append(_Found(place, name, table, by_image, matches.lacking, columns))
            elif not by_image and tree.images:
                faults.append(_none_there(tree, name, [row.path for row in table.rows]))
    return found, faults


def _faults(tree: ImageTree, name: str, data: bytes, error: UserError) -> list[UserError]:
    """Return what is wrong with a table; nothing where it is one of something else."""
    if isinstance(error, UnknownWords):
        return [_in_options(error)]
    if isinstance(error, NoTable) and (format_ := _guess(name, data)):
        try:
            exports.read(format_, {name: data})
        except AnnotationError as fault:
            return [fault]  # it is an export, and what is wrong with it is no table's matter
    is_document = isinstance(error, NoTable) and name.lower().endswith(".json")  # or settings
    may_be_other = (is_document or isinstance(error, NoLabels)) and not tree.files
    if may_be_other and not _names_an_image(tree, data):
        return []
    if isinstance(error, NoTable):
        return [_of_no_images(tree, name, data, error)]
    return [_with_option(error) if isinstance(error, ListingError) else error]


def _none_there(tree: ImageTree, name: str, called: Sequence[str]) -> ListingError:
    """Return what is said of a table that names no image as it is called."""
    return ListingError(
        f"{PurePosixPath(name).name}: names images by {', '.join(called[:3])}, and none is called"
        f" so; they are called {', '.join([*tree.images][:3])}.",
        hint="Write the images' names into the table as they are called, or name the images' folder"
        " or archive beside it.",
    )


def _of_no_images(tree: ImageTree, name: str, data: bytes, error: NoTable) -> ListingError:
    """Return what is said of a table of which no column is known to hold the images' names."""
    if error.column is None or not tree.images:
        return error
    lines = read_cells(PurePosixPath(name).name, data)
    if name_images(lines, _finder(tree)):
        return _with_option(error)
    columns = [*dict.fromkeys(column for line in lines for column in line if column)]
    return NoTable(
        f"{PurePosixPath(name).name}: no column names images that are there, such as"
        f" {next(iter(tree.images))}; the columns are {', '.join(columns[:8])}.",
        hint="Write the images' names into a column, `path`, as they are called.",
    )


def _columns(name: str, data: bytes, finder: NameFinder, choices: Choices) -> Mapping[str, str]:
    """Return what a table's columns are called where that is not known: as said, or as is told."""
    try:
        return told_columns(read_cells(name, data), finder, choices.columns) or choices.columns
    except ListingError:  # `read_table` says it, with the place
        return choices.columns


def _with_option(error: ListingError) -> ListingError:
    """Return what is said of columns that are not known with the option that says what they are."""
    if error.column is None:
        return error
    hint = f"Say which one it is: --column {error.column}=NAME."
    if isinstance(error, NoTable):
        hint = "Say what the column is called that holds the images' names: --column path=NAME."
    elif isinstance(error, NoLabels):
        hint = (
            "Say what the column is called that says what the images are: --column label=NAME, or"
            " is_anomaly=NAME where it holds 0 and 1."
        )
    return type(error)(error.message, hint=hint, column=error.column)


def _names_an_image(tree: ImageTree, data: bytes) -> bool:
    stems = {PurePosixPath(name).stem for name in tree.images}
    return any(word[0] in stems for word in re.finditer(r"[\w-]+", data.decode("latin-1")))


def _in_options(error: UnknownWords, *, leave_out: bool = True) -> UsageError:
    """Return what is said of unknown words with what to say of them on the command line."""
    words = [shlex.quote(word) for word in error.words]
    each = f"--normal {words[0]} if it is good, --anomaly {words[0]} if it is defective"
    hint = f"Say what {words[0]} stands for: {each}"
    if leave_out:
        hint += f", --leave-out {words[0]} if it is neither"
    more = f"; and so of {', '.join(words[1:6])}" if words[1:] else ""
    return UsageError(error.message, hint=f"{hint}{more}.")


def words_of(choices: Choices) -> dict[str, Label]:
    """Return what words in a table or an export stand for, as the user says."""
    return {each: kind for kind, each in choices.items() if kind != "leave-out"}


def _table(tree: ImageTree, choices: Choices) -> Listed | None:
    found, faults = _tables(tree, choices)
    if not found:
        if tree.files and faults:
            raise faults[0]
        return None
    best = max(found, key=lambda each: len(each.by_image))
    if isinstance(best.place, str):
        raise UsageError(
            f"{best.place} holds the table {best.name}, and a table is to be a file of its own.",
            hint=f"Take {PurePosixPath(best.name).name} out of the archive, and name both:"
            f" `lfvpipe init {Path(best.place).name} {PurePosixPath(best.name).name}`.",
        )
    where = _one_root(tree, best.by_image)
    if where is None:
        raise UsageError(
            f"{best.name} lists images in several archives.",
            hint="Put the archives and the table into one folder, and name that.",
        )
    taken = {image: row for image, row in best.by_image.items() if not row.left_out}
    rows = best.table.rows
    used = {row.left_out for row in rows}
    lines = read_cells(best.place.name, best.place.read_bytes())
    said = {cell.strip() for line in lines for cell in line.values()}
    return Listed(
        "table",
        f"a table, {best.place.name}"
        + (f", read as {best.table.guess}" if best.table.guess else ""),
        archive=where[0],
        files=(best.place,),
        labels={image: row.label for image, row in taken.items()},
        parts={image: row.split for image, row in taken.items() if row.split},
        words={word: label for word, label in words_of(choices).items() if word in said},
        left_out_words=tuple(word for word in choices.leave_out if word in used),
        left_out={i: row.left_out for i, row in best.by_image.items() if row.left_out},
        used=frozenset({best.name, *_masks_named(tree, rows)}),
        types=tuple(sorted({row.type for row in taken.values() if row.type})),
        columns=best.columns,
        told_columns=tuple(each for each in best.columns if each not in choices.columns),
        words_as_types=best.table.types,
        has_masks=any(row.mask for row in taken.values()),
        lacking=best.lacking,
        validation=frozenset(image for image, row in taken.items() if row.is_validation),
    )


def _masks_named(tree: ImageTree, rows: Sequence[Row]) -> Iterator[str]:
    finder = _finder(tree)
    top = shared_top(row.mask for row in rows)
    for row in rows:
        if row.mask and (name := finder.find_below(row.mask, row.where, top)):
            yield name


def _candidates(
    tree: ImageTree, endings: tuple[str, ...]
) -> Iterator[tuple[Path | str, str, bytes]]:
    """Yield files by their endings: where each lies, its name in the tree, and its content.

    The place is a text, the archive's path, where the file lies in an archive.
    """
    for path in tree.files:
        if path.name.lower().endswith(endings):
            yield path, path.name, path.read_bytes()
    documents = [name for name in tree.others if name.lower().endswith(".json")]
    passed_over = set(documents) if len(documents) > MOST_JSON else set()
    for name, file in tree.others.items():
        if name in passed_over:
            continue
        is_ours = name.endswith(".labels.jsonl")  # what people decided in `review`
        if name.lower().endswith(endings) and not is_ours:
            yield file.path or str(file.root.path), name, file.read()


# --- Manifests


def _manifest(tree: ImageTree) -> Listed | None:
    named = [path for path in tree.files if path.suffix.lower() == ".manifest"]
    inside = {
        path: name
        for name, file in tree.others.items()
        if name.lower().endswith(".manifest") and (path := file.path)
    }
    files = [*named, *(path for path in inside if path not in named)]
    if not files:
        return None
    if len(files) > 2:
        raise UsageError(
            f"There are {len(files)} manifests: {', '.join(path.name for path in files[:5])}.",
            hint="Name the one to learn from, and the one to test on where there is one.",
        )
    parts: dict[str | None, Path] = {read_name(path.stem).part: path for path in files}
    if len(files) == 2 and set(parts) != {"train", "test"} and None in parts:
        other = {"train": "test", "test": "train"}
        known = next((part for part in parts if part), None)
        if known is None:
            raise UsageError(
                f"Which of {files[0].name} and {files[1].name} is the test dataset is not known.",
                hint="Call them train.manifest and test.manifest, or name one alone.",
            )
        parts[other[known]] = parts.pop(None)
    if len(files) == 2 and len(parts) == 2:
        files = [parts["train"], parts["test"]]
    ordered = files
    counts, said, masks = _said_by(ordered, _closest(tree.images))
    where = tree.base if tree.is_whole else _one_root(tree, tree.images)
    folder = where[0] if isinstance(where, tuple) else where
    return Listed(
        "manifest",
        "manifests exported from Lookout for Vision" if len(files) == 2 else "an exported manifest",
        archive=folder if tree.images else None,
        files=tuple(ordered),
        labels=dict.fromkeys(said),
        said=said,
        used=frozenset({*inside.values(), *masks}),
        has_masks=bool(masks),
        counts=counts,
    )


def _said_by(
    manifests: Iterable[Path], find: Callable[[str], str | None]
) -> tuple[Counter[str], dict[str, Label], set[str]]:
    """Return how many images there are of each label, what those here are, and their masks."""
    counts: Counter[str] = Counter()
    said: dict[str, Label] = {}
    masks: set[str] = set()
    for entry in (entry for path in manifests for entry in _entries(path)):
        label = _class(entry)
        counts[label] += 1
        for key, reference in entry.items():
            if key.endswith("-ref") and isinstance(reference, str):
                image = find(reference)
                if image and key == "source-ref":
                    said[image] = label
                elif image:
                    masks.add(image)
    return counts, said, masks


def _entries(path: Path) -> Iterator[dict[str, object]]:
    """Yield a manifest's lines as far as they can be read: what is wrong is a run's to say."""
    for line in path.read_text("utf-8-sig", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def _class(entry: Mapping[str, object]) -> Label:
    """Return what a line of a manifest calls its image."""
    for metadata in entry.values():
        if isinstance(metadata, dict) and isinstance(metadata.get("class-name"), str):
            meaning = meaning_of(metadata["class-name"])
            return "normal" if meaning == "normal" else "anomaly"
    return "anomaly"


# --- Annotations


def _annotations(
    tree: ImageTree,
    words: Mapping[str, Label],
    unmarked: Unmarked | None,
    away: frozenset[str],
) -> Listed | None:
    endings = tuple({end for ends in exports.FORMATS.values() for end in ends})
    format_, members, loose = _format(tree, endings)
    if not format_:
        return None
    kind = exports.FORMATS[format_]
    texts = {name: data for name, data in loose.items() if name.lower().endswith(kind)}
    names = [name for name in members if name.lower().endswith(kind)]
    others = [n for n in names if format_ != "yolo" and _guess(n, tree.others[n].read()) != format_]
    names = [name for name in names if name not in others]
    texts |= {name: tree.others[name].read() for name in names}
    try:
        read = exports.read(format_, texts)
    except AnnotationError:
        if loose:
            raise
        return None  # files of that ending that are something else
    finder = _finder(tree)
    found = [(finder.find_annotated(each), each) for each in read]
    listed = {name: each for name, each in found if name}
    if not listed:
        return None
    try:
        meanings = meanings_of(listed.values(), words)
    except UnknownWords as error:
        raise _in_options(error, leave_out=False) from error
    labels = {name: _verdict(each, words, meanings, unmarked) for name, each in listed.items()}
    rest = [name for name in tree.images if name not in labels and name not in away]
    if unmarked == "normal":
        _insist_on_no_defects(tree, rest)
        labels |= dict.fromkeys(rest, "normal")
    elif not any(label == "normal" for name, label in labels.items() if name not in away):
        raise UsageError(
            f"{doing(len(labels), 'image', 'have')} marks, and"
            f" {doing(len(rest), 'other', 'are')} not in the annotations."
            if rest
            else "Every image in the annotations has marks: there are no good products.",
            hint="If those others show good products, say --unmarked normal."
            if rest
            else "Put photographs of good products beside them, and say --unmarked normal.",
        )
    where = _one_root(tree, labels)
    if where is None:
        raise UsageError(
            "The annotations are about images in several archives.",
            hint="Put the archives into one folder, and name that.",
        )
    is_inside = not loose and all(
        where[0] in (file.root.path, *file.root.path.parents)
        for file in map(tree.others.__getitem__, names)
    )
    files = map(tree.others.__getitem__, names)
    paths = dict.fromkeys(file.path or file.root.path for file in files)  # or archives of them
    return Listed(
        "annotations",
        _TITLES[format_],
        name=format_,
        archive=where[0],
        files=() if is_inside and not others else (*tree.files, *paths),
        labels=labels,
        parts={
            name: part
            for name, each in listed.items()
            if each.split and (part := read_name(each.split).part)
        },
        unmarked=unmarked or "listed",
        words={word: label for word, label in words.items() if word in _classes_of(read)},
        used=frozenset(names),
        types=tuple(sorted(_types(listed.values(), words))),
        words_as_types=words_as_types(_with_defects(listed.values(), words), meanings),
        lacking=tuple(each.name for name, each in found if not name),
        validation=frozenset(n for n, each in listed.items() if is_validation(each.split or "")),
        has_masks=any(each.regions for each in listed.values()),
    )


def _with_defects(
    images: Iterable[AnnotatedImage], words: Mapping[str, Label]
) -> Iterator[AnnotatedImage]:
    """Yield images with those of their marks alone that are of defects."""
    for image in images:
        marked = tuple(each for each in image.regions if marks_defect(each.type, words))
        yield replace(image, regions=marked)


def _insist_on_no_defects(tree: ImageTree, names: Sequence[str]) -> None:
    """Raise a UsageError where the names of folders call images defective that have no mark."""
    told = sort(tree, Choices()).labels
    denied = [name for name in names if told.get(name) == "anomaly"]
    if denied:
        where = sorted({shown_folder(tree, PurePosixPath(n).parent.as_posix()) for n in denied})
        shown = shlex.join(denied[:3]) + (" …" if len(denied) > 3 else "")
        raise UsageError(
            f"{doing(len(denied), 'image', 'have')} no mark and would be good by --unmarked normal,"
            f" but the names of {', '.join(where[:3])} call them defective, such as {denied[0]}.",
            hint="Mark what is defective in them, or move those that are good to the good ones; or"
            f" leave them out by `--leave-out {shown}`.",
        )


def _format(tree: ImageTree, endings: tuple[str, ...]) -> tuple[str, list[str], dict[str, bytes]]:
    """Return the format of the annotations, their names in the tree, and files that were named."""
    loose = {
        path.name: path.read_bytes()
        for path in tree.files
        if path.name.lower().endswith((".json", ".xml", ".txt"))
    }
    members = [name for name in tree.others if name.lower().endswith(endings)][:MOST_FILES]
    votes: Counter[str] = Counter(_guess(name, data) for name, data in loose.items())
    for ending in endings:
        same = [name for name in members if name.lower().endswith(ending)]
        for name in same[:: max(1, len(same) // 5)]:
            votes[_guess(name, tree.others[name].read())] += 1
    del votes[""]
    return (votes.most_common(1)[0][0] if votes else ""), members, loose


def _guess(name: str, data: bytes) -> str:
    if PurePosixPath(name).name.lower() in ("package.json", "requirements.txt"):
        return ""
    return exports.guess_format(name, data)


def _verdict(
    image: AnnotatedImage,
    words: Mapping[str, Label],
    meanings: Mapping[str, Label | None],
    unmarked: Unmarked | None,
) -> Label | None:
    """Return what an image is by what is marked in it, as a run does."""
    regions = [each for each in image.regions if marks_defect(each.type, words)]
    said = [meanings[word] for word in image.classes]
    if regions or any(meaning != "normal" for meaning in said):
        return "anomaly"
    return "normal" if said or unmarked != "leave-out" else None


def _types(images: Iterable[AnnotatedImage], words: Mapping[str, Label]) -> set[str]:
    found = {each.type for image in images for each in image.regions}
    return {type_ for type_ in found if type_ and marks_defect(type_, words)}


def _classes_of(images: Iterable[AnnotatedImage]) -> set[str]:
    return {word for image in images for word in (*image.classes, *(r.type for r in image.regions))}


# --- Layouts


def _layout(tree: ImageTree, product: str) -> Listed | None:
    tops: list[Root] = [root for root in tree.roots if root.members]
    for name, signs in _SIGNS.items():
        for root in tops:
            fitting = [
                {m[1] for each in root.members if (m := sign.search(each))} for sign in signs
            ]
            products = set.intersection(*fitting)
            if products:
                return _laid_out(tree, root, name, sorted(products), product)
    return None


def _insist_on_types(listed: Listed, away: frozenset[str]) -> None:
    """Raise a UsageError where a folder stands for a type of defects whose name denies that."""
    for name, label in listed.labels.items():
        folder = PurePosixPath(name).parent.name
        if name in away or label != "anomaly" or folder not in listed.types:
            continue
        if "normal" in labels_of(folder) or is_uncertain(folder, "anomaly"):
            word = shlex.quote(folder)
            raise UsageError(
                f"In {listed.title} {folder}/ would be a type of defects, and its name says"
                f" otherwise; {name} is one of its images.",
                hint=f"Say what they show: --normal {word} if they are good, --anomaly {word} if"
                f" they are defective, --leave-out {word} if they are neither.",
            )


# What has to be there, the product's folder in a group of its own.
_SIGNS: Mapping[str, tuple[re.Pattern[str], ...]] = {
    "mvtec-ad": (
        re.compile(r"^(.*?)train/good/[^/]+$"),
        re.compile(r"^(.*?)(?:ground_truth/|test/(?!good/)[^/]+/[^/]+$)"),
        re.compile(
            r"^(.*?)(?:ground_truth/|test/(?!(?:good|bad|ng|nok|defect\w*|anomal\w*)/)[^/]+/)"
        ),
    ),
    "visa": (
        re.compile(r"^(.*?)Data/Images/Normal/[^/]+$", re.IGNORECASE),
        re.compile(r"^(.*?)Data/Images/Anomaly/[^/]+$", re.IGNORECASE),
    ),
    "dagm": (
        re.compile(r"^(.*?)(?:Train|Test)/Label/(?:[^/]+_label\.png|labels\.txt)$", re.IGNORECASE),
    ),
    "kolektor": (
        re.compile(r"^(.*?)(?:kos\d+/Part\d+_label|(?:train|test)/\d+_GT)\.\w+$", re.IGNORECASE),
    ),
}


def _laid_out(
    tree: ImageTree, root: Root, name: str, products: Sequence[str], product: str
) -> Listed:
    chosen = [each for each in products if not product or each.strip("/").endswith(product)]
    if len(chosen) != 1:
        named = ", ".join(each.strip("/") or "the folder itself" for each in products[:15])
        raise UsageError(
            f"{root.path} holds {len(products)} products in {_TITLES[name]}: {named}.",
            hint="A model knows one product: say which, such as"
            f" --product {products[0].strip('/') or products[-1].strip('/')}.",
        )
    below = chosen[0]
    members = [each for each in root.members if each.startswith(below)]
    # VisA's published split lies beside its products.
    beside = [each for each in root.members if "split_csv/" in each] if name == "visa" else []
    path, cut = root.path, ""
    if below and path.is_dir() and not beside:
        path, cut = path / below.rstrip("/"), below
    read: set[str] = set()
    with archives.open_archive(root.path) as archive:
        for _ in archive.members():
            pass

        def content(member: str) -> bytes:
            read.add(f"{cut}{member}")
            return archive.read(f"{cut}{member}", LONGEST_FILE)

        rows = rows_of(name, [each[len(cut) :] for each in (*members, *beside)], content)
    shown = {f"{root.prefix}{cut}{row.path}": row for row in rows}
    return Listed(
        "layout",
        _TITLES[name],
        name=name,
        archive=path,
        labels={image: row.label for image, row in shown.items() if image in tree.images},
        parts={image: row.split for image, row in shown.items() if row.split},
        include=(f"{below}**",) if below and not cut and len(products) > 1 else (),
        used=frozenset(
            {f"{root.prefix}{cut}{row.mask}" for row in rows if row.mask}
            | {f"{root.prefix}{each}" for each in beside}
            | {f"{root.prefix}{each}" for each in read if not is_image_name(each)}
        ),
        types=tuple(sorted({row.type for row in rows if row.type})),
        has_masks=any(row.mask for row in rows),
    )
