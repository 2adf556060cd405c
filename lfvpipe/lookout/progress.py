"""How far a training is, as our service says it in a model's StatusMessage.

The API has no field for it. The text is made and read here alone; a text of any other form, which
another service may well have, is shown to people as it is and nothing is read from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

TRAINING: Final = "The model is being trained."
_SAME: Final = "It would have learnt from the same as version"
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


@dataclass(frozen=True)
class Weights:
    """A version did not learn: another one had learnt from the same, and it has those weights."""

    version: str

    def as_message(self) -> str:
        """Return what a StatusMessage says of it, behind that the training is over."""
        return f"{_SAME} {self.version}, whose weights it has; it was tested anew."

    @classmethod
    def from_message(cls, message: str) -> Weights | None:
        """Return what a message that `as_message` is a part of was made of; else None."""
        found = re.search(re.escape(_SAME) + r" ([0-9]{1,9}), whose weights it has;", message)
        return cls(found[1]) if found else None
