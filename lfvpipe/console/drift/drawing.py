"""A control chart as a picture: what a template puts into an SVG, in its units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.report.control_charts import Point

WIDTH: Final = 600.0
HEIGHT: Final = 150.0
_EDGE: Final = 10.0  # above the highest and below the lowest, so that no dot is cut


@dataclass(frozen=True)
class Dot:
    """A group of images.

    Attributes:
        x: From the left.
        y: From the top.
        point: What it stands for.
    """

    x: float
    y: float
    point: Point


@dataclass(frozen=True)
class Drawing:
    """A picture.

    Attributes:
        dots: From left to right.
        high: The path of the upper limit, as SVG writes it; "" where there is none.
        low: That of the lower one.
        middle: Where the reference is, from the top.
        bottom: The figure at the lower edge; `top` is that at the upper edge.
    """

    dots: tuple[Dot, ...]
    high: str
    low: str
    middle: float
    bottom: float
    top: float


def draw_chart(points: Sequence[Point], reference: float, *, is_count: bool) -> Drawing:
    """Return the picture of a chart's points.

    Args:
        points: The oldest first, one at least.
        reference: What the middle line is.
        is_count: Figures are counts, which are shown as shares of the images.
    """
    figures = [_share(point, point.figure, is_count) for point in points]
    limits = [
        None
        if point.limits is None
        else (
            _share(point, point.limits.low, is_count),
            _share(point, point.limits.high, is_count),
        )
        for point in points
    ]
    ends = [end for pair in limits if pair is not None for end in pair]
    bottom = 0.0 if is_count else min([*figures, *ends, reference])
    top = max([*figures, *ends, reference])
    scale = (HEIGHT - 2 * _EDGE) / ((top - bottom) or 1.0)
    step = WIDTH / len(points)

    def height(figure: float) -> float:
        return round(HEIGHT - _EDGE - (figure - bottom) * scale, 1)

    def path(side: int) -> str:
        parts = [
            f"M{number * step:.1f} {height(pair[side])}h{step:.1f}"
            for number, pair in enumerate(limits)
            if pair is not None
        ]
        return "".join(parts)

    dots = (
        Dot(round((number + 0.5) * step, 1), height(figure), point)
        for number, (point, figure) in enumerate(zip(points, figures, strict=True))
    )
    has_low = any(pair is not None and pair[0] > 0 for pair in limits)
    return Drawing(
        dots=tuple(dots),
        high=path(1),
        low=path(0) if has_low else "",
        middle=height(reference),
        bottom=bottom,
        top=top,
    )


def _share(point: Point, figure: float, is_count: bool) -> float:
    return figure / point.images if is_count else figure
