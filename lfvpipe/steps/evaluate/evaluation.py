"""How evaluation images get their verdicts: known ones are kept, a model is hosted for the rest."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.dataset.index import read_index
from lfvpipe.engine.outcome import Outcome
from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.report.policies import calibrated_at_half
from lfvpipe.report.records import Verdict
from lfvpipe.report.verdict_file import read_partial, read_verdicts, write_verdicts
from lfvpipe.steps.evaluate.detection import detect, notebook
from lfvpipe.steps.evaluate.outcome import (
    DecisionFacts,
    EvaluateIdentity,
    EvaluateOutcome,
    KeptHosting,
    RefusedImage,
    VerdictFile,
)
from lfvpipe.steps.evaluate.service_results import (
    choose,
    pixel_metrics,
    said_of_training,
    service_metrics,
    sources,
    verdicts_of_test,
    verdicts_of_training,
    with_evaluation,
)
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.hosting import Hosting, hosted, is_ours, stop, stop_if_ours
from lfvpipe.steps.intact import digest_of
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.engine.outcome import Word
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.failures import LookoutError
    from lfvpipe.steps.context import Context

_SPLITS = ("evaluate", "unused")
_ERRORS_KEPT = 100  # of images without a verdict; their count is kept whole


def evaluate(context: Context, work: Work) -> Outcome:
    """Collect verdicts, hosting the model only where some are missing, and write them down.

    Raises:
        EvaluationMissing: What the training found of the test images is not written yet.
        EvaluationDamaged: It is not what was written, and nobody has a copy.
        LookoutError: The model cannot be hosted, or the service fails at an image for another
            reason than the image.
        Cancelled: The user asked to stop; the verdicts so far are kept for the next attempt.
    """
    before = EvaluateOutcome.from_json(work.previous.facts) if work.previous else None
    trained = with_evaluation(context, ModelOutcome.of(work.upstream), before)
    index = context.state_dir / ExtractOutcome.of(work.upstream).index
    model = Hosting(trained.project, trained.version, context.pipeline.service.endpoint)
    keeps_running = context.pipeline.hosting.keep_running

    is_kept = _stop_what_was_kept(context, work, model, before.kept if before else None)
    verdicts = _known_verdicts(context, work, trained, before)
    refused: list[RefusedImage] = []
    if keeps_running or any(image.sha256 not in verdicts for image in _images(index)):
        with hosted(context, work, model, kept=is_kept):
            refused = _ask(context, work, model, index, verdicts)
    else:
        stop_if_ours(context, work, model)  # an attempt that was killed may have it hosted

    below = context.pipeline.evaluate.review_below
    said = said_of_training(context, trained)
    half = calibrated_at_half((each.probability, each.calibrated) for each in said)
    choice = choose(context, said, half)
    rows = [
        _as_of_today(verdicts[image.sha256], image).decided(choice.decision, below)
        for image in _images(index)
        if image.sha256 in verdicts
    ]
    tested = [
        each.decided(choice.decision, below) for each in verdicts_of_test(context, trained, index)
    ]
    state_dir, name = context.state_dir, f"{work.fingerprint}.jsonl"
    learnt = verdicts_of_training(context, said, index)
    identity = EvaluateIdentity(
        model=trained.arn,
        verdicts=VerdictFile(**write_verdicts(state_dir, f"verdicts/{name}", rows)),
        test=VerdictFile(**write_verdicts(state_dir, f"evaluations/{name}", tested)),
        training=VerdictFile(**write_verdicts(state_dir, f"evaluations/training-{name}", learnt))
        if learnt
        else None,
        decision=None if _decides_itself(context) else DecisionFacts.of(choice),
    )
    metrics = service_metrics(context, trained)
    _partial(context, work).unlink(missing_ok=True)
    atomic.sync_folder(state_dir / "verdicts")  # or a power cut would bring it back for good
    facts = EvaluateOutcome(
        **vars(identity),
        fingerprint=work.fingerprint,
        images=len(rows),
        anomalous=sum(row.is_anomalous for row in rows),
        wrong=sum(row.correct is False for row in rows),
        review=sum(row.is_doubtful for row in rows),
        refused=len(refused),
        errors=tuple(refused[:_ERRORS_KEPT]),
        service_metrics=metrics,
        # A model that somebody else has hosted is not this pipeline's to keep, nor to stop later.
        kept=_to_keep(context, model) if keeps_running and is_ours(work, model) else None,
        pixels=pixel_metrics(context, trained),
        unlike=sum(row.unlikeness is not None for row in rows) or None,
        sources=sources(trained),
        calibrated_at_half=half,
    )
    word: Word = "created" if work.previous is None else "updated"
    return Outcome(word, facts.as_json(), identity.as_json())


def _decides_itself(context: Context) -> bool:
    """Tell whether the model's own threshold stands, as nobody asked for another decision."""
    spec = context.pipeline.evaluate
    return spec.decide is None and spec.to_person is None


