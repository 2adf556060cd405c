"""The index of extracted images, and what was noted of them for the checks; JSON Lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from lfvpipe.dataset.lines import read_lines, share_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.selection import Split


# What the only type of masks is called that nobody named.
UNNAMED_TYPE = "anomaly"


@dataclass(frozen=True)
class Mask:
    """An extracted mask; `classes` are colours (``#RRGGBB``) by anomaly type."""

    path: str
    key: str
    size: int
    sha256: str
    classes: Mapping[str, str]


@dataclass(frozen=True)
class Image:
    """One line of the index: an extracted, verified, prepared image.

    Attributes:
        path: Relative to the state directory.
        key: The object key without the bucket's prefix; content-addressed.
        size: Bytes.
        width: Pixels.
        height: Pixels.
        type: The type of its defect, where that is known without a mask.
    """

    id: str
    label: Label | None
    split: Split
    member: str
    source: str
    path: str
    key: str
    size: int
    sha256: str
    width: int
    height: int
    mask: Mask | None = None
    type: str = ""

    @property
    def types(self) -> tuple[str, ...]:
        """The types of its defects, by its mask or without one; none where they are not known."""
        if self.label != "anomaly":
            return ()
        if self.type:
            return (self.type,)
        named = set(self.mask.classes) if self.mask else set()
        return tuple(sorted(named - {UNNAMED_TYPE}))


@dataclass(frozen=True, kw_only=True)
class MaskNote:
    """What the checks have to know of a mask.

    Attributes:
        colours: Of the anomaly types that it shows.
        strangers: Colours that nobody declared.
        problem: Why it cannot be used; all else is empty then.
        share: How much of the image it marks, 0 to 1; None where that was not noted.
    """

    width: int
    height: int
    colours: tuple[str, ...]
    strangers: tuple[str, ...]
    problem: str
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Note:
    """What the checks have to know of a selected image beyond the index.

    Attributes:
        id: The image's; one with a problem is not in the index.
        origin: SHA-256 of its file as it was before it was prepared.
        mode: Pillow's name of the colour mode.
        changes: See `lfvpipe.images.Prepared`.
        pixels: SHA-256 of the decoded pixels.
        likeness: 256-bit difference hash, hexadecimal.
        problem: Why the image cannot be used; all else is empty then.
        levels: How many levels are left of samples of more than 8 bits; None where they had 8.
        whole: (width, height) of the photograph, upright; None where that was not noted.
        source: The format of its file as it was; "" where that was not noted.
        camera: What EXIF calls the camera; "" for nothing.
        white: The white level of deep grey by its own samples; None where nobody looked.
        is_unfit: The problem is what the pipeline wants of the image, which is sound.
    """

    id: str
    origin: str = ""
    mode: str
    changes: tuple[str, ...]
    pixels: str
    likeness: str
    problem: str
    levels: int | None = None
    mask: MaskNote | None = None
    whole: tuple[int, int] | None = None
    source: str = ""
    camera: str = ""
    white: float | None = None
    is_unfit: bool = False


def image_line(image: Image) -> dict[str, object]:
    """Return the line of the index that stands for `image`."""
    line = {**vars(image), "mask": vars(image.mask) if image.mask else None}
    del line["type"]
    # Before the mask: `read_pieces` counts the lines that end without one.
    return ({"type": image.type} if image.type else {}) | line


def read_index(file: Path) -> Iterator[Image]:
    """Yield the images of an index file, sorted by id; raises DamagedLine."""
    return read_lines(file, _image)


def _image(line: dict[str, Any]) -> Image:
    share_words(line, "label", "split", "source")
    mask = line.pop("mask")
    return Image(**line, mask=Mask(**mask) if mask else None)


class Piece(NamedTuple):
    """A file that an index names, an image or a mask; a tuple, as there are many."""

    path: str
    size: int
    sha256: str


# The facts of an image or mask, as `image_line` and `write_lines` spell them. No name can pass for
# them: within a text JSON escapes the quotes.
_FILE = re.compile(r'"path":"([^"]+)","key":"([^"]+)","size":([0-9]+),"sha256":"([0-9a-f]{64})"')
_DATASETS = ('"split":"train"', '"split":"test"')


def read_pieces(file: Path) -> list[Piece]:
    """Return the files, images and masks, that an index file names.

    By pattern, as parsing the JSON of 100,000 images would take most of the time of a run that
    changes nothing. Only where as many files are found as there must be: a line that the pattern
    passes over would count as no file, hence as nothing to do.

    Raises:
        DamagedLine: A line cannot be read.
    """
    text = file.read_bytes().decode(errors="replace")
    lines, without_mask = text.count("\n"), text.count(',"mask":null}\n')
    # A backslash may belong to a path, whose spelling then is not the path itself.
    if text.endswith("\n") and "\\" not in text:
        found = _FILE.findall(text)
        if len(found) == 2 * lines - without_mask:
            return [Piece(path, int(size), sha256) for path, _, size, sha256 in found]
    return [
        Piece(each.path, each.size, each.sha256)
        for image in read_index(file)
        for each in (image, image.mask)
        if each is not None
    ]


def read_objects(file: Path) -> list[Piece]:
    """Return what the bucket has to hold of an index: the datasets' images and masks, by key.

    By pattern, as `read_pieces`.

    Raises:
        DamagedLine: A line cannot be read.
    """
    text = file.read_bytes().decode(errors="replace")
    if "\\" not in text:
        return [
            Piece(key, int(size), sha256)
            for line in text.split("\n")
            if any(split in line for split in _DATASETS)
            for _, key, size, sha256 in _FILE.findall(line)
        ]
    return [
        Piece(each.key, each.size, each.sha256)
        for image in read_index(file)
        if image.split in ("train", "test")
        for each in (image, image.mask)
        if each is not None
    ]


_OFTEN_EMPTY = ("levels", "whole", "source", "camera", "white", "is_unfit")


def note_line(note: Note) -> dict[str, object]:
    """Return the line of the notes that stands for `note`."""
    line = {**vars(note), "mask": vars(note.mask) if note.mask else None}
    # Most have none of these, and notes of 0.1.0 had no such words.
    return {key: value for key, value in line.items() if value or key not in _OFTEN_EMPTY}


def read_notes(file: Path) -> Iterator[Note]:
    """Yield the notes of a file, sorted by the images' ids; raises DamagedLine."""
    return read_lines(file, _note)


def _note(line: dict[str, Any]) -> Note:
    mask = line.pop("mask")
    changes = tuple(line.pop("changes"))
    whole = tuple(line.pop("whole", ())) or None
    note = _mask_note(mask) if mask else None
    return Note(**line, changes=changes, mask=note, whole=whole)


def _mask_note(line: dict[str, Any]) -> MaskNote:
    colours, strangers = tuple(line.pop("colours")), tuple(line.pop("strangers"))
    return MaskNote(**line, colours=colours, strangers=strangers)
