"""Lines that fit the terminal: they end between words, never within one."""

from __future__ import annotations

import shutil
import textwrap


def columns() -> int:
    """Return how many characters a line of the terminal has; 100 where nobody knows."""
    return shutil.get_terminal_size((100, 24)).columns


def wrapped(text: str, width: int, indent: str = "  ") -> list[str]:
    """Return a text as lines of at most `width` characters, but for words that are longer.

    Args:
        text: One line.
        width: In characters.
        indent: What stands before each line but the first.
    """
    return textwrap.wrap(
        text,
        max(width, 20),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]
