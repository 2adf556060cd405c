"""The report's charts as inline SVG.

Drawn here rather than by a plotting library: six small charts over the unit square do not earn
a dependency of tens of megabytes (or of megabytes of script in every page), while plain SVG takes
its colours from the page's style sheet, so that it follows light, dark and print, and lets the
threshold slider move a line in it. Axes, ticks and text alternatives are all that it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from lfvpipe.report import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lfvpipe.report.learning_curve import Curve
    from lfvpipe.report.metrics import ScoredImage
    from lfvpipe.report.records import Confusion, Estimate

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 44
BINS = 20
STEPS = 100  # of the threshold axis

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A named axis from 0 to `top`."""

    title: str
    top: float = 1.0

    def ticks(self) -> list[float]:
        """Return five ticks, or fewer whole ones where a count is small."""
        parts = 5 if self.top == 1.0 or self.top >= 5 else max(1, int(self.top))
        return [self.top * number / parts for number in range(parts + 1)]


@dataclass(frozen=True)
class Chart:
    """A chart: its axes, what is drawn in it (SVG), and what it says to who cannot see it."""

    name: str
    title: str
    description: str
    x: Axis
    y: Axis
    body: str

    def __html__(self) -> str:
        """Return the chart as SVG; the name is the one that Jinja2 asks for."""
        return (
            f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'aria-label="{escape(self.title)}. {escape(self.description)}">'
            f"{_grid(self.x, self.y)}{self.body}</svg>"
        )


def _at_x(value: float, top: float = 1.0) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * value / top, 2)


def _at_y(value: float, top: float = 1.0) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 2)


def _grid(x: Axis, y: Axis) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for tick in x.ticks():
        at = _at_x(tick, x.top)
        parts.append(f'<text class="tick" x="{at}" y="{bottom + 16}">{tick:g}</text>')
    for tick in y.ticks():
        at = _at_y(tick, y.top)
        parts.append(f'<path class="grid" d="M{LEFT} {at}H{right}"/>')
        parts.append(f'<text class="tick y" x="{LEFT - 6}" y="{at + 4}">{tick:g}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text class="axis" x="{middle}" y="{HEIGHT - 6}">{escape(x.title)}</text>')
    half = (TOP + bottom) / 2
    turned = f'transform="rotate(-90 12 {half})"'
    parts.append(f'<text class="axis" x="12" y="{half}" {turned}>{escape(y.title)}</text>')
    return "".join(parts)


def _line(points: Iterable[Point], style: str, top: float = 1.0) -> str:
    path = "L".join(f"{_at_x(x)} {_at_y(y, top)}" for x, y in points)
    return f'<path class="line {style}" d="M{path}"/>'


def _dot(point: Point, label: str) -> str:
    x, y = _at_x(point[0]), _at_y(point[1])
    after = x < WIDTH - 130
    anchor = "" if after else ' text-anchor="end"'
    below = 16 if y < TOP + 30 else -9
    return (
        f'<circle class="dot" cx="{x}" cy="{y}" r="5"/>'
        f'<text class="note" x="{x + (8 if after else -8)}" y="{y + below}"{anchor}>'
        f"{escape(label)}</text>"
    )


def _mover(name: str) -> str:
    """Return a dot that the page's script puts where the tried threshold is on the curve."""
    reach = (
        f'data-left="{LEFT}" data-bottom="{HEIGHT - BOTTOM}" '
        f'data-width="{WIDTH - LEFT - RIGHT}" data-height="{HEIGHT - TOP - BOTTOM}"'
    )
    return f'<circle class="here {name} script" r="5" {reach}/>'


def _threshold_line(decided: float) -> str:
    """Return the line at the threshold that was decided by, which the slider moves."""
    reach = f'data-width="{WIDTH - LEFT - RIGHT}" data-at="{decided:.5f}"'
    return f'<path class="threshold" {reach} d="M{_at_x(decided)} {TOP}V{HEIGHT - BOTTOM}"/>'


_UNDECIDED = "as decided, all images of a kind are for a person, so no point of it is marked"


def roc(points: Sequence[ScoredImage], now: Confusion) -> Chart:
    """Return the ROC curve, with the model's own decision marked."""
    curve = [
        (
            sweep.confusion.false_positive / sweep.confusion.negative,
            sweep.confusion.true_positive / sweep.confusion.positive,
        )
        for sweep in metrics.threshold_sweep(points)
    ]
    rejected = metrics.ratio(now.false_positive, now.negative)
    caught = metrics.recall(now)
    area = metrics.roc_auc(points) or 0.0
    body = _line([(0, 0), (1, 1)], "chance") + _line(curve, "main") + _mover("roc")
    said = _UNDECIDED
    if rejected is not None and caught is not None:
        body += _dot((rejected, caught), "as decided")
        said = (
            f"as decided, {caught:.0%} of the anomalies are caught "
            f"and {rejected:.0%} of the normal images rejected"
        )
    return Chart(
        "roc",
        "ROC curve",
        f"Area {area:.3f}; {said}.",
        Axis("normal images rejected"),
        Axis("anomalies caught (recall)"),
        body,
    )


def precision_recall(points: Sequence[ScoredImage], now: Confusion) -> Chart:
    """Return the precision-recall curve, with the model's own decision marked."""
    curve: list[Point] = []
    for sweep in metrics.threshold_sweep(points)[1:]:
        precision = metrics.precision(sweep.confusion) or 0.0
        caught = metrics.recall(sweep.confusion) or 0.0
        curve += [(curve[-1][0] if curve else 0.0, precision), (caught, precision)]
    share = sum(point.anomaly for point in points) / len(points)
    area = metrics.average_precision(points) or 0.0
    body = _line([(0, share), (1, share)], "chance") + _line(curve, "main") + _mover("pr")
    said = _UNDECIDED
    if now.positive and now.negative:
        here = (metrics.recall(now) or 0.0, metrics.precision(now) or 0.0)
        body += _dot(here, "as decided")
        said = f"as decided, precision {here[1]:.0%} at recall {here[0]:.0%}"
    return Chart(
        "pr",
        "Precision and recall",
        f"Average precision {area:.3f}; {said}.",
        Axis("recall"),
        Axis("precision"),
        body,
    )


