"""Outlines of what a mask marks, as paths of SVG: sharp at any size, and small."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Marked = NDArray[numpy.bool_]
    Corner = tuple[int, int]

SIDE = 480  # pixels of the longer side: finer than the evidence, coarse enough for a small page
_MOST_EDGES = 4000  # of pixels; what is more ragged is drawn half as fine


def outline(marked: Marked) -> str:
    """Return the outline of what is marked, (h, w), as a path; "" where nothing is.

    The path's unit is the longer side of the mask divided by `SIDE`, whatever its pixels.
    """
    height, width = marked.shape
    step = max(1, -(-max(height, width) // SIDE))
    while len(edges := _edges(small := _reduced(marked, step))) > _MOST_EDGES:
        step *= 2
    scale = SIDE / max(height, width)
    # The last row and column of a reduced mask may stand for less than a whole step.
    xs = [min(x * step, width) * scale for x in range(small.shape[1] + 1)]
    ys = [min(y * step, height) * scale for y in range(small.shape[0] + 1)]
    return "".join(_path([(xs[x], ys[y]) for x, y in loop]) for loop in _loops(edges))


def view_box(width: int, height: int) -> tuple[float, float]:
    """Return the size of a picture in the unit of outlines."""
    scale = SIDE / max(width, height)
    return round(width * scale, 2), round(height * scale, 2)


def is_of_rectangles(marked: Marked) -> bool:
    """Tell whether all that is marked are upright rectangles of three pixels or more a side.

    A defect is hardly ever one: so people mark who are in a hurry.
    """
    loops = list(_loops(_edges(marked)))
    return bool(loops) and all(
        len(loop) == 4 and all(abs(a - c) + abs(b - d) >= 3 for (a, b), (c, d) in _sides(loop))
        for loop in loops
    )


def _sides(loop: Sequence[Corner]) -> Iterator[tuple[Corner, Corner]]:
    return pairwise([*loop, loop[0]])


def _reduced(marked: Marked, step: int) -> Marked:
    """Return a mask of every `step` pixels one: marked where any was, or a crack would be lost."""
    if step == 1:
        return marked
    height, width = marked.shape
    rows, columns = -height % step, -width % step
    padded = numpy.pad(marked, ((0, rows), (0, columns)))
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step)
    return numpy.asarray(blocks.any(axis=(1, 3)), bool)


def _edges(marked: Marked) -> list[tuple[Corner, Corner]]:
    """Return the pixels' edges between marked and not, each with what is marked to its right."""
    inner = numpy.pad(marked, 1)
    sides = (
        (inner & ~numpy.roll(inner, 1, 0), (0, 0), (1, 0)),  # the upper edge, to the right
        (inner & ~numpy.roll(inner, -1, 1), (1, 0), (1, 1)),  # the right one, down
        (inner & ~numpy.roll(inner, -1, 0), (1, 1), (0, 1)),
        (inner & ~numpy.roll(inner, 1, 1), (0, 1), (0, 0)),
    )
    return [
        ((x - 1 + a, y - 1 + b), (x - 1 + c, y - 1 + d))
        for found, (a, b), (c, d) in sides
        for y, x in numpy.argwhere(found).tolist()
    ]


def _loops(edges: Sequence[tuple[Corner, Corner]]) -> Iterator[list[Corner]]:
    """Yield the closed lines that edges make, by their corners."""
    following: defaultdict[Corner, list[Corner]] = defaultdict(list)
    for start, end in edges:
        following[start].append(end)
    for start in list(following):
        while following[start]:
            loop = [start]
            while following[loop[-1]]:  # as many edges leave a corner as come to it
                loop.append(following[loop[-1]].pop())
            loop.pop()
            yield [
                corner
                for before, corner, after in zip(
                    [loop[-1], *loop], loop, [*loop[1:], loop[0]], strict=False
                )
                if (before[0] == corner[0]) != (corner[0] == after[0])
            ]


def _path(corners: Sequence[tuple[float, float]]) -> str:
    (x, y), *others = corners
    parts = [f"M{x:.4g} {y:.4g}"]
    for right, down in others:
        parts.append(f"H{right:.4g}" if right != x else f"V{down:.4g}")
        x, y = right, down
    return "".join(parts) + "z"
