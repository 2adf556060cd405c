"""The selection: which images take part, in which split, and where each lies; JSON Lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lfvpipe.dataset.lines import read_lines, share_words
from lfvpipe.engine.facts import StepFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lfvpipe.config.spec import Label

Split = Literal["train", "test", "evaluate", "unused"]

# Sources that are no archive.
FILES = "files"  # beside the pipeline; members are paths relative to its folder
OBJECTS = "s3"  # members are S3 URIs


@dataclass(frozen=True)
class LabelCounts(StepFacts):
    """How many images of one label each split got, and how many there were to choose from."""

    train: int
    test: int
    evaluate: int
    unused: int
    available: int


@dataclass(frozen=True)
class SelectedMask:
    """A mask that belongs to a selected image; fields as in `SelectedImage`.

    Attributes:
        classes: Colours (``#RRGGBB``) by anomaly type; None where nobody declared them.
        drawn: It is drawn from what an annotation tool says of the image, which `source` and
            `member` then name; `stamp` changes with what is marked.
    """

    source: str
    member: str
    stamp: str
    size: int
    classes: Mapping[str, str] | None = None
    drawn: bool = False


@dataclass(frozen=True)
class Review:
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
class SelectedImage:
    """One line of the selection.

    Attributes:
        id: Unique in the selection.
        source: The fetch step's member that holds it, `FILES` or `OBJECTS`.
        member: Its name there: a member, a path relative to the pipeline's folder, an S3 URI.
        stamp: Changes with the content, as far as the archive's directory tells.
        size: Bytes as declared; 0 where that is not known.
        reviewed: Set where a review changed something about it.
        type: The defect's type, where somebody named it; "" else.
    """

    id: str
    label: Label | None
    split: Split
    source: str
    member: str
    stamp: str
    size: int
    mask: SelectedMask | None = None
    reviewed: Review | None = None
    type: str = ""


def selection_line(image: SelectedImage) -> dict[str, object]:
    """Return the line of the selection that stands for `image`."""
    line = {**vars(image), "mask": _mask_line(image.mask) if image.mask else None}
    del line["reviewed"], line["type"]
    line |= {"reviewed": vars(image.reviewed)} if image.reviewed else {}
    return line | ({"type": image.type} if image.type else {})


def _mask_line(mask: SelectedMask) -> dict[str, object]:
    line = dict(vars(mask))
    if not mask.drawn:
        del line["drawn"]
    return line


def read_selection(file: Path) -> Iterator[SelectedImage]:
    """Yield the images of a selection file, sorted by id; raises DamagedLine."""
    return read_lines(file, _image)


def _image(line: dict[str, Any]) -> SelectedImage:
    share_words(line, "label", "split", "source")
    mask, reviewed = line.pop("mask"), line.pop("reviewed", None)
    return SelectedImage(
        **line,
        mask=SelectedMask(**mask) if mask else None,
        reviewed=Review(**reviewed) if reviewed else None,
    )
