"""What goes to standard output: text with or without colours, tables, JSON."""

from __future__ import annotations

import json
import os
import sys
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, Literal

from lfvpipe.visible import visible, visible_name
from lfvpipe.wrapping import plain_stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Style = Literal["bold", "dim", "red", "green", "yellow", "cyan"]
_CODES: Mapping[Style, str] = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}


def has_colours(stream: IO[str]) -> bool:
    """Return whether `stream` is a terminal whose user wants colours (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def styled(text: str, style: Style, *, stream: IO[str] | None = None) -> str:
    """Return `text` in a style where the stream (default: standard output) shows it."""
    text = visible(text)
    if not text or not has_colours(stream or sys.stdout):
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def print_json(document: object) -> None:
    """Print one JSON document."""
    # What a terminal would obey or hide is escaped as JSON escapes it: the texts stay the same.
    text = visible(json.dumps(document, indent=2, ensure_ascii=False))
    print(text, file=plain_stream(sys.stdout))


def table(rows: Sequence[Sequence[str]], *, styles: Sequence[Style | None] = ()) -> str:
    """Return rows as aligned columns; `styles` holds one style per row."""
    if not rows:
        return ""
    rows = [[visible_name(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row, style in zip_longest(rows, styles[: len(rows)]):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        lines.append(styled(line, style) if style else line)
    return "\n".join(lines)
