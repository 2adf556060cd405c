"""What annotation tools say of an image: what was marked in it, where, and as what."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Point = tuple[float, float]

MAX_PIXELS = 64 * 1024 * 1024  # of an image, as everywhere in the package
_CIRCLE_CORNERS = 64
_SPLITS = ("train", "test", "val", "valid", "validation")


class AnnotationError(UserError):
    """A file of annotations cannot be used; the message says which, and where in it."""


@dataclass(frozen=True)
class Polygon:
    """An area by its corners, (x, y) from the upper left.

    Attributes:
        points: At least three.
        relative: Coordinates are fractions of the image's width and height, not pixels.
    """

    points: tuple[Point, ...]
    relative: bool = False

    def in_pixels(self, width: int, height: int) -> list[Point]:
        """Return the corners in the pixels of an image of that size."""
        if not self.relative:
            return list(self.points)
        return [(x * width, y * height) for x, y in self.points]


@dataclass(frozen=True)
class Runs:
    """An area by the lengths of runs of pixels, outside and inside by turns, outside first.

    Attributes:
        counts: The lengths in pixels; they add up to `width` times `height`.
        width: Of the bitmap that the runs fill.
        height: Of the same.
        by_columns: The runs go down the columns, as COCO's do, not along the rows.
        left: Where the bitmap lies in the image.
        top: The same.
    """

    counts: tuple[int, ...]
    width: int
    height: int
    by_columns: bool = False
    left: int = 0
    top: int = 0


@dataclass(frozen=True)
class Region:
    """One thing that was marked: its class as the tool names it, and the areas it covers.

    A line or a point covers none.
    """

    type: str
    areas: tuple[Polygon | Runs, ...] = ()


@dataclass(frozen=True)
class AnnotatedImage:
    """An image and what was marked in it.

    Attributes:
        name: As the tool has it: a path, relative to whatever the export is relative to.
        regions: What was marked; none for an image that was looked at and found clean.
        classes: What the image as a whole was called, by tools that have that.
        split: The part of a published split that it is in; "" where there is none.
        width: Pixels, where the tool says so.
        height: The same.
        where: The place in the export, for messages: ``file:line`` or ``file: images[3]``.
        file: The file of annotations that names it, by its path.
        other_names: What it may be called instead, where nothing is called `name`.
        overruled: What others said of it, or the same person earlier, which does not count.
    """

    name: str
    regions: tuple[Region, ...] = ()
    classes: tuple[str, ...] = ()
    split: str = ""
    width: int | None = None
    height: int | None = None
    where: str = ""
    file: str = ""
    other_names: tuple[str, ...] = ()
    overruled: tuple[AnnotatedImage, ...] = ()


def split_of(file: str, *, in_stem: bool = False) -> str:
    """Return the part of a published split that the folders of a file say; "" where none does.

    Args:
        file: Its path.
        in_stem: A word of the file's own name counts, too: ``instances_train2017.json``.
    """
    path = PurePosixPath(file.lower())
    words = [*re.findall("[a-z]+", path.stem)] if in_stem else []
    return next((word for word in [*words, *path.parts[-2::-1]] if word in _SPLITS), "")


def rectangle(left: float, top: float, right: float, bottom: float) -> tuple[Point, ...]:
    """Return the corners of an upright rectangle, whichever two opposite corners are given."""
    (left, right), (top, bottom) = sorted((left, right)), sorted((top, bottom))
    return (left, top), (right, top), (right, bottom), (left, bottom)


def ellipse(
    centre: Point, radius_x: float, radius_y: float, degrees: float = 0.0
) -> tuple[Point, ...]:
    """Return corners on an ellipse that is turned clockwise by `degrees`."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = []
    for step in range(_CIRCLE_CORNERS):
        angle = 2 * math.pi * step / _CIRCLE_CORNERS
        x, y = radius_x * math.cos(angle), radius_y * math.sin(angle)
        corners.append((centre[0] + x * cosine - y * sine, centre[1] + x * sine + y * cosine))
    return tuple(corners)


def turn(points: Iterable[Point], degrees: float, pivot: Point) -> tuple[Point, ...]:
    """Return the points turned clockwise by `degrees` about `pivot`."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return tuple(
        (
            pivot[0] + (x - pivot[0]) * cosine - (y - pivot[1]) * sine,
            pivot[1] + (x - pivot[0]) * sine + (y - pivot[1]) * cosine,
        )
        for x, y in points
    )


def pairs(numbers: Sequence[float], where: str) -> tuple[Point, ...]:
    """Return the points of a flat list of x and y by turns.

    Raises:
        AnnotationError: There are not three of them.
    """
    if len(numbers) < 6 or len(numbers) % 2:
        raise AnnotationError(
            f"{where}: a polygon needs pairs of coordinates, at least three of them.",
            hint="Export the annotations again.",
        )
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def check_runs(runs: Runs, where: str) -> Runs:
    """Return `runs` if they fill their bitmap, and that is no larger than an image can be.

    Raises:
        AnnotationError: They do not, or it is.
    """
    area = runs.width * runs.height
    is_sound = 0 < area <= MAX_PIXELS and runs.width > 0 and min(runs.counts, default=-1) >= 0
    if not is_sound or sum(runs.counts) != area:
        raise AnnotationError(
            f"{where}: the run lengths do not fill {runs.width} x {runs.height} pixels.",
            hint="Export the annotations again.",
        )
    return runs
