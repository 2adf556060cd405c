"""The run file and the report page: what the run used and showed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from lfvpipe.dataset.checks import findings
from lfvpipe.engine.facts import StepOutcome
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.phrases import count, count_of, listing
from lfvpipe.engine.step import Step, Work
from lfvpipe.lookout.likeness import UNLIKE
from lfvpipe.steps.attempts import SavedFacts
from lfvpipe.steps.check import CheckOutcome
from lfvpipe.steps.context import Context
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.intact import digest_of, is_json, losses
from lfvpipe.steps.model.outcome import ModelOutcome
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.state_files import remove_files
from lfvpipe.user_name import user_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lfvpipe.dataset.index import Mask
    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.reasons import Reason
    from lfvpipe.report.gallery import Gallery
    from lfvpipe.report.records import (
        CorrectedLabel,
        DecisionMade,
        Finding,
        RunRecord,
        Suspect,
        Verdict,
    )
    from lfvpipe.steps.evaluate.outcome import DecisionFacts

_SUSPECTS_KEPT = 100  # whose labels are doubted, in the run file and on the page
_ALIKE_KEPT = 3  # beside each of them
_REVIEW_KEPT = 1000  # ids of doubtful verdicts in the run file; the verdict files have them all


@dataclass(frozen=True)
class ReportOutcome(StepOutcome):
    """The run and its page.

    Attributes:
        run: The run's id.
        run_file: Relative to the state directory.
        page: Relative to the state directory.
        f1: By set of images; None where it is undefined.
        review: How many verdicts a person should look at.
    """

    step: ClassVar[str] = "report"

    run: str
    run_file: str
    page: str
    f1: Mapping[str, float | None]
    review: int


@dataclass(frozen=True)
class ReportSaved(SavedFacts):
    """When the run was made that an attempt reports on, and which attempt that was."""

    created: str | None = None
    attempt: int | None = None


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
        from lfvpipe.report.gallery import gallery
        from lfvpipe.report.page import put_page

        run = _record(context, work)
        for damaged in run_file.damaged(context.state_dir):
            moved = damaged.replace(damaged.with_name(f"{damaged.name}.damaged"))
            work.warn(f"A run file was damaged and is set aside as {moved}: history goes without.")
        model_file = _model_file(context, ModelOutcome.of(work.upstream))
        true_masks = _true_masks(context, work, run)
        images = gallery(context.state_dir, run, model_file, true_masks, work.progress)
        run = replace(run, findings=(*run.findings, *_of_masks(images)))
        path = run_file.write(context.state_dir, run)
        page = put_page(context.state_dir, run, images)
        estimates = {name: scores.estimates for name, scores in run.scores.items()}
        facts = ReportOutcome(
            run=run.id,
            run_file=path.relative_to(context.state_dir).as_posix(),
            page=page.relative_to(context.state_dir).as_posix(),
            f1={name: values["f1"].value for name, values in estimates.items()},
            review=len(run.review),
        )
        return Outcome("created", facts.as_json())

    def describe(self, outcome: Outcome) -> str:
        """Return which run it tells of, and how many images are doubtful."""
        report = ReportOutcome.from_json(outcome.facts)
        return listing(f"run {report.run}", count("doubtful", report.review))

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a run file or a page that is gone or damaged."""
        facts = ReportOutcome.from_json(outcome.facts)
        # Their digests are not known: how long each step took is written into both afterwards.
        tests = {facts.run_file: is_json("format", "id", "scores"), facts.page: _is_page}
        return losses(context, "report", tests)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Remove the run and its page, and what pages are made of."""
        facts = ReportOutcome.from_json(outcome.facts)
        made = (facts.run_file, facts.page, "report.html", "heat-maps")
        return remove_files(context, *made)


def _is_page(file: Path) -> bool:
    """Tell whether a page begins and ends as one, with text all the way between."""
    data = file.read_bytes()
    return data[:1] == b"<" and data.rstrip().endswith(b"</html>") and b"\0" not in data


def _model_file(context: Context, model: ModelOutcome) -> Path | None:
    """Return the trained model, which draws heat maps; None where another machine has it."""
    if context.pipeline.service.endpoint != "embedded":
        return None
    from lfvpipe.service.embedded import model_file

    return model_file(context.service_dir, context.pipeline.region, model.project, model.version)


def _record(context: Context, work: Work) -> RunRecord:
    """Return the run as it was, with its verdicts."""
    from lfvpipe.config.flat import flatten
    from lfvpipe.report import metrics
    from lfvpipe.report.records import Finding, RunRecord, by_doubt
    from lfvpipe.report.suspects import contradicted
    from lfvpipe.report.verdict_file import read_verdicts

    evaluate, model = EvaluateOutcome.of(work.upstream), ModelOutcome.of(work.upstream)
    file = _model_file(context, model)
    both = {"test": evaluate.test, "evaluation": evaluate.verdicts}
    files = {name: each for name, each in both.items() if each.count}
    verdicts = {
        name: tuple(read_verdicts(context.state_dir / each.path)) for name, each in files.items()
    }
    told = [] if evaluate.training is None else _training_verdicts(context, evaluate.training.path)
    doubted = contradicted(told)
    doubtful = [each.id for each in by_doubt(verdicts.get("evaluation", ())) if each.is_doubtful]
    created = _moment(work)
    run_id = f"{created.replace('-', '').replace(':', '')}-{work.fingerprint[:8]}"
    decision = _decision_made(context, evaluate.decision, len(doubted or ()), run_id, created)
    return RunRecord(
        id=run_id,
        created=created,
        name=context.pipeline.name,
        variant=context.variant,
        fingerprint=work.fingerprint,
        config=flatten(context.pipeline),
        versions=_versions(context),
        model={
            "project": model.project,
            "version": model.version,
            "arn": model.arn,
            "f1": model.f1,
            "precision": model.precision,
            "recall": model.recall,
            "training_seconds": model.training_seconds,
            "description": context.pipeline.model.description,
            "sha256": digest_of(file) if file and file.is_file() else None,
            "service_metrics": evaluate.service_metrics,
            "pixels": [each.as_json() for each in evaluate.pixels or ()] or None,
        },
        data=_counts(context, work),
        scores={name: metrics.score_set(rows) for name, rows in verdicts.items()},
        verdict_files={name: each.as_json() for name, each in files.items()},
        review=tuple(doubtful[:_REVIEW_KEPT]),
        review_below=context.pipeline.evaluate.review_below,
        findings=tuple(
            Finding(row.level, row.message, row.images)
            for row in (
                *_decided(decision),
                *_contradicted(doubted or (), len(told)),
                *_unlike(verdicts),
                *CheckOutcome.of(work.upstream).findings,
            )
        ),
        errors=tuple(vars(error) for error in evaluate.errors),
        timings=(),
        decision=decision,
        suspects=None if doubted is None else tuple(_suspects(context, work, doubted)),
        corrected=tuple(_corrected(context, work)),
        verdicts=verdicts,
    )


def _decision_made(
    context: Context, facts: DecisionFacts | None, doubted: int, run_id: str, created: str
) -> DecisionMade | None:
    """Return the decision with who took it: the user of the first run by this choice.

    What is chosen by labels of which some are contradicted is not to be had, or costs more than it
    had to, until these are right.
    """
    from lfvpipe.config.flat import flatten
    from lfvpipe.report import run_file
    from lfvpipe.report.records import DecisionMade
    from lfvpipe.report.suspects import correct_first

    if facts is None:
        return None
    before = run_file.previous_of_variant(context.state_dir, run_id, context.variant)
    if before and before.decision and _chosen(before.config) == _chosen(flatten(context.pipeline)):
        who, when = before.decision.taken_by, before.decision.taken or before.created
    else:
        who, when = user_name(), created
    policy = context.pipeline.evaluate.decide
    goes_by_labels = policy is not None and policy.threshold is None
    first = correct_first(doubted) if doubted and goes_by_labels else ""
    note = "; ".join(filter(None, (facts.note, first)))
    return DecisionMade(**vars(facts) | {"note": note}, taken_by=who, taken=when)


def _chosen(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys by which somebody chose how images are decided on."""
    keys = ("evaluate.decide", "evaluate.costs", "evaluate.to_person")
    return {key: value for key, value in config.items() if key.startswith(keys)}