def histogram(points: Sequence[ScoredImage], decided: float) -> Chart:
    """Return how the anomaly scores of normal images and of anomalies are spread."""
    counts = {False: [0] * BINS, True: [0] * BINS}
    for point in points:
        counts[point.anomaly][min(int(point.score * BINS), BINS - 1)] += 1
    top = max(*counts[False], *counts[True], 1)
    top = -(-top // 5) * 5 if top > 5 else top  # so that five ticks are whole numbers
    bars = [_bar(number, counts, float(top)) for number in range(BINS)]
    unsure = sum(0.25 <= point.score < 0.75 for point in points)
    return Chart(
        "histogram",
        "Anomaly scores by true label",
        f"{unsure} of {len(points)} scores lie between 0.25 and 0.75.",
        Axis("anomaly score"),
        Axis("images", float(top)),
        "".join(bars) + _threshold_line(decided),
    )


def _bar(number: int, counts: dict[bool, list[int]], top: float) -> str:
    width = (WIDTH - LEFT - RIGHT) / BINS
    parts = []
    for kind, style in ((False, "normal"), (True, "anomaly")):
        count = counts[kind][number]
        x = _at_x(number / BINS) + 1 + kind * (width / 2 - 1)
        y = _at_y(count, top)
        if count:
            parts.append(
                f'<rect class="bar {style}" x="{x:.2f}" y="{y}" width="{width / 2 - 1:.2f}" '
                f'height="{HEIGHT - BOTTOM - y:.2f}"><title>{count} {style}, score '
                f"{number / BINS:g} to {(number + 1) / BINS:g}</title></rect>"
            )
    return "".join(parts)


def reliability(points: Sequence[ScoredImage]) -> Chart:
    """Return the share of anomalies over the score: on the diagonal, scores are probabilities."""
    bins = metrics.reliability(points)
    dots = "".join(
        f'<circle class="bin" cx="{_at_x(part.mean_score)}" cy="{_at_y(part.observed)}" '
        f'r="{3 + 9 * (part.count / len(points)) ** 0.5:.1f}"><title>{part.count} images: mean '
        f"score {part.mean_score:.2f}, {part.observed:.0%} anomalies</title></circle>"
        for part in bins
    )
    curve = _line([(part.mean_score, part.observed) for part in bins], "thin")
    error = metrics.brier(points) or 0.0
    return Chart(
        "reliability",
        "Reliability of the confidence",
        f"Brier score {error:.3f} (0 is best). Larger dots stand for more images; on the "
        "diagonal, a score of 0.8 means that 80 % are anomalies.",
        Axis("anomaly score"),
        Axis("share of anomalies"),
        _line([(0, 0), (1, 1)], "chance") + curve + dots,
    )


def threshold(
    points: Sequence[ScoredImage], false_accept: float, false_reject: float, decided: float
) -> Chart:
    """Return F1 and cost over the threshold, with a line that the slider moves."""
    grid = [number / STEPS for number in range(STEPS + 1)]
    cells = [metrics.at_threshold(points, value) for value in grid]
    costs = [metrics.cost(c, false_accept=false_accept, false_reject=false_reject) for c in cells]
    worst = max(costs) or 1.0
    f1 = [(x, metrics.f1(c) or 0.0) for x, c in zip(grid, cells, strict=True)]
    cost = [(x, value / worst) for x, value in zip(grid, costs, strict=True)]
    best = max(f1, key=lambda point: (point[1], -abs(point[0] - 0.5)))
    return Chart(
        "threshold",
        "F1 and cost over the threshold",
        f"F1 is best, {best[1]:.3f}, at a threshold of {best[0]:.2f}. Cost is shown as a share "
        f"of its highest value, {worst:g}.",
        Axis("threshold on the anomaly score"),
        Axis("F1, cost"),
        _line(f1, "main") + _line(cost, "second") + _threshold_line(decided),
    )


def learning(curves: Sequence[Curve]) -> Chart:
    """Return learning curves of one metric; whiskers are the 95 % intervals."""
    first = curves[0]
    most = max(point.amount for curve in curves for point in curve.points)
    top = -(-most // 5) * 5  # so that five ticks are whole numbers
    body, texts = "", []
    for number, curve in enumerate(curves):
        known = [point for point in curve.points if point.estimate.value is not None]
        points = ", ".join(f"{point.estimate.value:.3f} at {point.amount:g}" for point in known)
        texts.append(f"{curve.name}: {points}" if curve.name else points)
        body += _line(
            [(point.amount / top, point.estimate.value or 0.0) for point in known],
            "second" if number % 2 else "main",
        )
        body += "".join(_whisker(point.amount / top, point.estimate) for point in known)
    x, y = Axis(first.axis, top), Axis(first.metric_name)
    return Chart("learning", "Learning curve", "; ".join(texts), x, y, body)


def _whisker(x: float, estimate: Estimate) -> str:
    value, low, high = estimate.value or 0.0, estimate.low or 0.0, estimate.high or 1.0
    return (
        f'<path class="line thin" d="M{_at_x(x)} {_at_y(low)}V{_at_y(high)}"/>'
        f'<circle class="bin" cx="{_at_x(x)}" cy="{_at_y(value)}" r="4"/>'
    )
