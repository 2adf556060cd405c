"""`lfvpipe history`: the runs of a pipeline, and what changed from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfvpipe.cli import output, session, wording

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from lfvpipe.cli.session import Variant
    from lfvpipe.report.history import Difference, Entry
    from lfvpipe.report.records import RunRecord

HEAD = (
    *("", "run", "when", "variant", "model", "F1", "precision", "recall", "AUROC"),
    *("images", "review", "took", "changed since the run before"),
)
METRICS = ("f1", "precision", "recall", "roc_auc")
MOST_CHANGES = 3


def run(options: argparse.Namespace) -> int:
    """Print the latest runs, the latest last; return 0."""
    from lfvpipe.report import history

    variants = session.open_variants(options)
    found = history.entries(variants[0].context.state_dir, max(0, options.limit))
    standing = set(standing_runs(variants).values())
    if options.json:
        output.print_json([_json(entry, entry.run.id in standing) for entry in found])
    elif not found:
        print("no run has come to its report yet: `lfvpipe run` makes one")
    else:
        _print(found, standing)
    return 0


def standing_runs(variants: Iterable[Variant]) -> dict[str, str]:
    """Return the run that each variant stands at, by the variant's name."""
    runs: dict[str, str] = {}
    for variant in variants:
        record = session.ledger_of(variant).standing_record(variant.name, "report")
        if record is not None and record.outcome is not None:
            runs[variant.name] = str(record.outcome.facts.get("run"))
    return runs


def _print(found: Sequence[Entry], standing: set[str]) -> None:
    rows = [_cells(entry, entry.run.id in standing) for entry in found]
    everything = any(row[3] for row in rows)
    cells = [
        tuple(cell for n, cell in enumerate(row) if everything or n != 3) for row in (HEAD, *rows)
    ]
    print(output.table(cells, styles=["dim"]))
    if any(entry.run.id in standing for entry in found):
        print(output.styled("\n* what the pipeline file stands at now", "dim"))


def _cells(entry: Entry, is_standing: bool) -> tuple[str, ...]:
    run = entry.run
    return (
        "*" if is_standing else "",
        run.id,
        wording.when(run.created),
        "" if run.variant == "default" else run.variant,
        f"v{run.model['version']}" if run.model.get("version") else "",
        *_metrics(run),
        str(sum(sum(counts.values()) for counts in run.data.values())),
        str(len(run.review)),
        wording.duration(entry.seconds) if entry.seconds is not None else "",
        _changed(entry.changed),
    )


def _metrics(run: RunRecord) -> list[str]:
    from lfvpipe.report.history import headline_set

    found = headline_set(run)
    values = [found[1].estimates[name].value if found else None for name in METRICS]
    return ["" if value is None else f"{value:.3f}" for value in values]


def _changed(changed: Sequence[Difference]) -> str:
    said = [f"{each.key}: {_value(each.values[0])} → {_value(each.values[1])}" for each in changed]
    more = f" and {len(said) - MOST_CHANGES} more" if len(said) > MOST_CHANGES else ""
    return ", ".join(said[:MOST_CHANGES]) + more


def _value(what: Any) -> str:
    return wording.value(what)


def _json(entry: Entry, is_standing: bool) -> dict[str, Any]:
    """Return a run as JSON; the full figures are in its run file (`lfvpipe report --json`)."""
    from dataclasses import asdict

    run = entry.run
    return {
        "run": run.id,
        "created": run.created,
        "variant": run.variant,
        "stands": is_standing,
        "model_version": run.model.get("version"),
        "scores": {
            name: {metric: asdict(scores.estimates[metric]) for metric in METRICS}
            for name, scores in run.scores.items()
        },
        "data": {split: dict(counts) for split, counts in run.data.items()},
        "review": len(run.review),
        "seconds": entry.seconds,
        "changed": [
            {"key": each.key, "before": each.values[0], "after": each.values[1]}
            for each in entry.changed
        ],
    }
