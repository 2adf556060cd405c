"""Columns of a table by names that nobody knows: what they hold is told by what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.listing import LABEL_COLUMNS, column_of, tidy
from lfvpipe.dataset.naming import shared_top
from lfvpipe.dataset.words import meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.dataset.naming import NameFinder

LOOKED_AT = 1000  # lines


def told_columns(
    lines: Sequence[Mapping[str, str]], finder: NameFinder, said: Mapping[str, str]
) -> dict[str, str] | None:
    """Return what columns are called, by what they hold; None where their cells do not tell.

    The column of the images is the only one whose cells are names of images that are there; that of
    the labels the only one that has known words for good and for defective, and no other words. 0
    and 1 do not tell which of them is good.

    Args:
        lines: Of the table, by the names of its columns.
        finder: Finds images by their names.
        said: What the user says of columns.
    """
    names = list(dict.fromkeys(name for line in lines for name in line if name))
    holds = {column_of(name) for name in names} | said.keys()
    found = dict(said)
    for column, fits in (("path", _are_images), ("label", _are_labels)):
        if column in holds or (column == "label" and not LABEL_COLUMNS.isdisjoint(holds)):
            continue
        free = [name for name in names if not column_of(name) and name not in found.values()]
        fitting = []
        for name in free:
            cells = [cell for line in lines[:LOOKED_AT] if (cell := line.get(name, "").strip())]
            if cells and fits(cells, finder):
                fitting.append(name)
        if len(fitting) != 1:
            return None
        found[column] = fitting[0]
    return found


def name_images(lines: Sequence[Mapping[str, str]], finder: NameFinder) -> bool:
    """Tell whether any cell of a table is the name of an image that is there."""
    cells = [tidy(cell) for line in lines[:LOOKED_AT] for cell in line.values() if cell.strip()]
    return any(_is_image(cell, finder, shared_top(cells)) for cell in cells)


def _are_images(cells: Sequence[str], finder: NameFinder) -> bool:
    paths = [*map(tidy, cells)]
    top = shared_top(paths)
    return sum(_is_image(path, finder, top) for path in paths) * 2 > len(paths)


def _is_image(path: str, finder: NameFinder, top: str) -> bool:
    try:
        return finder.find_below(path, "", top) is not None
    except SelectionError:  # one of several
        return True


def _are_labels(cells: Iterable[str], _finder: NameFinder) -> bool:
    return {meaning_of(cell) for cell in cells} == set(LABELS)
