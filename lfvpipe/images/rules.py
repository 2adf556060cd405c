"""What is decided once for a product of how its photographs become pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["L", "RGB"]

_COLOUR = re.compile("#[0-9A-Fa-f]{6}")
WHITE: Final = "#FFFFFF"
_WORDS = re.compile(r"(?:white=(?P<white>[0-9.e+]+))? ?(?:background=(?P<background>[0-9A-F]{6}))?"
                    r" ?(?:mode=(?P<mode>L|RGB))?")  # fmt: skip


@dataclass(frozen=True)
class PixelRules:
    """What is decided once for a product, and then holds for each of its photographs.

    Attributes:
        white_level: The sample of deep grey (16-bit, 32-bit, floating) that becomes white. None
            takes the smallest usual depth that holds the photograph at hand, which is right only
            where a photograph is looked at alone.
        background: ``#RRGGBB`` that shows where a photograph is transparent.
        mode: Grey or RGB for all; None keeps each as it is.
    """

    white_level: float | None = None
    background: str = WHITE
    mode: Mode | None = None

    def as_json(self) -> dict[str, float | str]:
        """Return what is not as by default."""
        return {key: each for key, each in vars(self).items() if each != getattr(_DEFAULT, key)}

    @classmethod
    def from_json(cls, given: Mapping[str, object]) -> Self:
        """Return the rules that `as_json` described; raises ValueError where it did not."""
        rules = {**vars(_DEFAULT), **given}
        white, background, mode = rules["white_level"], rules["background"], rules["mode"]
        if rules.keys() != vars(_DEFAULT).keys() or mode not in (None, "L", "RGB"):
            raise ValueError(f"rules of pixels: {given!r:.80}")
        if not isinstance(background, str) or not _COLOUR.fullmatch(background):
            raise ValueError(f"a background: {background!r:.80}")
        if white is not None and (type(white) not in (int, float) or not 0 < white < float("inf")):
            raise ValueError(f"a white level: {white!r:.80}")
        return cls(white, background, mode)

    def as_text(self) -> str:
        """Return the rules in signs that a tag of AWS may have; "" where all are by default."""
        words = {"white": self.white_level and f"{self.white_level:.17g}"}
        words["background"] = "" if self.background == WHITE else self.background[1:].upper()
        words["mode"] = self.mode or ""
        return " ".join(f"{key}={value}" for key, value in words.items() if value)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the rules that `as_text` described.

        Raises:
            ValueError: It did not.
        """
        found = _WORDS.fullmatch(text)
        if found is None:
            raise ValueError(text)
        white, background, mode = found.group("white", "background", "mode")
        level = float(white) if white else None
        if level is not None and not 0 < level < float("inf"):
            raise ValueError(text)
        as_mode: dict[str, Mode] = {"L": "L", "RGB": "RGB"}
        return cls(level, f"#{background}" if background else WHITE, as_mode.get(mode or ""))


_DEFAULT = PixelRules()
