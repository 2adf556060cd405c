"""The colour of each anomaly type of a project: one in all masks, of both data sets."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from lfvpipe.dataset.annotations.masks import PALETTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lfvpipe.service.images import DatasetImage

WHITE: Final = "#FFFFFF"
"""The background's, which no type has."""


def colours_of(images: Iterable[DatasetImage], wishes: Mapping[str, str]) -> dict[str, str]:
    """Return a colour (``#RRGGBB``) for each anomaly type, no two alike.

    A type has the colour that most of its masks have; a model cannot learn from two. One without a
    mask has the wished one where that is free, else the next free one.

    Args:
        images: Of both data sets.
        wishes: Of further types; "" for no wish.
    """
    counted: Counter[tuple[str, str]] = Counter()
    types: set[str] = set(wishes)
    for image in images:
        counted.update(image.classes)
        types.update(image.types)
    types.update(name for name, _ in counted)
    found: dict[str, str] = {}
    used = {WHITE}
    for name, colour in sorted(counted, key=lambda each: (-counted[each], each)):
        if name not in found and colour not in used:
            found[name] = colour
            used.add(colour)
    # Wishes first: a colour that a page shows by now is no other type's then.
    for name in sorted(types - found.keys(), key=lambda each: (not wishes.get(each), each)):
        wish = wishes.get(name, "")
        found[name] = wish if wish and wish not in used else _free(used)
        used.add(found[name])
    return dict(sorted(found.items()))


def _free(used: set[str]) -> str:
    free = next((each for each in PALETTE if each not in used), None)
    number = 1
    while free is None:
        made = f"#{(number * 0x3B7F15) % 0xFFFFFE:06X}"
        free = None if made in used else made
        number += 1
    return free