def _true_masks(context: Context, work: Work, run: RunRecord) -> dict[str, Mask]:
    """Return the masks that the judged images came with, by the images' ids."""
    from lfvpipe.dataset.index import read_index

    judged = {verdict.id for rows in run.verdicts.values() for verdict in rows}
    index = context.state_dir / ExtractOutcome.of(work.upstream).index
    return {
        image.id: image.mask for image in read_index(index) if image.mask and image.id in judged
    }


def _training_verdicts(context: Context, path: str) -> list[Verdict]:
    from lfvpipe.report.verdict_file import read_verdicts

    return list(read_verdicts(context.state_dir / path))


def _suspects(context: Context, work: Work, doubted: Sequence[Verdict]) -> Iterator[Suspect]:
    """Yield the first images whose labels are doubted, with what looks the same under the other."""
    from lfvpipe.dataset.checks.likeness import alike_of_other_label
    from lfvpipe.dataset.index import read_index, read_notes
    from lfvpipe.report.records import Lookalike, Suspect

    if not doubted:
        return
    extract = ExtractOutcome.of(work.upstream)
    file = context.state_dir / extract.notes
    notes = {note.id: note for note in read_notes(file)} if file.is_file() else {}
    images = list(read_index(context.state_dir / extract.index))
    alike = alike_of_other_label(images, notes)
    for each in doubted[:_SUSPECTS_KEPT]:
        yield Suspect(
            id=each.id,
            name=each.name,
            label=each.label or "",
            probability=round(each.score, 6),
            sha256=each.sha256,
            path=each.path,
            alike=tuple(
                Lookalike(other.member, other.label or "", other.path)
                for other in alike.get(each.id, ())[:_ALIKE_KEPT]
            ),
        )


