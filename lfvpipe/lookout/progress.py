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
_MESSAGE = re.compile(
    re.escape(TRAINING)
    + r" It ([^:]+?)(?:: ([0-9]{1,3}) %(?:, about ([0-9]{1,6} (?:s|min|h)) left)?)?\."
)


@dataclass(frozen=True)
class TrainingProgress:
    """What a training is doing.

    Attributes:
        doing: In words for people, such as "looks at the images".
        percent: Of the whole training that is done; None where nobody knows.
        left: About how long it still takes, as a number with its unit; "" where nobody knows.
    """

    doing: str
    percent: int | None = None
    left: str = ""

    @classmethod
    def of(cls, doing: str, share: float | None, seconds: float | None) -> TrainingProgress:
        """Return it of a share, 0 to 1, and the seconds that are left, rounded as they are known.

        A number of seconds is one of 5, 10, 15, 20, 30 or 45.
        """
        words = " ".join(doing.replace(":", " ").split())
        if share is None or seconds is None:
            return cls(words)
        return cls(words, int(100 * share), about(seconds))

    @property
    def phrase(self) -> str:
        """What is said of it in a line: what it does, how much is done, how long it takes."""
        parts = [self.doing]
        if self.percent is not None:
            parts.append(f"{self.percent} %")
        if self.left:
            parts.append(f"about {self.left} left")
        return ", ".join(parts)

    def as_message(self) -> str:
        """Return the StatusMessage."""
        done = "" if self.percent is None else f": {self.percent} %"
        left = f", about {self.left} left" if done and self.left else ""
        return f"{TRAINING} It {self.doing}{done}{left}."

    @classmethod
    def from_message(cls, message: str) -> TrainingProgress | None:
        """Return what `as_message` was told; None for a text that it did not make."""
        found = _MESSAGE.fullmatch(message)
        if found is None:
            return None
        percent = None if found[2] is None else int(found[2])
        return TrainingProgress(found[1], percent, found[3] or "")


def about(seconds: float) -> str:
    """Return a time as roughly as it is known."""
    if seconds < 52.5:
        return f"{min((5, 10, 15, 20, 30, 45), key=lambda each: abs(each - seconds))} s"
    if seconds < 5400:
        return f"{max(1, round(seconds / 60))} min"
    return f"{round(seconds / 3600)} h"


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
