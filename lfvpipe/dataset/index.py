"""The files that grow with the images: what was selected, and what was extracted; JSON Lines."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lfvpipe.engine.facts import StepFacts
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from lfvpipe.config.spec import Label

Split = Literal["train", "test", "evaluate", "unused"]
SPLITS: tuple[Split, ...] = ("train", "test", "evaluate", "unused")


@dataclass(frozen=True)
class LabelCounts(StepFacts):
    """How many images of one label each split got, and how many there were to choose from."""

    train: int
    test: int
    evaluate: int
    unused: int
    available: int

    def of(self, split: Split) -> int:
        """Return how many the split got."""
        return {"train": self.train, "test": self.test, "evaluate": self.evaluate}.get(
            split, self.unused
        )


class UnreadableName(UserError):
    """An image is called by bytes that are no UTF-8."""


@dataclass(frozen=True)
class SelectedMask:
    """A mask that belongs to a selected image; fields as in `Selected`."""

    source: str
    member: str
    stamp: str
    size: int
    classes: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Reviewed:
    """That a person gave a selected image its label.

    Attributes:
        sha256: The digest of the image's file that the person saw; None if that is not known.
        label: The label that the image had without the review.
        split: Where it was without the review; None where it was not selected.
    """

    sha256: str | None
    label: Label | None
    split: Split | None


@dataclass(frozen=True)
class Selected:
    """One selected image.

    Attributes:
        id: Unique in the selection.
        source: The fetch step's member that holds it; ``files`` for files beside the pipeline,
            ``s3`` for objects.
        member: Its name there: a member, a path relative to the pipeline's folder, an S3 URI.
        stamp: Changes with the content, as far as the archive's directory tells.
        size: Bytes as declared; 0 where that is not known.
        reviewed: Set where a review changed something about it.
    """

    id: str
    label: Label | None
    split: Split
    source: str
    member: str
    stamp: str
    size: int
    mask: SelectedMask | None = None
    reviewed: Reviewed | None = None


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


def write_lines(folder: Path, lines: Iterable[Mapping[str, object]]) -> tuple[str, str]:
    """Write `lines` to a JSON Lines file in `folder` that is named after its content.

    Returns:
        The file's name and its SHA-256.

    Raises:
        UnreadableName: A name in a line is not Unicode.
    """
    from lfvpipe.atomic import replacing, sync_folder

    hashed = hashlib.sha256()
    staging = folder / "incoming.jsonl"  # one run holds the state directory's lock
    with replacing(staging) as file:
        for line in lines:
            text = _encoded(line)
            hashed.update(text)
            file.write(text)
    name = f"{hashed.hexdigest()}.jsonl"
    staging.replace(folder / name)
    sync_folder(folder)
    return name, hashed.hexdigest()


def _encoded(line: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError as error:
        name = ascii(line.get("id", ""))
        raise UnreadableName(
            f"The image {name} has a name that is not UTF-8.", hint="Rename it, and run again."
        ) from error


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a JSON Lines file."""
    with file.open("rb") as stream:
        for line in stream:
            yield json.loads(line)


def selected_line(image: Selected) -> dict[str, object]:
    """Return the line of the selection that stands for `image`."""
    line = {**vars(image), "mask": vars(image.mask) if image.mask else None}
    del line["reviewed"]
    return line | ({"reviewed": vars(image.reviewed)} if image.reviewed else {})


def read_selection(file: Path) -> Iterator[Selected]:
    """Yield the selected images of a selection file."""
    for line in read_lines(file):
        mask, reviewed = line.pop("mask"), line.pop("reviewed", None)
        yield Selected(
            **line,
            mask=SelectedMask(**mask) if mask else None,
            reviewed=Reviewed(**reviewed) if reviewed else None,
        )


def image_line(image: Image) -> dict[str, object]:
    """Return the line of the index that stands for `image`."""
    return {**vars(image), "mask": vars(image.mask) if image.mask else None}


def read_index(file: Path) -> Iterator[Image]:
    """Yield the images of an index file, sorted by id."""
    for line in read_lines(file):
        mask = line.pop("mask")
        yield Image(**line, mask=Mask(**mask) if mask else None)
