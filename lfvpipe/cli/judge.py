"""By what the verdicts of `lfvpipe detect` are given, which tells them from others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe import __version__
from lfvpipe.decision import Decision
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Judge:
    """What verdicts are given by: where all of it is the same, they are, to the bit.

    Attributes:
        model: As people call it.
        digest: What tells it from every other: of its file, or its ARN.
        decision: What makes verdicts of its scores.
        review_below: Verdicts of less confidence are doubtful; 0 where none is.
        file: The model's file, where it is on this machine.
        stamp: What `stamp_of` said of the file before it was read.
    """

    model: str
    digest: str
    decision: Decision = field(default_factory=Decision)
    review_below: float = 0.0
    file: Path | None = None
    stamp: tuple[int, ...] = ()

    def insist_on_file(self) -> None:
        """Raise a UserError if the model's file is not what it was before it was read."""
        if self.file is not None and stamp_of(self.file) != self.stamp:
            raise UserError(
                f"{self.file} was changed while images were judged by it.",
                hint="Judge by a copy that nobody writes.",
            )

    @property
    def facts(self) -> dict[str, str]:
        """What has to be the same, by the word that people have for it."""
        return {
            "model": self.model,
            "its digest": self.digest,
            "threshold": self.decision.as_text(),
            "doubtful below": repr(self.review_below),
            "lfvpipe": __version__,
        }


def stamp_of(file: Path) -> tuple[int, ...]:
    """Return what is another whenever the file was written or replaced; empty if it is gone."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
