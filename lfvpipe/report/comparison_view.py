"""A comparison as people read it: tables of text, and the same as a self-contained page."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe.report import charts, learning_curve
from lfvpipe.report.corrected_labels import corrected_text
from lfvpipe.report.figures import TEMPLATES, style
from lfvpipe.report.history import NOT_COMPARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.report.charts import Chart
    from lfvpipe.report.comparison import Change, Comparison, Side
    from lfvpipe.report.corrected_labels import Relabelled
    from lfvpipe.report.records import Estimate, RunRecord, Scores, Verdict

TITLES = {"test": "test set", "evaluation": "evaluation images"}
METRICS = {"f1": "F1", "precision": "precision", "recall": "recall", "roc_auc": "AUROC"}
ABSENT = "-"
MOST_CHANGES = 1000  # on the page

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """Rows of a name and a cell for each run."""

    title: str
    rows: tuple[Row, ...]


def names(runs: Sequence[RunRecord]) -> list[str]:
    """Return short names that tell the runs apart: variants, model versions, or run ids."""
    for found in (
        [run.variant for run in runs],
        [f"v{run.model['version']}" if run.model.get("version") else "" for run in runs],
    ):
        if len(set(found)) == len(found) and all(found):
            return found
    return [run.id for run in runs]


def tables(comparison: Comparison) -> list[Table]:
    """Return what to show: the runs, the differences, and the metrics of each set."""
    shown = [Table("runs", tuple(_run_rows(comparison.runs)))]
    if comparison.differences:
        rows = (
            (each.key, *map(value_text, each.values))
            for each in comparison.differences
            if each.key not in NOT_COMPARED
        )
        shown.append(Table("what differs", tuple(rows)))
    for side in comparison.sides:
        shown += _side_tables(side)
    return shown


def _run_rows(runs: Sequence[RunRecord]) -> Iterator[Row]:
    yield ("run", *(run.id for run in runs))
    yield ("model version", *(str(run.model.get("version") or ABSENT) for run in runs))
    yield ("training images", *(str(sum(run.data.get("train", {}).values())) for run in runs))
    yield ("doubtful evaluation images", *(str(len(run.review)) for run in runs))
    if any(run.corrected for run in runs):
        known = (run.corrected for run in runs)  # None of a run that did not note it
        said = (ABSENT if each is None else corrected_text(each) for each in known)
        yield ("labels that people decided", *said)


def _side_tables(side: Side) -> Iterator[Table]:
    title = TITLES[side.name]
    own = "" if side.basis == "same" else ", each run's own"
    yield Table(f"{title}{own}", tuple(_metric_rows(side.scores)))
    if side.basis == "shared":
        yield Table(
            f"{title}, the {side.shared} images of all runs", tuple(_metric_rows(side.on_shared))
        )


def _metric_rows(scores: Sequence[Scores | None]) -> Iterator[Row]:
    yield ("images", *(str(each.labelled) if each else ABSENT for each in scores))
    if any(each and each.to_person for each in scores):
        left = (str(each.to_person) if each else ABSENT for each in scores)
        yield ("of these, left to a person", *left)
    for metric, name in METRICS.items():
        yield (
            name,
            *(_estimate_text(each.estimates.get(metric)) if each else ABSENT for each in scores),
        )
    counts = [each.confusion if each else None for each in scores]
    # Of images that there are none of nothing is known: 0 would say that all is well.
    missed = (str(each.false_negative) if each and each.positive else ABSENT for each in counts)
    rejected = (str(each.false_positive) if each and each.negative else ABSENT for each in counts)
    yield ("anomalies missed", *missed)
    yield ("normal rejected", *rejected)


def _estimate_text(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return ABSENT
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} ({estimate.low:.2f} to {estimate.high:.2f})"


def value_text(value: Any) -> str:
    """Return a value of the configuration as the pipeline file would have it."""
    if value is None:
        return ABSENT
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list):
        return ", ".join(map(value_text, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def warnings(comparison: Comparison) -> list[str]:
    """Return what a reader has to know before he believes the numbers."""
    return [text for side in comparison.sides for text in _warnings_about(side, comparison)]


def _warnings_about(side: Side, comparison: Comparison) -> Iterator[str]:
    title = TITLES[side.name]
    if side.basis == "different":
        yield f"the runs share no labelled image of the {title}: these figures are not comparable"
    elif side.basis == "shared":
        yield (
            f"the runs have {_unlike(side, comparison)} in the {title}: compare only the figures on"
            f" the {side.shared} that all of them judged by the same label"
        )


def _unlike(side: Side, comparison: Comparison) -> str:
    """Return what of a set's images is not the same in all runs: the images, or their labels."""
    names = [{each.id for each in run.verdicts.get(side.name, ())} for run in comparison.runs]
    return "different labels" if names[1:] == names[:-1] else "different images"


def change_rows(changes: Sequence[Change]) -> list[Row]:
    """Return a row for each changed verdict: broken ones first, the surest of them first."""
    order = {"broken": 0, "fixed": 1, "to a person": 2, "turned": 3}
    ordered = sorted(changes, key=lambda one: (order[one.turn], -one.after.confidence))
    return [
        (
            change.after.id,
            TITLES[change.set],
            change.after.label or "unknown",
            _verdict_text(change.before),
            _verdict_text(change.after),
            change.turn,
        )
        for change in ordered
    ]


def _verdict_text(verdict: Verdict) -> str:
    said = f"{'anomaly' if verdict.is_anomalous else 'normal'} {verdict.confidence:.3f}"
    return f"person ({said})" if verdict.to_person else said


def relabelled_rows(found: Sequence[Relabelled]) -> list[Row]:
    """Return a row for each image that two runs take for something else."""
    return [(each.id, each.before, each.after) for each in found]


def page(comparison: Comparison) -> str:
    """Return a comparison as one self-contained HTML page without scripts."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    called = names(comparison.runs)
    return environment.get_template("comparison.html.j2").render(
        title=f"{comparison.runs[0].name}: {len(called)} runs compared",
        names=called,
        warnings=warnings(comparison),
        tables=tables(comparison),
        chart=_chart(comparison),
        changes=[
            {
                "title": f"{called[0]} → {name}",
                "rows": change_rows(changes)[:MOST_CHANGES],
                "relabelled": relabelled_rows(relabelled)[:MOST_CHANGES],
            }
            for name, changes, relabelled in zip(
                called[1:], comparison.changes, comparison.relabelled, strict=True
            )
        ],
        style=Markup(style()),  # noqa: S704  (ours)
    )


def picture(comparison: Comparison) -> str | None:
    """Return the learning curve as an SVG file's text; None where the runs make no curve."""
    chart = _chart(comparison)
    if chart is None:
        return None
    drawn = chart.__html__().replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return drawn.replace(">", f"><style>{style()}</style>", 1) + "\n"


def _chart(comparison: Comparison) -> Chart | None:
    found = learning_curve.curves(comparison)
    return charts.learning(found) if found else None
