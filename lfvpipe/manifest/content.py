"""What of a dataset's lines matters for training: two datasets with the same train alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.manifest.lines import read_line

if TYPE_CHECKING:
    from lfvpipe.manifest.lines import MapColour


@dataclass(frozen=True)
class TrainingContent:
    """An image, what it is called, and its masks with their colours; no dates, no job names."""

    image: str
    class_names: tuple[str, ...]
    masks: frozenset[tuple[str | None, tuple[MapColour, ...] | None]]


def training_content(text: str | bytes) -> TrainingContent:
    """Return what matters for training of a JSON line.

    Raises:
        LineError: It is no JSON object.
    """
    line = read_line(text)
    return TrainingContent(
        image=line.image or "",
        class_names=tuple(each.class_name for each in line.classifications),
        masks=frozenset((each.address, each.colours) for each in line.masks),
    )
