"""Images that a table, a published layout or an annotation tool lists: rows become candidates."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import lfvpipe.dataset.annotations as exports
from lfvpipe.config.spec import LABELS, AnnotationSource, LayoutSource, TableSource
from lfvpipe.dataset.candidates import Candidate, SelectionError
from lfvpipe.dataset.checks.findings import warning
from lfvpipe.dataset.index import UNNAMED_TYPE
from lfvpipe.dataset.layouts import products_of, rows_of
from lfvpipe.dataset.listing import Row, read_table
from lfvpipe.dataset.selection import SelectedMask
from lfvpipe.dataset.sources import listed_kind, public_address
from lfvpipe.dataset.words import marks_defect, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lfvpipe.archives import Archive, Member
    from lfvpipe.config.spec import Label, ListedSource
    from lfvpipe.dataset.annotations import AnnotatedImage
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.inventory import Holding
    from lfvpipe.dataset.listing import Part

_MAX_FILE = 1 << 30  # bytes of a table, or of a file of annotations
_MAX_MASK = 64 << 20
_TRAIN, _TEST = "train", "test"


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
        name = PurePosixPath(public_address(source.file)).name
        rows: Sequence[Row] = read_table(name, _read(files[0]), source.words)
        _use_beside(holding, files)
    else:
        assert isinstance(source, LayoutSource)
        from lfvpipe.archives import open_archive

        with open_archive(holding.path, encoding=holding.encoding) as archive:
            names = [member.name for member in archive.members()]

            def read(name: str) -> bytes:
                holding.used.add(name)
                return archive.read(name, _MAX_MASK)

            rows = rows_of(source.name, names, read)
    finder = _Finder(holding.members)
    is_wanted = holding.wanted(source.include, source.exclude)
    candidates: list[Candidate] = []
    lacking: list[str] = []
    maskless: list[str] = []
    for row in rows:
        member = finder.find(row.path, row.where)
        if member is None:
            lacking.append(row.path)
            continue
        mask = _mask_of(row, holding, finder, maskless)
        if is_wanted(member.name):
            candidates.append(_candidate(row, holding, member, mask))
    if isinstance(source, LayoutSource):
        found += _several_products(source.name, candidates)
    found += _lacking(where, "images that it lists", lacking, len(rows), bool(candidates))
    found += _lacking(where, "masks that it names", maskless, len(rows), has_some=True)
    _insist_on_each_once(where, candidates)
    return _settle(where, source, holding, candidates)


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
    finder = _Finder(holding.members)
    lacking = []
    by_member: dict[str, AnnotatedImage] = {}
    for image in read:
        called = (image.name, *image.other_names)
        names = list(dict.fromkeys(name.replace("\\", "/") for name in called if name))
        found = (finder.find(name, image.where, beside=image.file) for name in names)
        member = next((each for each in found if each is not None), None)
        if member is None:
            lacking.append(image.name)
            continue
        regions = tuple(
            # A mark that its tool gave no class is a defect of a type that nobody named.
            replace(each, type=each.type or UNNAMED_TYPE)
            for each in image.regions
            if marks_defect(each.type, source.words)
        )
        image = replace(image, regions=regions)  # noqa: PLW2901
        twin = by_member.get(member.name)
        if twin is not None and twin.name != image.name:
            raise SelectionError(
                f"{image.where}: {twin.name} and {image.name} could both be {member.name}.",
                hint="Keep the folders that the export names in the archive.",
            )
        if twin is not None:  # several files, each about a class, or a part of the marks
            image = replace(  # noqa: PLW2901
                twin,
                regions=(*twin.regions, *regions),
                classes=(*twin.classes, *image.classes),
                split=twin.split or image.split,
            )
        by_member[member.name] = image
    return by_member, lacking


def _annotated_candidates(
    source: AnnotationSource, holding: Holding, files: Sequence[Path], found: list[Finding]
) -> list[Candidate]:
    where = "sources.annotations"
    images, lacking = _annotated(source, holding, files)
    types = sorted({region.type for image in images.values() for region in image.regions})
    from lfvpipe.dataset.annotations.masks import colours

    colour_of = colours(types)
    is_wanted = holding.wanted(source.include, source.exclude)
    candidates: list[Candidate] = []
    contradicting: list[str] = []
    for member in holding.images:
        if not is_wanted(member.name):
            continue
        image = images.get(member.name)
        label, type_ = _verdict(source, image, contradicting, member.name)
        if label is None:
            reason = "in which nothing is marked" if image else "that the annotations do not list"
            holding.leave_out([member.name], reason)
            continue
        mask = None
        drawn = [each for each in image.regions if each.areas] if image else []
        if image is not None and drawn and label == "anomaly":
            mask = SelectedMask(
                holding.source, member.name, f"{_digest(image)}-{member.stamp}", member.size,
                {each.type: colour_of[each.type] for each in drawn}, drawn=True,
            )  # fmt: skip
        row = Row(member.name, label, _part(image), type=type_)
        candidates.append(_candidate(row, holding, member, mask))
    found += _lacking(where, "images that it lists", lacking, len(images), bool(candidates))
    if contradicting:
        text = (
            f"{where}: {len(contradicting)} images are called normal and have defects marked, and"
            " count as anomalies"
        )
        found.append(warning("contradicting-annotations", text, contradicting))
    return _settle(where, source, holding, candidates)


def _verdict(
    source: AnnotationSource, image: AnnotatedImage | None, contradicting: list[str], name: str
) -> tuple[Label | None, str]:
    """Return what an image is, and its type where a word for the whole image says it."""
    if image is None:
        return ("normal" if source.unmarked == "normal" else None), ""
    said = {word: source.words.get(word) or meaning_of(word) for word in image.classes}
    # The mask, where there is one, says which types it shows.
    has_mask = any(region.areas for region in image.regions)
    marked = {region.type: None for region in image.regions}
    if image.regions or any(meaning != "normal" for meaning in said.values()):
        if "normal" in said.values():
            contradicting.append(name)
        own = [word for word, meaning in said.items() if meaning not in ("normal", "anomaly")]
        types = list(dict.fromkeys([*own, *marked]))
        return "anomaly", types[0] if len(types) == 1 and not has_mask else ""
    if said:
        return "normal", ""
    return (None if source.unmarked == "leave-out" else "normal"), ""


def _digest(image: AnnotatedImage) -> str:
    text = repr((image.width, image.height, image.regions))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _part(image: AnnotatedImage | None) -> Part | None:
    meaning = meaning_of(image.split) if image and image.split else None
    return "train" if meaning == _TRAIN else "test" if meaning == _TEST else None


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


class _Finder:
    """Finds members by what a list calls them: archives add folders, tools leave endings out."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._by_name = {member.name: member for member in members}
        self._by_base: dict[str, list[Member]] = defaultdict(list)
        for member in self._by_name.values():
            path = PurePosixPath(member.name.lower())
            self._by_base[path.name].append(member)
            if path.suffix:
                self._by_base[path.stem].append(member)

    def find(self, name: str, where: str, beside: str = "") -> Member | None:
        """Return the member that `name` stands for: the one with the most folders in common.

        Of several, it is the one whose folder is called most like that of the file `beside`.

        Raises:
            SelectionError: It could be several.
        """
        if exact := self._by_name.get(name):
            return exact
        parts = PurePosixPath(name.lower()).parts
        same_base = self._by_base.get(parts[-1], []) if parts else []
        fitting = [
            (ending, member)
            for member in same_base
            if (ending := _common_ending(parts, PurePosixPath(member.name.lower()).parts))
        ]
        best = max((ending for ending, _ in fitting), default=0)
        closest = [member for ending, member in fitting if ending == best]
        images = [member for member in closest if _is_image(member)]
        closest = images or closest
        if len(closest) > 1 and beside:
            alike = [_alike_folders(beside, member.name) for member in closest]
            if max(alike) and alike.count(max(alike)) == 1:
                return closest[alike.index(max(alike))]
        if len(closest) > 1:
            names = ", ".join(member.name for member in closest[:3])
            raise SelectionError(
                f"{where}: {name} could be any of {names}.",
                hint="Write it with its folders, as it lies in the archive.",
            )
        return closest[0] if closest else None


