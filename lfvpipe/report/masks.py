"""True and predicted masks of judged images: their outlines, and how well they agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from lfvpipe.dataset.index import UNNAMED_TYPE
from lfvpipe.images import ImageError, read_mask
from lfvpipe.report.metrics import ratio
from lfvpipe.report.outlines import is_of_rectangles, outline, view_box

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Numbers = NDArray[numpy.int64]

NOTHING = ""  # the type of what no mask marks
LOOSE = 4  # times: a true mask that is larger than what the model marks within it is drawn loosely
LEAST = 3  # masks; of fewer nothing is said in general


@dataclass(frozen=True)
class Painting:
    """A mask, and what its colours (``#RRGGBB``) mean by type; others are of a type without name.

    White and black, unless they have a meaning, are the background.
    """

    source: Path | bytes
    classes: Mapping[str, str]


@dataclass(frozen=True)
class MaskView:
    """The masks of one image, to be laid over it.

    Attributes:
        width: Of the paths' coordinates.
        height: Of the paths' coordinates.
        truth: The outline of the true mask; "" where nothing is marked or none is known.
        predicted: The outline of the predicted mask, as `truth`.
        pixels: How many are of which type by the true mask and by the predicted one; empty where
            one of the two is not known.
        is_rectangle: Whether the true mask consists of upright rectangles.
    """

    width: float
    height: float
    truth: str
    predicted: str
    pixels: Counter[tuple[str, str]] = field(default_factory=Counter)
    is_rectangle: bool = False

    @property
    def overlap(self) -> float | None:
        """The intersection over union of all that is marked; None where there is no true mask."""
        both, true, predicted = self._sizes
        return ratio(both, true + predicted - both) if self.truth and self.pixels else None

    @property
    def is_loose(self) -> bool:
        """Whether the true mask holds most of the predicted one, and is many times as large."""
        both, true, predicted = self._sizes
        return bool(both) and 2 * both >= predicted and true >= LOOSE * both

    @property
    def _sizes(self) -> tuple[int, int, int]:
        rows = [(bool(t), bool(p), count) for (t, p), count in self.pixels.items()]
        return (
            sum(count for true, predicted, count in rows if true and predicted),
            sum(count for true, _, count in rows if true),
            sum(count for _, predicted, count in rows if predicted),
        )


@dataclass(frozen=True)
class TypeFigures:
    """How well predicted masks cover the true ones of a type, by pixels; None where undefined.

    Attributes:
        images: How many truly show it; None where that is not known.
    """

    type: str
    images: int | None
    f1: float | None
    iou: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Agreement:
    """How well the masks of a set of images agree.

    Attributes:
        images: How many were compared.
        types: Figures by type.
        taken: For each true type, the share of its pixels that are predicted to be of each type,
            `NOTHING` last; empty where there is one type only, which nothing is taken for.
        remarks: What to know of the true masks, as sentences.
    """

    images: int
    types: Sequence[TypeFigures]
    taken: Mapping[str, Mapping[str, float]]
    remarks: Sequence[str]


def view_masks(
    size: tuple[int, int], truth: Painting | None, predicted: Painting | None, *, is_normal: bool
) -> MaskView | None:
    """Return the masks of one image; None where there is none, or none that can be read.

    Args:
        size: Of the picture, (width, height); only its shape counts.
        truth: The true mask, if it is known.
        predicted: The mask that the model has painted, if there is one.
        is_normal: Whether the image is known to be normal, so that truly nothing is marked.
    """
    true, found = _numbers(truth), _numbers(predicted)
    if true is None and found is None:
        return None
    pixels: Counter[tuple[str, str]] = Counter()
    if found is not None and (true is not None or is_normal):
        wanted = numpy.zeros_like(found) if true is None else true
        pixels = _pixels(_names(truth), wanted, _names(predicted), _resized(found, wanted))
    width, height = view_box(*size)
    return MaskView(
        width=width,
        height=height,
        truth="" if true is None else outline(true > 0),
        predicted="" if found is None else outline(found > 0),
        pixels=pixels,
        is_rectangle=true is not None and is_of_rectangles(true > 0),
    )


def agreement(views: Iterable[MaskView]) -> Agreement | None:
    """Return how well masks agree; None where no true mask can be held against a predicted one."""
    compared = [view for view in views if view.pixels]
    marked = [view for view in compared if view.truth]
    if not marked:
        return None
    pixels = sum((view.pixels for view in compared), Counter[tuple[str, str]]())
    types = sorted({name for pair in pixels for name in pair} - {NOTHING})
    figures, taken = [], {}
    for name in types:
        both = pixels[name, name]
        true = sum(count for (each, _), count in pixels.items() if each == name)
        predicted = sum(count for (_, each), count in pixels.items() if each == name)
        figures.append(
            TypeFigures(
                type=name,
                images=sum(any(each == name for each, _ in view.pixels) for view in marked),
                f1=ratio(2 * both, true + predicted),
                iou=ratio(both, true + predicted - both),
                precision=ratio(both, predicted),
                recall=ratio(both, true),
            )
        )
        if true and len(types) > 1:
            taken[name] = {other: pixels[name, other] / true for other in (*types, NOTHING)}
    return Agreement(len(compared), figures, taken, _remarks(marked))


def _remarks(marked: Sequence[MaskView]) -> list[str]:
    """Return what to know of true masks that are drawn loosely, as sentences."""
    if len(marked) < LEAST:
        return []
    remarks = []
    rectangles = sum(view.is_rectangle for view in marked)
    if 2 * rectangles > len(marked):
        remarks.append(
            f"{rectangles} of {len(marked)} true masks are upright rectangles. Much of what they"
            " mark is no defect, so that the figures by pixel say little, and a model that learns"
            " from such masks learns to mark too much: outline the defects themselves."
        )
    loose = sum(view.is_loose for view in marked)
    if 4 * loose >= len(marked):
        remarks.append(
            f"{loose} of {len(marked)} true masks are at least {LOOSE} times as large as what the"
            " model marks within them. Either they are drawn loosely, or the model sees a part of"
            " each defect only: look at the outlines."
        )
    return remarks


def _names(painting: Painting | None) -> list[str]:
    return [NOTHING, *(painting.classes if painting else ()), UNNAMED_TYPE]


def _numbers(painting: Painting | None) -> Numbers | None:
    """Return the number of each pixel's type in `_names`; None for no mask."""
    if painting is None:
        return None
    try:
        colours = numpy.asarray(read_mask(painting.source)).astype(numpy.int64)
    except (ImageError, OSError):
        return None
    codes = colours @ numpy.array([1 << 16, 1 << 8, 1])
    is_background = (codes == 0) | (codes == 0xFFFFFF)
    numbers = numpy.where(is_background, 0, len(painting.classes) + 1)
    for number, colour in enumerate(painting.classes.values(), 1):
        numbers[codes == int(colour.lstrip("#"), 16)] = number
    return numbers


def _resized(numbers: Numbers, like: Numbers) -> Numbers:
    if numbers.shape == like.shape:
        return numbers
    image, size = Image.fromarray(numbers.astype(numpy.uint8)), (like.shape[1], like.shape[0])
    return numpy.asarray(image.resize(size, Image.Resampling.NEAREST)).astype(numpy.int64)


def _pixels(
    true_names: Sequence[str], true: Numbers, found_names: Sequence[str], found: Numbers
) -> Counter[tuple[str, str]]:
    pairs, counts = numpy.unique(true * len(found_names) + found, return_counts=True)
    pixels: Counter[tuple[str, str]] = Counter()
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        pixels[true_names[pair // len(found_names)], found_names[pair % len(found_names)]] += count
    return pixels
