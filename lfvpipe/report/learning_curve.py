"""Learning curves: how good a model is over how much data it had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.report.comparison import Comparison
    from lfvpipe.report.records import Estimate, RunRecord

WIDTH = 44  # columns of the terminal drawing's scale
SAMPLED = ("sample.normal.percent", "sample.anomaly.percent")
NAMES = {"f1": "F1", "roc_auc": "AUROC", "precision": "precision", "recall": "recall"}


@dataclass(frozen=True)
class Point:
    """One model: how much data it had (see `Curve.axis`), and how good it is."""

    amount: float
    estimate: Estimate


@dataclass(frozen=True)
class Curve:
    """How a metric grows with the data.

    Attributes:
        name: What the models have in common that others lack; empty where there is one curve.
        metric: As in `Scores.estimates`.
        axis: What the amounts are: ``sample.percent``, or ``training images``.
        points: By amount, at least two different ones.
    """

    name: str
    metric: str
    axis: str
    points: tuple[Point, ...]

    @property
    def metric_name(self) -> str:
        """The metric as people write it."""
        return NAMES.get(self.metric, self.metric)


def curves(comparison: Comparison, metric: str = "f1") -> list[Curve]:
    """Return a curve for each group of runs that differ in the amount of data alone.

    The metric is that of the test images which all the runs share, so that a larger model is not
    asked other questions than a smaller one; without such, that of each run's own.
    """
    side = comparison.side("test") or comparison.side("evaluation")
    if side is None:
        return []
    axis = "sample.percent" if all(_percent(run) for run in comparison.runs) else "training images"
    groups: dict[str, dict[float, Point]] = {}
    for run, scores, name in zip(
        comparison.runs, side.comparable, _group_names(comparison), strict=True
    ):
        percent = _percent(run) if axis == "sample.percent" else None
        amount = percent or float(sum(run.data.get("train", {}).values()))
        if scores is not None and metric in scores.estimates:
            groups.setdefault(name, {})[amount] = Point(amount, scores.estimates[metric])
    found = {name: sorted(points.items()) for name, points in groups.items()}
    return [
        Curve(name, metric, axis, tuple(point for _, point in points))
        for name, points in found.items()
        if len(points) > 1 and any(each.estimate.value is not None for _, each in points)
    ]


def _percent(run: RunRecord) -> float | None:
    """Return the sampled percentage, None where it is not one number for all labels."""
    found = {run.config[key] for key in SAMPLED if key in run.config}
    return float(found.pop()) if len(found) == 1 else None


def _group_names(comparison: Comparison) -> Iterator[str]:
    """Yield for each run what it has apart from the others, the amount of data left aside."""
    keys = [each for each in comparison.differences if not each.key.startswith("sample.")]
    for number in range(len(comparison.runs)):
        yield ", ".join(f"{each.key}={each.values[number]}" for each in keys)


def draw(curve: Curve) -> list[str]:
    """Return a curve as lines for a terminal: a dot for each model on the bar of its interval."""
    # The scale begins a tenth below all that is shown.
    lowest = min(point.estimate.low or point.estimate.value or 0.0 for point in curve.points)
    floor = max(0.0, int(lowest * 10) / 10)
    title = f"{curve.metric_name} over {curve.axis}" + (f" [{curve.name}]" if curve.name else "")
    rows = [f"  {point.amount:>7g}  {_bar(point.estimate, floor)}" for point in curve.points]
    scale = f"  {'':7}  {floor:<{WIDTH - 3}.1f}1.0"
    return [title, *rows, scale]


def _bar(estimate: Estimate, floor: float) -> str:
    if estimate.value is None:
        return "not defined"
    low, middle, high = (
        min(WIDTH - 1, max(0, round(((value or 0.0) - floor) / (1 - floor) * (WIDTH - 1))))
        for value in (estimate.low, estimate.value, estimate.high)
    )
    cells = [" "] * WIDTH
    cells[low : high + 1] = "├" + "─" * (high - low - 1) + "┤" if high > low else "┤"
    cells[middle] = "●"
    return f"{''.join(cells)}  {estimate.value:.3f}"