def _is_image(member: Member) -> bool:
    from lfvpipe.dataset.globs import is_image_name

    return is_image_name(member.name)


def _alike_folders(file: str, member: str) -> int:
    """Return how many folders, from the innermost out, two paths call the same."""
    folders = [PurePosixPath(each.lower()).parts[-2::-1] for each in (file, member)]
    alike = (one == other for one, other in zip(*folders, strict=False))
    return sum(1 for _ in takewhile(bool, alike))


def _common_ending(name: Sequence[str], member: Sequence[str]) -> int:
    """Return how many parts two paths share from the end; 0 where folders contradict each other.

    One of the two has to be an end of the other; the last part may lack its ending.
    """
    shorter = min(len(name), len(member))
    stem = PurePosixPath(member[-1]).stem
    is_same_base = name[-1] in (member[-1], stem)
    above = shorter - 1
    is_same_above = not above or list(name[-1 - above : -1]) == list(member[-1 - above : -1])
    return shorter if is_same_base and is_same_above else 0


def _mask_of(
    row: Row, holding: Holding, finder: _Finder, lacking: list[str]
) -> SelectedMask | None:
    if not row.mask or row.label != "anomaly":
        return None
    member = finder.find(row.mask, row.where)
    if member is None:
        lacking.append(row.mask)
        return None
    holding.used.add(member.name)
    return SelectedMask(holding.source, member.name, member.stamp, member.size)


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


def _insist_on_each_once(where: str, candidates: Iterable[Candidate]) -> None:
    counted = Counter(candidate.member for candidate in candidates)
    twice = [member for member, count in counted.items() if count > 1]
    if twice:
        raise SelectionError(
            f"{where}: {twice[0]} is listed under {counted[twice[0]]} names.",
            hint="Write each image once.",
        )


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
