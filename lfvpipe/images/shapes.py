"""Which sizes the photographs had that a model learnt from, and which others are unlike them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

Size = tuple[int, int]

# What a few pixels more or less change is no more than where the product lies.
_ALIKE: Final = 1.05


@dataclass(frozen=True)
class Shapes:
    """The range of sizes of photographs, each (width, height) in pixels.

    Attributes:
        smallest: By area.
        largest: By area.
        narrowest: By the ratio of width to height.
        widest: Likewise.
    """

    smallest: Size
    largest: Size
    narrowest: Size
    widest: Size

    @classmethod
    def of(cls, sizes: Iterable[Size]) -> Self | None:
        """Return the range of these sizes; None for none."""
        different = sorted({*sizes})
        if not different:
            return None
        by_aspect = sorted(different, key=_aspect)
        by_area = sorted(different, key=_area)
        return cls(by_area[0], by_area[-1], by_aspect[0], by_aspect[-1])

    def tell_apart(self, size: Size) -> str:
        """Return how a photograph of this size is unlike these, as a predicate; "" if it is not."""
        narrowest, widest = _aspect(self.narrowest) / _ALIKE, _aspect(self.widest) * _ALIKE
        least, most = _area(self.smallest) / _ALIKE**2, _area(self.largest) * _ALIKE**2
        how = ""
        if not narrowest <= _aspect(size) <= widest:
            how = "has another shape"
        elif not least <= _area(size) <= most:
            how = "is smaller" if _area(size) < least else "is larger"
        few = dict.fromkeys([self.smallest, self.largest, self.narrowest, self.widest])
        known = " and ".join(f"{width}x{height}" for width, height in few)
        return f"{how}, {size[0]}x{size[1]}, than what was learnt from, {known}" if how else ""

    def as_json(self) -> list[list[int]]:
        """Return the range as `from_json` takes it."""
        return [list(each) for each in vars(self).values()]

    @classmethod
    def from_json(cls, given: Any) -> Self:
        """Return the range that `as_json` described; raises TypeError or ValueError for another."""
        sizes = [(width, height) for width, height in given]
        whole = all(type(each) is int and each > 0 for size in sizes for each in size)
        if len(sizes) != 4 or not whole:
            raise ValueError(given)
        return cls(*sizes)


def _aspect(size: Size) -> float:
    return size[0] / size[1]


def _area(size: Size) -> int:
    return size[0] * size[1]
