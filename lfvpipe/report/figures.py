"""The figures of one set of verdicts as pages show them: metrics, charts, a threshold to try."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.report import charts, metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.report.charts import Chart
    from lfvpipe.report.masks import Agreement, TypeFigures
    from lfvpipe.report.records import ForPerson, Scores, TypeRecall, Verdict

TEMPLATES = Path(__file__).parent / "templates"
EXPLORER = TEMPLATES / "explore.js"
"""The script of the slider."""

STYLE = TEMPLATES / "figures.css"
OUTLINES = TEMPLATES / "outlines.css"
"""How figures look; the colours are the page's."""

METRICS = {
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "false_alarm_rate": "False alarm rate",
    "roc_auc": "AUROC",
    "average_precision": "Average precision",
}
_MAY_LACK = {"f1": "F1", "precision": "precision", "recall": "recall", "roc_auc": "AUROC"}


@dataclass(frozen=True)
class Figures:
    """What the page shows of one set.

    Attributes:
        data: The scores that the slider works on, JSON.
        types: Recall by type of defect.
        masks: How well predicted masks are, by type: by the service, or else by what is compared.
        masks_of: The pixels that `masks` is of.
        agreement: How predicted masks agree with the true ones on the images that are shown.
        left: How many images count in no figure, as a person is to decide on them.
        absent: The figures that cannot be told, in words.
    """

    name: str
    title: str
    description: str
    scores: Scores
    charts: Sequence[Chart]
    data: str
    types: Sequence[TypeRecall] = ()
    masks: Sequence[TypeFigures] = ()
    masks_of: str = ""
    agreement: Agreement | None = None
    left: ForPerson | None = None
    absent: Sequence[str] = ()


def figures_of(
    verdicts: Sequence[Verdict],
    scores: Scores,
    *,
    name: str,
    title: str,
    description: str,
    costs: tuple[float, float],
    decided: float,
    masks: Sequence[TypeFigures] = (),
    masks_of: str = "",
    agreement: Agreement | None = None,
) -> Figures:
    """Return what a page shows of a set.

    Args:
        verdicts: Of the set.
        scores: What was worked out of them.
        name: Of the set; likewise `title` and `description`.
        title: See there.
        description: See there.
        costs: Of a missed anomaly and of a rejected normal image.
        decided: The threshold that the verdicts were decided by.
        masks: How well predicted masks are, by type.
        masks_of: The pixels that `masks` is of.
        agreement: How predicted masks agree with true ones.
    """
    points = metrics.scored_images(verdicts)
    both = {point.anomaly for point in points} == {True, False}
    drawn: tuple[Chart, ...] = ()
    if both:  # curves of one kind of image alone say nothing
        drawn = (
            charts.threshold(points, *costs, decided),
            charts.precision_recall(points, scores.confusion),
            charts.roc(points, scores.confusion),
            charts.histogram(points, decided),
            charts.reliability(points),
        )
    data = {
        "scores": [round(point.score, 5) for point in points],
        "anomaly": [int(point.anomaly) for point in points],
        "costs": costs,
        "decided": decided,
    }
    return Figures(
        name=name,
        title=title,
        description=description,
        scores=scores,
        charts=drawn,
        data=json.dumps(data),
        types=metrics.recall_by_type(verdicts),
        masks=masks,
        masks_of=masks_of,
        agreement=agreement,
        left=metrics.for_person(verdicts),
        absent=[
            word
            for metric, word in _MAY_LACK.items()
            if metric in scores.estimates and scores.estimates[metric].value is None
        ],
    )


def style() -> str:
    """Return how pages with figures look."""
    return "".join(file.read_text("utf-8") for file in (STYLE, OUTLINES, TEMPLATES / "page.css"))


def figure(value: object) -> str:
    """Return a metric with three decimals, and whatever else as text."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