def stop_left(context: Context, left: KeptHosting | Hosting) -> list[str]:
    """Stop a model that was left hosted; return what was stopped."""
    was_hosted = stop(context, left.project, left.version)
    return [f"hosting of model {left.version} of project {left.project}"] if was_hosted else []


def remove_partial(context: Context) -> list[str]:
    """Remove the verdicts of attempts that did not finish; return their files."""
    found = sorted((context.state_dir / "verdicts").glob("*.partial.jsonl"))
    for file in found:
        file.unlink()
    return list(map(str, found))


def _to_keep(context: Context, model: Hosting) -> KeptHosting:
    hosting = context.pipeline.hosting
    return KeptHosting(
        project=model.project,
        version=model.version,
        min=hosting.min_inference_units,
        max=hosting.max_inference_units,
    )


def _stop_what_was_kept(
    context: Context, work: Work, model: Hosting, kept: KeptHosting | None
) -> bool:
    """Stop what the previous run left hosted, unless it is just what is wanted now.

    Returns:
        Whether the wanted model is hosted since then.
    """
    if kept is None:
        return False
    if context.pipeline.hosting.keep_running and kept == _to_keep(context, model):
        return describe_model(context.lookout, model.project, model.version) is not None
    stop_left(context, kept)
    work.release(replace(model, project=kept.project, version=kept.version).key)
    return False


def _known_verdicts(
    context: Context, work: Work, trained: ModelOutcome, before: EvaluateOutcome | None
) -> dict[str, Verdict]:
    """Return verdicts of the very same model, by the digest of the image.

    They are a killed attempt's at the same fingerprint, which the model is a part of, and the
    previous run's if it asked the same model: a model that was trained again judges anew. When
    the previous run had this very fingerprint, the user insists on asking again.
    """
    found = list(read_partial(_partial(context, work)))
    is_same_model = before is not None and before.model == trained.arn
    if before is not None and is_same_model and before.fingerprint != work.fingerprint:
        file = context.state_dir / before.verdicts.path
        # One that was damaged would give verdicts that nobody gave.
        if file.is_file() and digest_of(file) == before.verdicts.sha256:
            found += read_verdicts(file)
    return {verdict.sha256: verdict for verdict in found if verdict.sha256 is not None}


def _ask(
    context: Context, work: Work, model: Hosting, index: Path, verdicts: dict[str, Verdict]
) -> list[RefusedImage]:
    """Add to `verdicts` those of the images that have none; return the images refused."""
    refused: list[RefusedImage] = []
    answered = count(1)
    images = [image for image in _images(index) if image.sha256 not in verdicts]
    with notebook(_partial(context, work)) as notes:

        def done(image: Image, answer: Verdict | LookoutError) -> None:
            if isinstance(answer, Verdict):
                notes.note(answer)
                verdicts[image.sha256] = answer
            else:
                refused.append(RefusedImage(image.id, answer.message))
            work.progress(next(answered), len(images), "images", image.member)

        detect(context, model, images, done)
    return sorted(refused, key=lambda each: each.id)


def _images(index: Path) -> Iterator[Image]:
    return (image for image in read_index(index) if image.split in _SPLITS)


def _partial(context: Context, work: Work) -> Path:
    return context.state_dir / "verdicts" / f"{work.fingerprint}.partial.jsonl"


def _as_of_today(verdict: Verdict, image: Image) -> Verdict:
    """Return `verdict` with what the configuration says of the image by now."""
    return replace(
        verdict,
        id=image.id,
        name=image.member,
        label=image.label,
        path=image.path,
        types=image.types,
    )
