"""Images that a table, a published layout or an annotation tool lists: rows become candidates."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import lfvpipe.dataset.annotations as exports
from lfvpipe.config.spec import LABELS, AnnotationSource, LayoutSource, TableSource
from lfvpipe.dataset.candidates import Candidate, SelectionError
from lfvpipe.dataset.checks.findings import warning
from lfvpipe.dataset.index import UNNAMED_TYPE
from lfvpipe.dataset.layouts import products_of, rows_of
from lfvpipe.dataset.listing import Row, UnknownWords, read_table
from lfvpipe.dataset.naming import NameFinder, match_rows, shared_top
from lfvpipe.dataset.selection import SelectedMask
from lfvpipe.dataset.sources import listed_kind, public_address
from lfvpipe.dataset.words import (
    is_uncertain,
    labels_of,
    marks_defect,
    may_name_type,
    meaning_of,
    part_of,
    product_words,
)
from lfvpipe.engine.phrases import count_of, doing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.archives import Archive, Member
    from lfvpipe.config.spec import Label, ListedSource
    from lfvpipe.dataset.annotations import AnnotatedImage
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.inventory import Holding
    from lfvpipe.dataset.listing import Part

_MAX_FILE = 1 << 30  # bytes of a table, or of a file of annotations
_MAX_MASK = 64 << 20


def listed_candidates(
    source: ListedSource, holding: Holding, files: Sequence[Path], found: list[Finding]
) -> list[Candidate]:
    """Return the images that are listed and there; those without a label are to be judged only.

    Args:
        source: What the pipeline says.
        holding: The archive of the images.
        files: Where the table, or the files of annotations, lie on this machine.
        found: What a person should know is added to it.

    Raises:
        SelectionError: Nothing that is listed is there.
        ListingError: The table or the layout cannot be used.
        AnnotationError: A file of annotations cannot be used.
    """
    if isinstance(source, AnnotationSource):
        return _annotated_candidates(source, holding, files, found)
    where = f"sources.{listed_kind(source)}"
    if isinstance(source, TableSource):
        rows = _rows_of_table(source, holding, files, found)
    else:
        assert isinstance(source, LayoutSource)
        rows = _rows_of_layout(source, holding)
    matches = match_rows(rows, _finder(holding))
    is_wanted = holding.wanted(source.include, source.exclude)
    members = {member.name: member for member in holding.members}
    candidates: list[Candidate] = []
    masks, maskless = _masks_of(matches.by_name, holding, members)
    for name, row in matches.by_name.items():
        if row.left_out:
            holding.leave_out([name], f"that the table calls {row.left_out}, which `labels` says")
            continue
        if is_wanted(name):
            candidates.append(_candidate(row, holding, members[name], masks.get(name)))
    if isinstance(source, LayoutSource):
        found += _several_products(source.name, candidates)
        found += _doubtful_types(source.name, candidates)
    if matches.absolute:
        text = (
            f"{where}: {doing(len(matches.absolute), 'image', 'are')} named by absolute paths,"
            f" such as {matches.absolute[0]}, and were told by the ends of these"
        )
        found.append(warning("absolute-paths", text, matches.absolute))
    if matches.by_group:
        count = count_of(len(matches.by_group), "image")
        text = (
            f"{where}: the name of {count} is that of others, too, and the folder that is called as"
            " its group is told which is meant"
        )
        found.append(warning("told-by-group", text, matches.by_group))
    lacking = matches.lacking
    found += _lacking(where, "images that it lists", lacking, len(rows), bool(candidates))
    named = len(masks) + len(maskless)
    found += _lacking(where, "masks that it names", maskless, named, has_some=True)
    return _settle(where, source, holding, candidates)


def _rows_of_table(
    source: TableSource, holding: Holding, files: Sequence[Path], found: list[Finding]
) -> Sequence[Row]:
    name = PurePosixPath(public_address(source.file)).name
    table = read_table(
        name,
        _read(files[0]),
        source.words,
        left_out=source.left_out,
        encoding=source.encoding,
        columns=source.columns,
    )
    _use_beside(holding, files)
    if table.guess:
        text = (
            f"{name}: is not UTF-8 and does not say what it is written in; it was read as"
            f" {table.guess}. Should names or labels look wrong, save it as CSV UTF-8"
        )
        found.append(warning("guessed-encoding", text))
    if table.types:
        found.append(_types_by_words(name, table.types))
    if table.good_of_type:
        text = (
            f"{name}: {doing(len(table.good_of_type), 'row', 'call')} an image good in spite"
            f" of a type of defects, such as {table.good_of_type[0]}: the label counts"
        )
        found.append(warning("good-of-type", text, table.good_of_type))
    bare = [row.path for row in table.rows if row.label is None and not row.left_out]
    if bare:
        text = (
            f"{name}: {doing(len(bare), 'row', 'have')} no label; such images are neither learnt"
            " from nor tested on, and get a verdict alone"
        )
        found.append(warning("rows-without-label", text, bare))
    return table.rows


def _types_by_words(where: str, types: Counter[str]) -> Finding:
    words = ", ".join(f"{word} ({count})" for word, count in types.most_common(6))
    text = (
        f"{where}: words that are no known ones count as types of defects: {words}. If one is"
        " none, `labels` says what it stands for"
    )
    return warning("words-as-types", text)


def _rows_of_layout(source: LayoutSource, holding: Holding) -> Sequence[Row]:
    from lfvpipe.archives import open_archive

    with open_archive(holding.path, encoding=holding.encoding) as archive:
        names = [member.name for member in archive.members()]

        def read(name: str) -> bytes:
            holding.used.add(name)
            return archive.read(name, _MAX_MASK)

        return rows_of(source.name, names, read)


def _finder(holding: Holding) -> NameFinder:
    folder = holding.path if holding.path.is_dir() else None
    return NameFinder((member.name for member in holding.members), folder)


def _several_products(layout: str, candidates: Iterable[Candidate]) -> list[Finding]:
    """Return a warning where the whole of a published data set would become one model."""
    products = products_of(layout, (each.member for each in candidates))
    if len(products) < 2:
        return []
    text = (
        f"sources.layout: one model learns {len(products)} products ({', '.join(products[:3])}…);"
        f" `include: {products[0]}/**` takes one"
    )
    return [warning("several-products", text)]


def _doubtful_types(layout: str, candidates: Iterable[Candidate]) -> list[Finding]:
    """Return a warning where folders are types of defects in a layout, and their names deny it."""
    types = {each.type for each in candidates if each.label == "anomaly" and each.type}
    doubtful = [
        each for each in types if "normal" in labels_of(each) or is_uncertain(each, "anomaly")
    ]
    if not doubtful:
        return []
    text = (
        f"sources.layout: folders called {', '.join(sorted(doubtful))} are types of defects in the"
        f" layout {layout}, and their names say otherwise; `exclude` leaves such images out"
    )
    names = [each.member for each in candidates if each.type in doubtful]
    return [warning("doubtful-types", text, names)]


def meanings_of(
    images: Iterable[AnnotatedImage], words: Mapping[str, Label]
) -> dict[str, Label | None]:
    """Return what each word that annotations have for whole images stands for; None for a type.

    Raises:
        UnknownWords: A word says of images that nobody has decided about them.
    """
    first: dict[str, str] = {}
    for image in images:
        for word in image.classes:
            first.setdefault(word, image.where)
    older = {word for image in images for each in image.overruled for word in each.classes}
    products = product_words(first)
    said = {
        word: words.get(word) or meaning_of(word, products)
        for word in {**first, **dict.fromkeys(older)}
    }
    open_ = [word for word in first if said[word] == "undecided"]
    if open_:
        others = "".join(f", nor is {word}" for word in open_[1:6])
        raise UnknownWords(
            f"{first[open_[0]]}: the label {open_[0]} is neither normal nor anomaly{others}.",
            open_,
            keys="normal or anomaly",
        )
    labels: dict[str, Label | None] = {}
    for word, meaning in said.items():
        labels[word] = meaning if meaning == "normal" or meaning == "anomaly" else None
    return labels


def words_as_types(
    images: Iterable[AnnotatedImage], meanings: Mapping[str, Label | None]
) -> Counter[str]:
    """Return the words that alone make images defective, though nobody knows them.

    Args:
        images: In which nothing need be marked.
        meanings: What words for whole images stand for.
    """
    alone = (
        image
        for image in images
        if not image.regions and "anomaly" not in {meanings[word] for word in image.classes}
    )
    return Counter(word for each in alone for word in each.classes if meanings[word] is None)


def annotated_images(
    source: AnnotationSource, holding: Holding, files: Sequence[Path]
) -> dict[str, AnnotatedImage]:
    """Return what is marked as a defect in each image that is there, by the image's member.

    Raises:
        AnnotationError: A file of annotations cannot be used.
        SelectionError: An image's name could stand for several.
    """
    return _annotated(source, holding, files)[0]


def _annotated(
    source: AnnotationSource, holding: Holding, files: Sequence[Path]
) -> tuple[dict[str, AnnotatedImage], list[str]]:
    """Return the images by member, their regions those of defects, and names that are nowhere."""
    read = exports.read(source.format, _annotation_files(source, holding, files))
    finder = _finder(holding)
    members = {member.name: member for member in holding.members}
    lacking: dict[str, None] = {}  # once, though several files may be about one image
    by_member: dict[str, AnnotatedImage] = {}
    for said in read:
        name = finder.find_annotated(said)
        if name is None:
            lacking[said.name] = None
            continue
        member = members[name]
        older = tuple(_of_defects(each, source.words) for each in said.overruled)
        image = replace(_of_defects(said, source.words), overruled=older)
        twin = by_member.get(member.name)
        if twin is not None and twin.name != image.name:
            raise SelectionError(
                f"{image.where}: {twin.name} and {image.name} could both be {member.name}.",
                hint="Keep the folders that the export names in the archive.",
            )
        if twin is not None:  # several files, each about a class, or a part of the marks
            image = replace(
                twin,
                regions=(*twin.regions, *image.regions),
                overruled=(*twin.overruled, *image.overruled),
                classes=(*twin.classes, *image.classes),
                split=twin.split or image.split,
            )
        by_member[member.name] = image
    return by_member, list(lacking)


def _of_defects(image: AnnotatedImage, words: Mapping[str, Label]) -> AnnotatedImage:
    """Return an image with those of its marks that are of defects."""
    regions = (each for each in image.regions if marks_defect(each.type, words))
    # A mark that its tool gave no class is a defect of a type that nobody named.
    named = tuple(replace(each, type=each.type or UNNAMED_TYPE) for each in regions)
    return replace(image, regions=named)


def _annotated_candidates(
    source: AnnotationSource, holding: Holding, files: Sequence[Path], found: list[Finding]
) -> list[Candidate]:
    where = "sources.annotations"
    images, lacking = _annotated(source, holding, files)
    meanings = meanings_of(images.values(), source.words)
    types = sorted({region.type for image in images.values() for region in image.regions})
    from lfvpipe.dataset.annotations.masks import colours

    colour_of = colours(types)
    is_wanted = holding.wanted(source.include, source.exclude)
    candidates: list[Candidate] = []
    contradicting: list[str] = []
    overruled: list[str] = []
    for member in holding.images:
        if not is_wanted(member.name):
            continue
        image = images.get(member.name)
        label, type_ = _verdict(source, image, meanings, contradicting, member.name)
        older = image.overruled if image else ()
        if any(_verdict(source, each, meanings, [], member.name)[0] != label for each in older):
            overruled.append(member.name)
        if label is None:
            reason = "in which nothing is marked" if image else "that the annotations do not list"
            holding.leave_out([member.name], reason)
            continue
        mask = None
        drawn = [each for each in image.regions if each.areas] if image else []
        if image is not None and drawn and label == "anomaly":
            mask = SelectedMask(
                holding.source,
                member.name,
                f"{_digest(image)}-{member.stamp}",
                member.size,
                {each.type: colour_of[each.type] for each in drawn},
                drawn=True,
            )
        row = Row(member.name, label, _part(image), type=type_)
        candidates.append(_candidate(row, holding, member, mask))
    if types_by_words := words_as_types(
        [images[each.member] for each in candidates if each.member in images], meanings
    ):
        found.append(_types_by_words(where, types_by_words))
    listed = len(images) + len(lacking)
    found += _lacking(where, "images that it lists", lacking, listed, bool(candidates))
    if overruled:
        text = (
            f"{where}: annotations of {count_of(len(overruled), 'image')} contradict each other on"
            " whether there is a defect; the newest counts, and where no date tells, the last"
        )
        found.append(warning("contradicting-annotators", text, overruled))
    if contradicting:
        text = (
            f"{where}: {doing(len(contradicting), 'image', 'are')} called normal in spite of marked"
            " defects, which count"
        )
        found.append(warning("contradicting-annotations", text, contradicting))
    return _settle(where, source, holding, candidates)


def _verdict(
    source: AnnotationSource,
    image: AnnotatedImage | None,
    meanings: Mapping[str, Label | None],
    contradicting: list[str],
    name: str,
) -> tuple[Label | None, str]:
    """Return what an image is, and its type where a word for the whole image says it."""
    if image is None:
        return ("normal" if source.unmarked == "normal" else None), ""
    said = {word: meanings[word] for word in image.classes}
    # The mask, where there is one, says which types it shows.
    has_mask = any(region.areas for region in image.regions)
    marked = {region.type: None for region in image.regions}
    if image.regions or any(meaning != "normal" for meaning in said.values()):
        if "normal" in said.values():
            contradicting.append(name)
        own = [
            word
            for word, meaning in said.items()
            if meaning is None or (source.words.get(word) == "anomaly" and may_name_type(word))
        ]
        types = list(dict.fromkeys([*own, *marked]))
        return "anomaly", types[0] if len(types) == 1 and not has_mask else ""
    if said:
        return "normal", ""
    return (None if source.unmarked == "leave-out" else "normal"), ""


def _digest(image: AnnotatedImage) -> str:
    text = repr((image.width, image.height, image.regions))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _part(image: AnnotatedImage | None) -> Part | None:
    return part_of(image.split) if image and image.split else None


def _annotation_files(
    source: AnnotationSource, holding: Holding, files: Sequence[Path]
) -> dict[str, bytes]:
    """Return the files of annotations by name; those among the images where none are named."""
    from lfvpipe.archives import open_archive

    endings = exports.FORMATS[source.format]
    read: dict[str, bytes] = {}

    def read_from(archive: Archive, above: str = "") -> list[str]:
        names = [one.name for one in archive.members() if one.name.lower().endswith(endings)]
        for name, data in archive.extract(names, _MAX_FILE):
            if isinstance(data, Exception):
                raise data
            read[above + name] = data
        return names

    if not files:
        with open_archive(holding.path, encoding=holding.encoding) as archive:
            holding.used.update(read_from(archive))
    for address, path in zip(source.files, files, strict=True):
        # Several files of one name in folders of their own: train/_annotations.coco.json.
        shown_as = public_address(address)
        name = PurePosixPath(shown_as).name if len(files) == 1 else shown_as
        if path.is_file() and name.lower().endswith(endings):
            read[name] = _read(path)
        else:
            with open_archive(path) as archive:
                read_from(archive, f"{shown_as}/" if len(files) > 1 else "")
    if not read:
        raise SelectionError(
            f"sources.annotations: there is no file of {source.format} annotations"
            f" ({', '.join(endings)}) in {', '.join(source.files) or holding.address}.",
            hint="Name the export as `file`.",
        )
    _use_beside(holding, files)
    return read


def _read(path: Path) -> bytes:
    from lfvpipe.storage import translating

    with translating(str(path)), path.open("rb") as stream:
        return stream.read(_MAX_FILE)


def _use_beside(holding: Holding, files: Iterable[Path]) -> None:
    """Count a table that lies among the images as used."""
    for path in files:
        if path.is_relative_to(holding.path):
            holding.used.add(path.relative_to(holding.path).as_posix())


def _masks_of(
    rows: Mapping[str, Row], holding: Holding, members: Mapping[str, Member]
) -> tuple[dict[str, SelectedMask], list[str]]:
    """Return the masks that rows name of defective images, by their names; and the absent."""
    finder = _finder(holding)
    top = shared_top(row.mask for row in rows.values())
    masks = {}
    lacking = []
    for image, row in rows.items():
        if row.mask and row.label == "anomaly":
            name = finder.find_below(row.mask, row.where, top, beside=image)
            if name is None or name in rows:  # a photograph, which the end of the name fits, too
                lacking.append(row.mask)
                continue
            member = members[name]
            holding.used.add(name)
            masks[image] = SelectedMask(holding.source, name, member.stamp, member.size)
    return masks, lacking


def _candidate(row: Row, holding: Holding, member: Member, mask: SelectedMask | None) -> Candidate:
    holding.used.add(member.name)
    return Candidate(
        row.label,
        member.name,
        holding.source,
        member.name,
        member.stamp,
        member.size,
        mask,
        type=row.type,
        part=row.split,
        group=row.group,
    )


def _lacking(where: str, what: str, names: Sequence[str], of: int, has_some: bool) -> list[Finding]:
    if not names or not has_some:
        return []
    return [warning("not-there", f"{where}: {len(names)} of {of} {what} are not there", names)]


def _settle(
    where: str, source: ListedSource, holding: Holding, candidates: list[Candidate]
) -> list[Candidate]:
    """Return the candidates if some have a label, and note what is not listed."""
    listed = {candidate.member for candidate in candidates}
    holding.leave_out(
        (each.name for each in holding.images if each.name not in listed | holding.used),
        f"that the {listed_kind(source)} does not list",
    )
    if any(candidate.label in LABELS for candidate in candidates):
        return candidates
    examples = ", ".join(member.name for member in holding.members[:3]) or "nothing"
    raise SelectionError(
        f"{where}: none of the images that it lists is in {holding.address} with a label.",
        hint=f"The archive's members look like {examples}.",
    )
