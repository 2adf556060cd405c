"""How a model's scores become verdicts: beside the model, so that another decision trains nothing.

A score is the confidence that an image is anomalous, 0 to 1; the model itself calls an image so
from 0.5 on. With another threshold a verdict's confidence is still that of the model, and may be
below 0.5: "anomalous, 0.43" is rejected although the model holds it for normal, by a little.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple


class Called(NamedTuple):
    """What becomes of an image.

    Attributes:
        confidence: In the verdict, 0 to 1.
        to_person: The verdict is no more than a proposal: a person is to decide.
    """

    is_anomalous: bool
    confidence: float
    to_person: bool


@dataclass(frozen=True)
class Decision:
    """A threshold on scores, and the band of scores where a person decides.

    Attributes:
        threshold: An image whose score reaches it is called anomalous; above 0 and below 1.
        above: Scores above this one and below `below` go to a person; None, like `below`, where
            nothing does. The ends of the scale, 0 and 1, are within a band that begins or ends
            there: a score can be just that.
        below: See `above`.
    """

    threshold: float = 0.5
    above: float | None = None
    below: float | None = None

    def call(self, score: float) -> Called:
        """Return what becomes of an image with this score."""
        is_anomalous = score >= self.threshold
        confidence = score if is_anomalous else 1 - score
        return Called(is_anomalous, confidence, self.asks_person(score))

    def asks_person(self, score: float) -> bool:
        """Tell whether a person is to decide on an image with this score."""
        if self.above is None or self.below is None:
            return False
        is_above = score > self.above or self.above == 0
        return is_above and (score < self.below or self.below == 1)

    def as_text(self) -> str:
        """Return it as the value of a tag."""
        band = "" if self.above is None else f" {self.above!r}:{self.below!r}"
        return f"{self.threshold!r}{band}"

    @classmethod
    def from_text(cls, text: str) -> Decision:
        """Return what `as_text` wrote.

        Raises:
            ValueError: It is no such text.
        """
        threshold, _, band = text.partition(" ")
        above, _, below = band.partition(":")
        try:
            limits = (float(above), float(below)) if band else (None, None)
            found = cls(float(threshold), *limits)
        except ValueError:
            raise ValueError("it is a threshold such as 0.5, or 0.5 0.3:0.6 with a band") from None
        if not (0 < found.threshold < 1):
            raise ValueError(f"{threshold} is no threshold between 0 and 1")
        if found.above is not None and not 0 <= found.above < (found.below or 0) <= 1:
            raise ValueError(f"{band} are no scores that go to a person")
        return found

    @classmethod
    def from_json(cls, text: str | bytes) -> Decision:
        """Return what stands in the ``decision.json`` of a folder that judges by itself.

        Raises:
            ValueError: It is none, or does not say by which score is decided.
        """
        try:
            said = json.loads(text)
            if not isinstance(said, dict) or "threshold" not in said:
                raise ValueError("it names no threshold")
            if unknown := sorted({*said} - {*cls.__dataclass_fields__}):
                raise ValueError(f"it says {unknown[0]!r}, which nobody knows")
            if (said.get("above") is None) != (said.get("below") is None):
                raise ValueError("it names one end of what goes to a person, and not the other")
            return cls.from_text(cls(**said).as_text())
        except (TypeError, RecursionError) as error:
            raise ValueError(str(error)) from error


def score_of(confidence: float, *, is_anomalous: bool) -> float:
    """Return the score that a verdict was given by, whatever the threshold was."""
    return confidence if is_anomalous else 1 - confidence
