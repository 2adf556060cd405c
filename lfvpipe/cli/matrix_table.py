"""Runs as the rows of a table, on the images that all of them judged: what a matrix ends in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe import report
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.report.comparison import Comparison, Side
    from lfvpipe.report.records import Scores

HEADS = ("F1", "precision", "recall", "AUROC", "missed", "rejected")
GAP = "  "


def layout(comparison: Comparison, width: int) -> list[str]:
    """Return a table for each set of images, none of its lines longer than `width`.

    A row has a run's name and figures beside it, or below it where there is no room.
    """
    view = report.comparison_view
    names = view.names(comparison.runs)
    lines: list[str] = []
    for side in comparison.sides:
        lines += ["", _title(side)]
        figures = [_figures(scores) for scores in side.comparable]
        lines += _rows(names, figures, width)
    return lines


def _title(side: Side) -> str:
    title = report.comparison_view.TITLES[side.name]
    if side.basis == "different":
        return f"{title}: no labelled image is common to all, so figures do not compare"
    return f"{title}: {count_of(side.shared, 'labelled image')} that all of them judged"


def _figures(scores: Scores | None) -> tuple[str, ...]:
    absent = report.comparison_view.ABSENT
    if scores is None:
        return (absent,) * len(HEADS)
    values = [
        estimate.value if (estimate := scores.estimates.get(metric)) else None
        for metric in report.comparison_view.METRICS
    ]
    counts = scores.confusion
    return (
        *(absent if value is None else f"{value:.3f}" for value in values),
        f"{counts.false_negative} of {counts.positive}" if counts.positive else absent,
        f"{counts.false_positive} of {counts.negative}" if counts.negative else absent,
    )


def _rows(names: Sequence[str], figures: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    sizes = [max(map(len, column)) for column in zip(HEADS, *figures, strict=True)]
    longest = max(map(len, names))
    is_beside = 2 + longest + sum(len(GAP) + size for size in sizes) <= width
    for name, cells in [("", HEADS), *zip(names, figures, strict=True)]:
        line = GAP.join(cell.rjust(size) for cell, size in zip(cells, sizes, strict=True))
        if is_beside:
            yield f"  {name:<{longest}}{GAP}{line}"
            continue
        if name:
            yield f"  {name}"
        yield f"    {line}"
