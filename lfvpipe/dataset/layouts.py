"""Layouts of published data sets, by one word: which image is what, told by where it lies.

Each reads the names of an archive's members, and where a name does not tell enough, a file in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lfvpipe import images
from lfvpipe.dataset.listing import ListingError, Part, Row, read_table
from lfvpipe.images.formats import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lfvpipe.config.spec import Label

    Read = Callable[[str], bytes]
    Layout = Callable[[Sequence[str], Read], Iterable[Row]]

_IMAGE: Final = f"(?:{'|'.join(suffix[1:] for suffix in SUFFIXES)})"


def rows_of(layout: str, names: Sequence[str], read: Read) -> list[Row]:
    """Return a row for each image of an archive in that layout.

    Args:
        layout: One of `LAYOUTS`.
        names: The archive's members, all of them.
        read: Returns the content of a member.

    Raises:
        ListingError: The archive is not laid out so.
    """
    rows = sorted(LAYOUTS[layout](names, read), key=lambda row: row.path)
    if not rows:
        examples = ", ".join(sorted(names)[:3])
        raise ListingError(
            f"Nothing in the archive is laid out as {layout} is.",
            hint=f"Its members look like {examples}." if examples else "",
        )
    return rows


# What follows a product's folder in the name of an image, by layout; Kolektor's has one product.
_BELOW_PRODUCT: Final = {
    "mvtec-ad": r"/(?:train|test)/[^/]+/[^/]+$",
    "visa": r"/Data/Images/",
    "dagm": r"/(?:train|test)/[^/]+$",
}


def products_of(layout: str, paths: Iterable[str]) -> list[str]:
    """Return the folders of the products that images show; whole data sets hold several."""
    below = _BELOW_PRODUCT.get(layout)
    if below is None:
        return []
    split = (re.split(below, f"/{path}", maxsplit=1, flags=re.IGNORECASE) for path in paths)
    return sorted({parts[0].removeprefix("/") for parts in split if len(parts) > 1})


def mvtec_ad(names: Sequence[str], _read: Read) -> Iterable[Row]:
    """MVTec AD: train/good, test/good, test/TYPE, and ground_truth/TYPE/NAME_mask.png.

    P. Bergmann et al., MVTec AD, CVPR 2019. The archive may hold one product or its folder.
    """
    there = set(names)
    for name in names:
        found = re.fullmatch(
            rf"(?P<root>(?:.*/)?)(?P<split>train|test)/(?P<type>[^/]+)/(?P<stem>[^/]+)\.{_IMAGE}",
            name,
            re.IGNORECASE,
        )
        if found is None:
            continue
        is_good = found["type"].lower() == "good"
        mask = f"{found['root']}ground_truth/{found['type']}/{found['stem']}_mask.png"
        yield Row(
            path=name,
            label="normal" if is_good else "anomaly",
            split=_part(found["split"]),
            type="" if is_good else found["type"],
            mask=mask if mask in there else "",
            where=name,
        )


def visa(names: Sequence[str], read: Read) -> Iterable[Row]:
    """VisA: PRODUCT/Data/Images/{Normal,Anomaly}, Data/Masks/Anomaly, split_csv/1cls.csv.

    Y. Zou et al., SPot-the-difference, ECCV 2022. Where the archive has the one-class split, or
    another CSV in split_csv/, the first of them says which image is in train and in test.
    """
    published: dict[str, Part | None] = {}
    tables = sorted(name for name in names if re.search(r"(^|/)split_csv/[^/]+\.csv$", name))
    if tables:
        for row in read_table(tables[0], read(tables[0])).rows:
            published[row.path] = row.split
    there = set(names)
    for name in names:
        found = re.fullmatch(
            rf"(?P<root>(?:.*/)?Data)/Images/(?P<label>Normal|Anomaly)/(?P<stem>[^/]+)\.{_IMAGE}",
            name,
            re.IGNORECASE,
        )
        if found is None:
            continue
        mask = f"{found['root']}/Masks/Anomaly/{found['stem']}.png"
        yield Row(
            path=name,
            label=_label(found["label"].lower() == "anomaly"),
            split=_of_suffix(published, name),
            mask=mask if mask in there and found["label"].lower() == "anomaly" else "",
            where=name,
        )


def dagm(names: Sequence[str], read: Read) -> Iterable[Row]:
    """DAGM 2007: CLASS/{Train,Test}/NNNN.PNG with Label/NNNN_label.PNG, or CLASS and CLASS_def.

    The ten-class corpus as it is published today, and the archives of the tutorial, whose
    ``labels.txt`` holds ellipses (not read: they are weak, far larger than the defect). The
    ``Label/Labels.txt`` of the corpus says which images are defective; where there is none, the
    masks do.
    """
    masks = {name.lower(): name for name in names if "/label/" in f"/{name.lower()}"}
    said = {
        path: line
        for name in names
        if name.lower().endswith(("train/label/labels.txt", "test/label/labels.txt"))
        for path, line in _labels_of_dagm(name, read(name)).items()
    }
    denied: list[str] = []
    there = set()
    for name in names:
        path = PurePosixPath(name)
        if not re.fullmatch(rf".*\.{_IMAGE}", name, re.IGNORECASE) or name.lower() in masks:
            continue
        folder = path.parent.name.lower()
        if folder in ("train", "test"):
            there.add(name.lower())
            beside = path.parent / "Label" / f"{path.stem}_label{path.suffix}"
            mask = masks.get(beside.as_posix().lower(), "")
            line = said.get(name.lower())
            if line is None and (path.parent / "Label/Labels.txt").as_posix().lower() in masks:
                denied.append(f"{name} is not in its Labels.txt")
            elif line is not None and line.is_defective != bool(mask):
                denied.append(
                    f"{line.where} calls {name} defective, and {beside.name} is not there"
                    if line.is_defective
                    else f"{line.where} calls {name} good, and {mask} is there"
                )
            yield Row(name, _label(bool(mask)), _part(folder), mask=mask, where=name)
        elif re.fullmatch(r"class\d+(_def)?", folder):
            yield Row(name, _label(folder.endswith("_def")), where=name)
    if denied:
        more = f", and so of {len(denied) - 5} more" if len(denied) > 5 else ""
        raise ListingError(
            f"Labels.txt and the masks contradict each other: {'; '.join(denied[:5])}{more}.",
            hint="Put the masks there that lack, or mend the lines of Labels.txt.",
        )
    for path_, line in said.items():
        if path_ not in there:  # told as an image that is listed and not there
            yield Row(line.path, _label(line.is_defective), where=line.where)


@dataclass(frozen=True)
class _Line:
    """A line of a Labels.txt: the image, whether it is defective, and where that stands."""

    path: str
    is_defective: bool
    where: str


def _labels_of_dagm(name: str, data: bytes) -> dict[str, _Line]:
    """Return the lines of a Labels.txt by the names of their images, in lower case.

    The first is a number; each other one has the image's number, 0 or 1, the image's file, a
    number, and the mask's file or 0.
    """
    folder = PurePosixPath(name).parent.parent
    found: dict[str, _Line] = {}
    for number, text in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), 1):
        cells = text.split("\t") if "\t" in text else text.split()
        if len(cells) < 2:
            continue
        if len(cells) < 3 or cells[1].strip() not in ("0", "1"):
            raise ListingError(
                f"{name}:{number}: does not say by 0 or 1 whether an image is defective.",
                hint="A line has the image's number, 0 or 1, its file, a number, and its mask.",
            )
        path = (folder / cells[2].strip()).as_posix()
        found[path.lower()] = _Line(path, cells[1].strip() == "1", f"{name}:{number}")
    return found


def kolektor(names: Sequence[str], read: Read) -> Iterable[Row]:
    """KolektorSDD: kosNN/PartN.jpg with PartN_label.bmp; KolektorSDD2: train/N.png with N_GT.png.

    D. Tabernik et al. 2019; J. Božič et al. 2021. Every image has a mask, and one in which nothing
    is marked says that the image is normal: so the masks are read. The photographs of one part
    (kosNN) are a group.
    """
    by_stem = {re.sub(r"\.[^./]+$", "", name).lower(): name for name in names}
    for name in names:
        stem = re.sub(r"\.[^./]+$", "", name)
        if stem.lower().endswith(("_label", "_gt")) or not re.search(
            rf"\.{_IMAGE}$", name, re.IGNORECASE
        ):
            continue
        mask = by_stem.get(f"{stem.lower()}_label") or by_stem.get(f"{stem.lower()}_gt")
        if mask is None:
            continue
        is_marked = _marks_something(mask, read(mask))
        folder = PurePosixPath(name).parent.name
        yield Row(
            path=name,
            label=_label(is_marked),
            split=_part(folder),
            mask=mask if is_marked else "",
            group=folder if folder.lower().startswith("kos") else "",
            where=name,
        )


LAYOUTS: Final[dict[str, Layout]] = {
    "mvtec-ad": mvtec_ad,
    "visa": visa,
    "dagm": dagm,
    "kolektor": kolektor,
}


def _label(is_defective: bool) -> Label:
    return "anomaly" if is_defective else "normal"


def _part(folder: str) -> Part | None:
    lower = folder.lower()
    return "train" if lower == "train" else "test" if lower == "test" else None


def _of_suffix(published: dict[str, Part | None], name: str) -> Part | None:
    """Return the split of the path in the table that `name` ends with: archives add a folder."""
    parts = name.split("/")
    tails = ("/".join(parts[at:]) for at in range(len(parts)))
    return next((published[tail] for tail in tails if tail in published), None)


def _marks_something(name: str, data: bytes) -> bool:
    try:
        mask = images.read_image(data).image
    except images.ImageError as error:
        raise ListingError(f"{name}: this mask cannot be read: it {error.fault}.") from error
    return any(mask.tobytes())
