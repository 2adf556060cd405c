"""Lines that fit the terminal: they end between words, never within one."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSEEN = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # what a terminal obeys and does not show
_GAP = re.compile(r"(?<=\S) {2,}(?=\S)")  # between the columns of a table
# What a line is broken between: a number stays beside the word before it, and its unit beside it.
_PIECE = re.compile(
    r" +|(?:[A-Za-z]\w* )?\d[\w.]*(?: (?:[kMG]?B|s|min|h|%)(?=[ ,.;:)]|$))?[^ ]*|[^ ]+"
)
_LEAST = 20  # characters that the last column has to have left for its lines
NARROWEST = 20


def columns() -> int:
    """Return how many characters a line of the terminal has; 100 where nobody knows."""
    fallback = 100
    if sys.__stderr__ is not None:
        with suppress(OSError, ValueError):  # standard output may go to a file, and this not
            # 0 is what a terminal says that does not know, as a serial one
            fallback = os.get_terminal_size(sys.__stderr__.fileno()).columns or fallback
    return max(shutil.get_terminal_size((fallback, 24)).columns, NARROWEST)


def wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """Return a text as lines of at most `width` characters, but for words that are longer.

    Args:
        text: One line.
        width: In characters.
        indent: What stands before each line but the first.
    """
    return textwrap.wrap(
        text,
        max(width, NARROWEST),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def fit(line: str, width: int, at: int = 0) -> str:
    """Return a line, broken between words where it is longer than `width`.

    What follows stands below the last column of the line, if that begins early enough for each of
    its words, else a little further in than the line does. A word that is too long for any line,
    such as a path, stays whole.

    Args:
        line: Without an end; codes for colours count for nothing.
        width: In characters.
        at: How many characters stand before it on its line already.
    """
    if at + _seen(line) <= width:
        return line
    indent = _indent(_UNSEEN.sub("", line), width)
    found, place, gap = "", at, ""
    for part in _pieces(line, width - indent):
        if part.startswith(" "):
            gap = part
            continue
        if place + len(gap) + _seen(part) > width and _UNSEEN.sub("", found).strip():
            found, place = f"{found}\n{' ' * indent}{part}", indent + _seen(part)
        else:
            found, place = f"{found}{gap}{part}", place + len(gap) + _seen(part)
        gap = ""
    return found


def _seen(text: str) -> int:
    return len(_UNSEEN.sub("", text))


def _indent(line: str, width: int) -> int:
    starts = [gap.end() for gap in _GAP.finditer(line) if gap.end() <= width - _LEAST]
    beginning = min(len(line) - len(line.lstrip(" ")) + 2, width // 2)
    column = starts[-1] if starts else beginning
    longest = max(map(len, line[column:].split()), default=0)
    return column if column + longest <= width else beginning


def _pieces(line: str, room: int) -> Iterator[str]:
    """Yield what a line is broken between and the spaces; words alone where a pair has no room."""
    for piece in _PIECE.findall(line):
        if _seen(piece) <= room or piece.isspace():
            yield piece
        else:
            yield from re.findall(r" +|[^ ]+", piece)


class Fitting:
    """A stream to a terminal that breaks lines between words, where a terminal would do anywhere.

    Args:
        stream: To a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._at = 0  # characters of the line that is not ended yet

    def write(self, text: str) -> int:
        """Write a text; its lines are told from one another by their ends alone."""
        lines = []
        for number, line in enumerate(text.split("\n")):
            at = 0 if number else self._at
            lines.append(fit(line, columns(), at))
            *above, last = lines[-1].split("\n")
            self._at = (0 if above else at) + _seen(last)
        self.stream.write("\n".join(lines))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def plain_stream(stream: TextIO) -> TextIO:
    """Return a stream that breaks no lines: for what programs read, and for who counts himself."""
    return stream.stream if isinstance(stream, Fitting) else stream


@contextmanager
def fitting() -> Iterator[None]:
    """Break lines between words, as long as the block runs, where the streams are terminals."""
    before = sys.stdout, sys.stderr
    for name, stream in zip(("stdout", "stderr"), before, strict=True):
        if stream is not None and stream.isatty():
            setattr(sys, name, Fitting(stream))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
