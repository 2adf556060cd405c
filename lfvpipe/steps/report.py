"""The run file and the report page: what the run used and showed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Json, Outcome
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.steps.check import CheckOutcome
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.outcome import ExtractOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.engine.inputs import Input
    from lfvpipe.report.records import RunRecord, Verdict

SETS = {"test": "test", "evaluation": "verdicts"}  # by the run file's name: evaluate's fact
REVIEW_KEPT = 1000


class ReportStep(Step[Context]):
    """Writes ``runs/<id>.json``, ``runs/<id>.html`` and ``report.html``."""

    name = "report"
    needs = ("evaluate", "check")

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return what the report shows beyond what the needs found."""
        pipeline = context.pipeline
        return settings({"name": pipeline.name, "model.description": pipeline.model.description})

    def act(self, context: Context, work: Work) -> Outcome:
        """Write the run file; an attempt that was killed is repeated under the same run id."""
        from lfvpipe.report import run_file
        from lfvpipe.report.page import write_page

        run = _record(context, work)
        path = run_file.write(context.state_dir, run)
        page = write_page(
            context.state_dir, run, work.progress, model_file=_model_file(context, run)
        )
        estimates = {name: scores.estimates for name, scores in run.scores.items()}
        facts: dict[str, Json] = {
            "run": run.id,
            "run_file": path.relative_to(context.state_dir).as_posix(),
            "page": page.relative_to(context.state_dir).as_posix(),
            "f1": {name: values["f1"].value for name, values in estimates.items()},
            "review": len(run.review),
        }
        return Outcome("created", facts)

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a run file or a page that is gone."""
        names = [str(outcome.facts[fact]) for fact in ("run_file", "page")]
        return [
            Reason("output-missing", name)
            for name in names
            if not (context.state_dir / name).is_file()
        ]


def _model_file(context: Context, run: RunRecord) -> Path | None:
    """Return the trained model, which draws heat maps; None where another machine has it."""
    if context.pipeline.service.endpoint != "embedded":
        return None
    from lfvpipe.service.embedded import model_file

    return model_file(context.service_dir, run.model["project"], run.model["version"])


def _record(context: Context, work: Work) -> RunRecord:
    """Return the run as it was, with its verdicts."""
    from lfvpipe.config.flat import flatten
    from lfvpipe.report import metrics
    from lfvpipe.report.records import Finding, RunRecord

    facts = {name: outcome.facts for name, outcome in work.upstream.items()}
    evaluated = facts["evaluate"]
    files = {name: _mapping(evaluated[fact]) for name, fact in SETS.items()}
    verdicts = {name: _verdicts(context, file) for name, file in files.items() if file["count"]}
    created, run_id = _identified(work)
    return RunRecord(
        id=run_id,
        created=created,
        name=context.pipeline.name,
        variant=context.variant,
        fingerprint=work.fingerprint,
        config=flatten(context.pipeline),
        versions=_versions(context),
        model=_model(context, facts["model"], evaluated),
        data=_counts(context, work),
        scores={name: metrics.score_set(rows) for name, rows in verdicts.items()},
        verdict_files={name: file for name, file in files.items() if file["count"]},
        review=_review(verdicts.get("evaluation", ())),
        review_below=context.pipeline.evaluate.review_below,
        findings=tuple(
            Finding(row.level, row.message, row.images)
            for row in CheckOutcome.of(work.upstream).findings
        ),
        errors=tuple(_mapping(error) for error in _sequence(evaluated["errors"])),
        timings=(),
        verdicts=verdicts,
    )


def _identified(work: Work) -> tuple[str, str]:
    """Return when this run was made and its id; the same ones after a kill."""
    from datetime import UTC, datetime

    created = work.saved.get("created")
    if not isinstance(created, str) or work.saved.get("attempt") != work.attempt:
        created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        work.save(created=created, attempt=work.attempt)
    return created, f"{created.replace('-', '').replace(':', '')}-{work.fingerprint[:8]}"


def _versions(context: Context) -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from lfvpipe import __version__
    from lfvpipe.config.flat import bare_address

    versions = {
        "lfvpipe": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "service": bare_address(context.pipeline.service.endpoint),
        "bucket": bare_address(context.pipeline.bucket.endpoint),
    }
    for package in ("boto3", "onnxruntime", "numpy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def _model(context: Context, model: Facts, evaluated: Facts) -> dict[str, Any]:
    names = ("project", "version", "arn", "f1", "precision", "recall", "training_seconds")
    found: dict[str, Any] = {name: model[name] for name in names}
    found["description"] = context.pipeline.model.description
    found["service_metrics"] = evaluated.get("service_metrics")
    return found


def _counts(context: Context, work: Work) -> dict[str, dict[str, int]]:
    """Count the index's images by split and label; the index is streamed."""
    from lfvpipe.dataset.index import read_index

    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for image in read_index(context.state_dir / ExtractOutcome.of(work.upstream).index):
        counts[image.split][image.label or "unlabelled"] += 1
    return {split: dict(sorted(labels.items())) for split, labels in counts.items()}


def _verdicts(context: Context, file: Mapping[str, Any]) -> tuple[Verdict, ...]:
    from lfvpipe.report.verdict_file import read_verdicts

    return tuple(read_verdicts(context.state_dir / file["path"]))


def _review(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    from lfvpipe.report.records import by_doubt

    doubtful = [verdict.id for verdict in by_doubt(verdicts) if verdict.needs_review]
    return tuple(doubtful[:REVIEW_KEPT])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> Sequence[Any]:
    return value if isinstance(value, Sequence) else ()
