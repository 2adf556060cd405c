"""`lfvpipe history`: the runs of a pipeline, and what changed from one to the next."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lfvpipe import report
from lfvpipe.cli import formatting, history_table, output
from lfvpipe.cli.options import Json, Option, PipelineOptions, at_least
from lfvpipe.cli.run_report import standing_runs
from lfvpipe.cli.variants import DEFAULT_VARIANT, open_variants
from lfvpipe.report.durations import duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.report.history import Entry
    from lfvpipe.report.records import RunRecord

METRICS = {"F1": "f1", "precision": "precision", "recall": "recall", "AUROC": "roc_auc"}
MOST_CHANGES = 3


@dataclass(frozen=True, kw_only=True)
class HistoryOptions(PipelineOptions):
    """What `lfvpipe history` reads."""

    limit: Annotated[
        int,
        Option(
            "--limit",
            metavar="N",
            read=at_least(0),
            about="show the latest N runs, 0 for all (default: 20)",
        ),
    ] = 20
    json: Json = False


def run(options: HistoryOptions) -> int:
    """Print the latest runs, the latest last; return 0."""
    variants = open_variants(options)
    found = report.history.entries(variants[0].context.state_dir, options.limit)
    standing = set(standing_runs(variants).values())
    if options.json:
        output.print_json([_json(entry, entry.run.id in standing) for entry in found])
    elif not found:
        print("no run has come to its report yet: `lfvpipe run` makes one")
    else:
        _print(found, standing)
    return 0


def _print(found: Sequence[Entry], standing: set[str]) -> None:
    # 0 columns, as many as it takes, where what is printed goes to a file or a program.
    width = shutil.get_terminal_size((0, 0)).columns
    rows = [_cells(entry, entry.run.id in standing) for entry in found]
    head, *lines = history_table.layout(rows, width)
    print(output.styled(head, "dim"), *lines, sep="\n")
    if any(entry.run.id in standing for entry in found):
        note = "* what the last `lfvpipe run` stands at; `lfvpipe plan` shows later edits"
        print(output.styled(f"\n{note}", "dim"))


def _cells(entry: Entry, is_standing: bool) -> dict[str, str]:
    run = entry.run
    return {
        history_table.MARK: "*" if is_standing else "",
        "run": run.id,
        "when": formatting.when(run.created),
        "variant": "" if run.variant == DEFAULT_VARIANT else run.variant,
        "model": f"v{run.model['version']}" if run.model.get("version") else "",
        **_metric_cells(run),
        "images": str(sum(sum(counts.values()) for counts in run.data.values())),
        "doubtful": str(len(run.review)),
        "for a person": _for_a_person(run),
        "took": duration(entry.seconds) if entry.seconds is not None else "",
        history_table.CHANGED: _changes(entry),
    }


def _metric_cells(run: RunRecord) -> dict[str, str]:
    found = report.history.headline_set(run)
    values = {
        title: found[1].estimates[name].value if found else None for title, name in METRICS.items()
    }
    return {title: "" if value is None else f"{value:.3f}" for title, value in values.items()}


def _for_a_person(run: RunRecord) -> str:
    """Return how many labelled images a person is to decide on; "" where nobody is asked."""
    asked = run.decision is not None and run.decision.above is not None
    return str(sum(scores.to_person for scores in run.scores.values())) if asked else ""


def _changes(entry: Entry) -> str:
    """Return what changed since the run before: labels, then keys, with before → after."""
    value: Any = formatting.value
    said = [report.corrected_labels.relabelled_text(entry.relabelled)] if entry.relabelled else []
    said += [
        f"{each.key}: {value(each.values[0])} → {value(each.values[1])}" for each in entry.changed
    ]
    more = f" and {len(said) - MOST_CHANGES} more" if len(said) > MOST_CHANGES else ""
    return ", ".join(said[:MOST_CHANGES]) + more


def _json(entry: Entry, is_standing: bool) -> dict[str, Any]:
    """Return a run as JSON; the full figures are in its run file (`lfvpipe report --json`)."""
    run = entry.run
    return {
        "run": run.id,
        "created": run.created,
        "variant": run.variant,
        "stands": is_standing,
        "model_version": run.model.get("version"),
        "scores": {
            name: {metric: asdict(scores.estimates[metric]) for metric in METRICS.values()}
            for name, scores in run.scores.items()
        },
        "data": {split: dict(counts) for split, counts in run.data.items()},
        "review": len(run.review),
        "seconds": entry.seconds,
        "changed": [
            {"key": each.key, "before": each.values[0], "after": each.values[1]}
            for each in entry.changed
        ],
        "relabelled": [asdict(each) for each in entry.relabelled],
    }
