"""What the extract step leaves, for itself and for those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from lfvpipe.engine.facts import ABSENT_IF_NONE, StepOutcome
from lfvpipe.steps.intact import Watermark

if TYPE_CHECKING:
    from lfvpipe.steps.context import Context


@dataclass(frozen=True)
class ExtractOutcome(StepOutcome):
    """The index of the images, and what was noted of them.

    Attributes:
        index: Its file, relative to the state directory.
        digest: SHA-256 of the index.
        notes: The file of the notes, relative to the state directory.
        images: How many the index has.
        new: How many files, images and masks, were not there before.
        bytes: Of the images.
        unreadable: How many selected images are not in the index.
        white: The sample of deep grey that became white; None where no image is deep grey.
        geometry: Which part of the images counts, and their size, as
            `lfvpipe.images.Geometry.as_text` writes it; None for all as they are.
        counts: Images by label and split; those of neither label are left out.
    """

    step: ClassVar[str] = "extract"

    index: str
    digest: str
    notes: str
    images: int
    new: int
    bytes: int
    unreadable: int
    counts: Mapping[str, Mapping[str, int]]
    white: float | None = field(default=None, metadata=ABSENT_IF_NONE)
    geometry: str | None = field(default=None, metadata=ABSENT_IF_NONE)


def watermark_of(context: Context, outcome: ExtractOutcome) -> Watermark:
    """Return what remembers until when an index's images were found right.

    Of each index its own: the variants of a matrix share the images, and none vouches for those
    of another.
    """
    return Watermark(context, f"images-{outcome.digest[:16]}", context.state_dir)
