"""The history as a table that fits the terminal: what says least goes first."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    Row = Mapping[str, str]

MARK, CHANGED = "", "changed since the run before"
COLUMNS = (
    *(MARK, "run", "when", "variant", "model", "F1", "precision", "recall", "AUROC"),
    *("images", "doubtful", "for a person", "took"),
)
NUMBERS = frozenset(COLUMNS) - {MARK, "run", "when", "variant", "model"}
# A run's id begins with its time; `lfvpipe report` tells the rest of one run.
LEAST_FIRST = ("when", "images", "took", "doubtful", "precision", "recall", "AUROC", "for a person")
TIME = len("20260131T235959Z")  # of an id; what follows tells runs of the same second apart
GAP = "  "
INDENT = " " * 5
ARROW, NO_BREAK = " → ", "\N{NO-BREAK SPACE}"
NARROWEST = 8  # characters of a variant's name


def layout(rows: Sequence[Row], width: int) -> list[str]:
    """Return the header and the rows, none longer than `width`, as long as that can be done.

    Args:
        rows: Of each run, the cells by column: `COLUMNS` and `CHANGED`.
        width: Characters of a line; 0 for as many as it takes, and one line a run.
    """
    columns = [name for name in COLUMNS if name == MARK or any(row[name] for row in rows)]
    whole = _table(rows, [*columns, CHANGED] if any(row[CHANGED] for row in rows) else columns)
    if not width or _is_within(whole, width):
        return whole
    head, *lines = _narrow(rows, columns, width)
    found = [head]
    for line, row in zip(lines, rows, strict=True):
        found += [line, *_lines_beneath(row[CHANGED], width)]
    return found


def _narrow(rows: Sequence[Row], columns: list[str], width: int) -> list[str]:
    """Return the table with the columns that fit, the ids and the variants shortened if needed."""
    attempts = [LEAST_FIRST[:count] for count in range(len(LEAST_FIRST) + 1)]
    for number, dropped in enumerate(attempts):
        kept = [name for name in columns if name not in dropped]
        for shown in [rows, _shorter_ids(rows)] if number else [rows]:
            if _is_within(table := _table(shown, kept), width):
                return table
    over = max(map(len, table)) - width
    return _table(_shorter_variants(shown, over), kept)


def _shorter_ids(rows: Sequence[Row]) -> list[Row]:
    """Cut the ids to their time where that still tells them apart, as `compare` takes them."""
    short = [row["run"][:TIME] for row in rows]
    if len(set(short)) < len(short):
        return list(rows)
    return [{**row, "run": run} for row, run in zip(rows, short, strict=True)]


def _shorter_variants(rows: Sequence[Row], over: int) -> list[Row]:
    longest = max(len(row["variant"]) for row in rows)
    most = max(longest - over, NARROWEST)
    return [{**row, "variant": _shorten(row["variant"], most)} for row in rows]


def _shorten(text: str, most: int) -> str:
    """Keep the end, where the variants of a matrix differ soonest."""
    return text if len(text) <= most else "…" + text[len(text) - most + 1 :]


def _is_within(lines: Collection[str], width: int) -> bool:
    return max(map(len, lines)) <= width


def _table(rows: Sequence[Row], columns: Sequence[str]) -> list[str]:
    """Return the lines; numbers stand under the end of their header, texts under its start."""
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in columns}
    cells = [{name: name for name in columns}, *rows]
    return [
        GAP.join(
            row[name].rjust(widths[name]) if name in NUMBERS else row[name].ljust(widths[name])
            for name in columns
        ).rstrip()
        for row in cells
    ]


def _lines_beneath(changed: str, width: int) -> list[str]:
    if not changed:
        return []
    together = f"changed: {changed}".replace(ARROW, ARROW.replace(" ", NO_BREAK))
    lines = textwrap.wrap(
        together,
        max(width, 2 * len(INDENT)),
        initial_indent=INDENT,
        subsequent_indent=INDENT + "  ",
        break_on_hyphens=False,
    )
    return [line.replace(NO_BREAK, " ") for line in lines]
