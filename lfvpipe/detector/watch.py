"""Who follows a training: told of its progress, and free to stop it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.detector.errors import TrainingCancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.detector.protocol import Cancelled, Progress


@dataclass(frozen=True)
class Watch:
    """Who is told of progress, and who may stop the training."""

    progress: Progress
    cancelled: Cancelled

    def tick(self, stage: str, done: int, total: int) -> None:
        """Report progress; raise TrainingCancelled where the caller has had enough."""
        if self.cancelled():
            raise TrainingCancelled
        self.progress(stage, done, total)

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Return a function that tells of (done, total) of one stage."""
        return lambda done, total: self.tick(name, done, total)
