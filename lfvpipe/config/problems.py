"""What is wrong with a configuration, each thing at its place, all of it at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfvpipe.config.tree import Place


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: The file as the user named it, or the ``--set`` argument.
        line: Counted from 1; 0 where there are no lines.
        column: Counted from 1; 0 where there are none.
        message: What is wrong.
        hint: What to do about it.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.message}" + (f"\n  {self.hint}" if self.hint else "")


class ConfigError(UserError):
    """A configuration that cannot be used; `problems` holds everything that is wrong with it."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))


def problem(place: Place, message: str, hint: str = "") -> Problem:
    """Return the problem `message` at `place`."""
    return Problem(place.file, place.line, place.column, message, hint)
