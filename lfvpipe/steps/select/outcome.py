"""What the select step leaves, for itself and for those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.engine.facts import StepOutcome


@dataclass(frozen=True)
class SelectOutcome(StepOutcome):
    """The selection.

    Attributes:
        selection: Its file, relative to the state directory.
        digest: SHA-256 of the file.
        counts: By label; a label without an image in the sources or in train and test is left out.
    """

    step: ClassVar[str] = "select"

    selection: str
    digest: str
    counts: Mapping[str, LabelCounts]