def _corrected(context: Context, work: Work) -> Iterator[CorrectedLabel]:
    """Yield the images about which people decided otherwise than their sources say."""
    from lfvpipe.dataset.selection import FILES, read_selection
    from lfvpipe.report.records import CorrectedLabel

    if context.pipeline.sources.labels is None:
        return
    select = SelectOutcome.of(work.upstream)
    for image in read_selection(context.state_dir / select.selection):
        if image.reviewed is None:
            continue
        mask = image.mask.member if image.mask and image.mask.source == FILES else ""
        yield CorrectedLabel(
            *(image.id, image.member, image.label, image.split),
            *(image.reviewed.label, image.reviewed.split or ""),
            *(image.type, mask),
        )
    if select.left_out is not None:
        for image in read_selection(context.state_dir / select.left_out):
            yield CorrectedLabel(image.id, image.member, None, "", image.label, image.split)


def _decided(decision: DecisionMade | None) -> Iterator[findings.Finding]:
    """Yield what was asked of the decision and cannot be had."""
    if decision is not None and decision.note:
        text = f"Decided at a score of {decision.threshold:.3g}, by {decision.by}: {decision.note}."
        yield findings.warning("decision", text, ())


def _of_masks(images: Gallery) -> Iterator[Finding]:
    """Yield what is to be known of true masks, which only those who see the images could tell."""
    from lfvpipe.report.records import Finding

    for name, agreement in images.agreements.items():
        for remark in agreement.remarks:
            yield Finding("warning", f"Masks of {name} images: {remark}")


def _contradicted(doubted: Sequence[Verdict], asked: int) -> Iterator[findings.Finding]:
    """Yield how many labels of training images are worth a second look, and of which."""
    if doubted:
        one = len(doubted) == 1
        labels = f"{len(doubted):,} of {count_of(asked, 'training label')}"
        text = (
            f"{labels} {'is' if one else 'are'} contradicted by models that had not learnt from"
            f" {'the image' if one else 'the images'}: perhaps"
            f" {'it is' if one else 'they are'} wrong. `lfvpipe review --of training` shows"
            f" {'it' if one else 'them'}"
        )
        names = [each.name for each in doubted]
        told = findings.warning("contradicted-labels", text, names)
        yield replace(told.shortened(), message=told.told())


def _unlike(verdicts: Mapping[str, Sequence[Verdict]]) -> Iterator[findings.Finding]:
    """Yield which images were judged although they are not like the training images."""
    judged = verdicts.get("evaluation", ())
    farthest = sorted(
        (each for each in judged if each.unlikeness is not None),
        key=lambda each: (-(each.unlikeness or 0), each.name),
    )
    if farthest:
        images = f"{len(farthest):,} of {count_of(len(judged), 'image')} judged"
        are = f"{images} {'is' if len(farthest) == 1 else 'are'} {UNLIKE}"
        text = f"{are}: another product, a blank or blurred photograph, or other light."
        names = [each.name for each in farthest]
        told = findings.warning("unlike", f"{text} What is said of such is a guess.", names)
        yield replace(told.shortened(), message=told.told())


def _moment(work: Work) -> str:
    """Return when this run was made, the same after a kill: the run's id is made of it."""
    from datetime import UTC, datetime

    saved = ReportSaved.of(work)
    if saved.created is not None and saved.attempt == work.attempt:
        return saved.created
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ReportSaved(created, work.attempt).save(work)
    return created


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


def _counts(context: Context, work: Work) -> dict[str, dict[str, int]]:
    """Count the index's images by split and label; the index is streamed."""
    from lfvpipe.dataset.index import read_index

    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for image in read_index(context.state_dir / ExtractOutcome.of(work.upstream).index):
        counts[image.split][image.label or "unlabelled"] += 1
    return {split: dict(sorted(labels.items())) for split, labels in counts.items()}
