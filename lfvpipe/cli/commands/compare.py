"""`lfvpipe compare`: runs side by side, what explains them, and the verdicts that changed."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from lfvpipe import atomic, report, wrapping
from lfvpipe.cli import matrix_table, output
from lfvpipe.cli.options import Json, Option, PipelineOptions, is_pipeline_file
from lfvpipe.cli.run_report import standing_runs
from lfvpipe.cli.usage import UsageError
from lfvpipe.cli.variants import open_variants
from lfvpipe.cli.written_places import insist_outside_state
from lfvpipe.engine.phrases import count_of
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.cli.output import Style
    from lfvpipe.cli.variants import Variant
    from lfvpipe.report.comparison import Change, Comparison
    from lfvpipe.report.corrected_labels import Relabelled
    from lfvpipe.report.records import RunRecord, Verdict

MOST_CHANGES = 20
TURN_STYLES: dict[str, Style] = {"fixed": "green", "broken": "red"}


@dataclass(frozen=True, kw_only=True)
class CompareOptions(PipelineOptions):
    """What `lfvpipe compare` reads; `file` is the first of its words, if that names one."""

    file: str | None = None
    runs: Annotated[
        tuple[str, ...],
        Option(
            metavar="PIPELINE|RUN",
            about="the pipeline file, then runs: an id or its beginning, latest, latest~1, v2 for a"
            " model version, or a matrix variant (default: the latest other one, and the one that"
            " the pipeline stands at)",
        ),
    ] = ()
    matrix: Annotated[bool, Option("--matrix", about="compare all variants of the matrix")] = False
    output: Annotated[
        str | None,
        Option(
            "--output",
            "-o",
            metavar="FILE",
            about="also write the comparison as FILE.html, or the learning curve as FILE.svg",
            completes="file",
        ),
    ] = None
    json: Json = False

    @classmethod
    def from_words(cls, **given: Any) -> Self:
        """Tell the pipeline file, if one is named, from the runs."""
        match given.get("runs"):
            case [first, *runs] if is_pipeline_file(first):
                given |= {"file": first, "runs": tuple(runs)}
        return cls(**given)


def run(options: CompareOptions) -> int:
    """Print the comparison, write the files that are asked for; return 0."""
    variants = open_variants(options)
    comparison = report.comparison.compare(_find_runs(options, variants))
    if options.json:
        output.print_json(_json(comparison))
    else:
        _print(comparison, as_rows=options.matrix)
    if options.output:
        insist_outside_state(Path(options.output), options)
        _write(Path(options.output), comparison)
        if not options.json:
            print(f"\nwritten: {options.output}")
    return 0


def _find_runs(options: CompareOptions, variants: Sequence[Variant]) -> list[RunRecord]:
    """Return the runs that the user names, else the two that say most.

    Raises:
        UsageError: They are fewer than two.
    """
    words = list(options.runs)
    standing = standing_runs(variants)
    if options.matrix:
        if len(variants) == 1:
            raise UsageError(
                "The pipeline file has no matrix.", hint="Name runs: `lfvpipe history` lists them."
            )
        words = _variants_with_runs(variants, standing, others=len(words)) + words
    state_dir = variants[0].context.state_dir
    pair = list(report.history.standing_pair(state_dir, standing))
    words = words or pair or ["latest"]
    if len(pair) == 1:
        raise UsageError(
            "A comparison needs two runs, and there is only one so far.",
            hint="Change the pipeline file; the next `lfvpipe run` makes another one.",
        )
    runs = [report.history.find(state_dir, word, standing) for word in words]
    if len({each.id for each in runs}) < 2:
        hint = "Name two: an id, its beginning, latest, latest~1, v2, or a variant."
        raise UsageError("A comparison needs two different runs.", hint=hint)
    return runs


def _variants_with_runs(
    variants: Sequence[Variant], standing: Mapping[str, str], others: int
) -> list[str]:
    """Return the names of the variants that stand at a run; tell the user of the others.

    Raises:
        UsageError: Too few are left to compare.
    """
    missing = [each.name for each in variants if each.name not in standing]
    if len(variants) - len(missing) + others < 2:
        raise UsageError(
            f"There is no run yet of {', '.join(missing)}.",
            hint="`lfvpipe run` makes what is missing.",
        )
    if missing:
        print(f"note: no run yet of {', '.join(missing)}", file=sys.stderr)
    return [each.name for each in variants if each.name in standing]


def _print(comparison: Comparison, *, as_rows: bool) -> None:
    """Print the tables, what to mind about them, the learning curves and changed verdicts."""
    view = report.comparison_view
    names = view.names(comparison.runs)
    columns = _as_columns(comparison, names)
    widest = max(map(len, columns.splitlines()))
    if as_rows or (sys.stdout.isatty() and widest > wrapping.columns()):
        print("\n".join(_as_rows(comparison, names)))
    else:
        head, *lines = columns.splitlines()
        print(output.styled(head, "bold"), *lines, sep="\n")
    for warning in view.warnings(comparison):
        print(output.styled(f"\nnote: {warning}", "yellow"))
    for curve in report.learning_curve.curves(comparison):
        title, *lines = report.learning_curve.draw(curve)
        print("\n" + output.styled(title, "bold"))
        print("\n".join(lines))
    pairs = zip(names[1:], comparison.changes, comparison.relabelled, strict=True)
    for name, changes, relabelled in pairs:
        _print_changes(f"{names[0]} → {name}", changes)
        _print_relabelled(relabelled)


def _as_rows(comparison: Comparison, names: Sequence[str]) -> Iterator[str]:
    """Yield what each run is made of, and tables with a row for each run."""
    view = report.comparison_view
    for number, name in enumerate(names):
        run = comparison.runs[number]
        yield output.styled(name, "bold")
        version, trained = run.model.get("version") or view.ABSENT, run.data.get("train", {})
        doubtful = count_of(len(run.review), "doubtful image")
        images = count_of(sum(trained.values()), "training image")
        yield f"  run {run.id}, model {version}, {images}, {doubtful}"
        for each in comparison.differences:
            if each.key not in report.history.NOT_COMPARED:
                yield f"  {each.key}: {view.value_text(each.values[number])}"
    yield from matrix_table.layout(comparison, wrapping.columns())


def _as_columns(comparison: Comparison, names: Sequence[str]) -> str:
    """Return tables with a column for each run."""
    view = report.comparison_view
    blank = ("",) * (len(names) + 1)
    cells = [("", *names)]
    for table in view.tables(comparison):
        cells += [blank, (table.title, *blank[1:]), *((f"  {n}", *row) for n, *row in table.rows)]
    return output.table(cells)


def _print_changes(title: str, changes: Sequence[Change]) -> None:
    count = len(changes)
    said = f"{count} verdict{'' if count == 1 else 's'} changed" if count else "no verdict changed"
    print(f"\n{output.styled(title, 'bold')}  {said}")
    rows = report.comparison_view.change_rows(tuple(changes))[:MOST_CHANGES]
    cells = [(f"  {row[0]}", *row[2:]) for row in rows]
    print(output.table(cells, styles=[TURN_STYLES.get(row[-1]) for row in rows]), end="")
    if rows:
        print()
    _print_more(count)


def _print_relabelled(relabelled: Sequence[Relabelled]) -> None:
    if not relabelled:
        return
    print(f"\n{count_of(len(relabelled), 'image')} with another label, or in another place")
    rows = report.comparison_view.relabelled_rows(relabelled)[:MOST_CHANGES]
    print(output.table([(f"  {name}", f"{before} → {after}") for name, before, after in rows]))
    _print_more(len(relabelled))


def _print_more(count: int) -> None:
    if count > MOST_CHANGES:
        print(f"  and {count - MOST_CHANGES} more: --json or --output FILE.html has them all")


def _write(path: Path, comparison: Comparison) -> None:
    if path.suffix.lower() == ".svg":
        text = report.comparison_view.picture(comparison)
        if text is None:
            hint = "The runs have to differ in the amount of data. FILE.html holds the tables too."
            raise UserError("These runs make no learning curve.", hint=hint)
    else:
        text = report.comparison_view.page(comparison)
    try:
        atomic.write_text(path.absolute(), text)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from None


def _json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison: `changes` and `relabelled` are against the first run."""
    view = report.comparison_view
    names = view.names(comparison.runs)
    return {
        "runs": [
            {
                "run": each.id,
                "created": each.created,
                "variant": each.variant,
                "model_version": each.model.get("version"),
                "data": {split: dict(counts) for split, counts in each.data.items()},
            }
            for each in comparison.runs
        ],
        "differences": {each.key: list(each.values) for each in comparison.differences},
        "sets": {
            side.name: {
                "comparable": side.basis,
                "shared_images": side.shared,
                "scores": [asdict(each) if each else None for each in side.scores],
                "scores_on_shared": [asdict(each) if each else None for each in side.on_shared],
            }
            for side in comparison.sides
        },
        "warnings": view.warnings(comparison),
        "changes": {
            name: [_change_json(change) for change in changes]
            for name, changes in zip(names[1:], comparison.changes, strict=True)
        },
        "relabelled": {
            name: [asdict(each) for each in relabelled]
            for name, relabelled in zip(names[1:], comparison.relabelled, strict=True)
        },
        "curves": [asdict(curve) for curve in report.learning_curve.curves(comparison)],
    }


def _change_json(change: Change) -> dict[str, Any]:
    before, after = change.before, change.after
    return {
        "set": change.set,
        "id": after.id,
        "label": after.label,
        "turn": change.turn,
        "before": _verdict_json(before),
        "after": _verdict_json(after),
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    said = {"is_anomalous": verdict.is_anomalous, "confidence": verdict.confidence}
    return said | ({"to_person": True} if verdict.to_person else {})
