"""How far a training is, as our service says it in a model's StatusMessage.

The API has no field for it. The text is made and read here alone; a text of any other form, which
another service may well have, is shown to people as it is and nothing is read from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TRAINING: Final = "The model is being trained."
_MESSAGE = re.compile(re.escape(TRAINING) + r" ([^:]+): ([0-9]{1,9}) of ([0-9]{1,9})\.")


@dataclass(frozen=True)
class TrainingProgress:
    """A stage of a training, in lower case, and how many of its parts are done."""

    stage: str
    done: int
    total: int

    def as_message(self) -> str:
        """Return the StatusMessage."""
        return f"{TRAINING} {self.stage.capitalize()}: {self.done} of {self.total}."

    @classmethod
    def from_message(cls, message: str) -> TrainingProgress | None:
        """Return what `as_message` was told; None for a text that it did not make."""
        found = _MESSAGE.fullmatch(message)
        return TrainingProgress(found[1].lower(), int(found[2]), int(found[3])) if found else None
