"""How evaluation images get their verdicts: known ones are kept, a model is hosted for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import read_index
from lfvpipe.engine.outcome import Facts, Json, Outcome
from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.report.records import Verdict
from lfvpipe.report.verdict_file import read_partial, read_verdicts, write_verdicts
from lfvpipe.steps.evaluate.detection import detect, notebook
from lfvpipe.steps.evaluate.hosting import Hosting, end, hosted, is_ours, stop
from lfvpipe.steps.evaluate.outcome import verdict_path
from lfvpipe.steps.evaluate.tested import fetch_object, service_metrics, verdicts_of_test
from lfvpipe.steps.extract.outcome import ExtractOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.failures import LookoutError
    from lfvpipe.steps.context import Context

EVALUATED = ("evaluate", "unused")
ERRORS_KEPT = 100  # of images without a verdict; their count is kept whole


def evaluated(context: Context, work: Work) -> Outcome:
    """Collect verdicts, hosting the model only where some are missing, and write them down."""
    facts = work.upstream["model"].facts
    index = context.state_dir / ExtractOutcome.of(work.upstream).index
    model = _hosting(context, facts)
    kept = _stop_what_was_kept(context, work, model)
    verdicts, errors = _verdicts(context, work, model, index, kept=kept)
    result = _result(context, work, facts, index, verdicts, errors)
    keeps = context.pipeline.hosting.keep_running and is_ours(work, model)
    return replace(result, facts={**result.facts, "kept": _kept(context, model, keeps)})


def stop_kept(context: Context, kept: object) -> list[str]:
    """Stop the model that was left hosted, if one was; return what was stopped."""
    return _stopped(context, kept) if isinstance(kept, Mapping) else []


def _hosting(context: Context, facts: Facts) -> Hosting:
    endpoint = context.pipeline.service.endpoint
    return Hosting(str(facts["project"]), str(facts["version"]), endpoint)


def _kept(context: Context, model: Hosting, keeps: bool) -> Json:
    """Return what is left hosted, and with how many units; None when nothing is."""
    if not keeps:
        return None
    hosting = context.pipeline.hosting
    return {
        "project": model.project,
        "version": model.version,
        "min": hosting.min_inference_units,
        "max": hosting.max_inference_units,
    }


def _stop_what_was_kept(context: Context, work: Work, model: Hosting) -> bool:
    """Stop what the previous run left hosted, unless it is just what is wanted now.

    Returns:
        Whether the wanted model is hosted since then.
    """
    kept = work.previous.facts.get("kept") if work.previous else None
    if not isinstance(kept, Mapping):
        return False
    if kept == _kept(context, model, context.pipeline.hosting.keep_running):
        return describe_model(context.lookout, model.project, model.version) is not None
    _stopped(context, kept)
    work.release(replace(model, project=str(kept["project"]), version=str(kept["version"])).key)
    return False


def _stopped(context: Context, kept: Mapping[str, Json]) -> list[str]:
    project, version = str(kept["project"]), str(kept["version"])
    was_hosted = stop(context, project, version)
    return [f"hosting of model {version} of project {project}"] if was_hosted else []


def _verdicts(
    context: Context, work: Work, model: Hosting, index: Path, *, kept: bool
) -> tuple[dict[str, Verdict], list[dict[str, Json]]]:
    """Return the verdicts by image digest, and the images that the service refused."""
    known = _known(context, work)
    complete = all(image.sha256 in known for image in _evaluated(index))
    if complete and not context.pipeline.hosting.keep_running:
        end(context, work, model)
        return known, []
    with hosted(context, work, model, kept=kept):
        return known, _ask(context, work, model, index, known)


def _ask(
    context: Context,
    work: Work,
    model: Hosting,
    index: Path,
    known: dict[str, Verdict],
) -> list[dict[str, Json]]:
    """Add to `known` the verdicts of the images that have none; return those refused."""
    errors: list[dict[str, Json]] = []
    answered = count(1)
    images = [image for image in _evaluated(index) if image.sha256 not in known]
    with notebook(_partial(context, work)) as notes:

        def done(image: Image, answer: Verdict | LookoutError) -> None:
            if isinstance(answer, Verdict):
                notes.note(answer)
                known[image.sha256] = answer
            else:
                errors.append({"id": image.id, "message": answer.message})
            work.progress(next(answered), len(images), "images", image.member)

        detect(context, model, images, done)
    return sorted(errors, key=lambda error: str(error["id"]))


def _evaluated(index: Path) -> Iterable[Image]:
    return (image for image in read_index(index) if image.split in EVALUATED)


def _partial(context: Context, work: Work) -> Path:
    return context.state_dir / "verdicts" / f"{work.fingerprint}.partial.jsonl"


def _known(context: Context, work: Work) -> dict[str, Verdict]:
    """Return verdicts of the same model on the same images: a killed attempt's, the previous run's.

    When the previous run had this very fingerprint, the user insists on asking again.
    """
    known = {verdict.sha256: verdict for verdict in read_partial(_partial(context, work))}
    previous = work.previous.facts if work.previous else {}
    same = previous.get("model") == work.upstream["model"].facts["arn"]
    if work.previous and same and previous.get("fingerprint") != work.fingerprint:
        path = context.state_dir / verdict_path(work.previous, "verdicts")
        known |= {verdict.sha256: verdict for verdict in read_verdicts(path)}
    return {digest: verdict for digest, verdict in known.items() if digest is not None}


def _result(
    context: Context,
    work: Work,
    model: Facts,
    index: Path,
    verdicts: Mapping[str, Verdict],
    errors: list[dict[str, Json]],
) -> Outcome:
    """Write the two verdict files and return what is known of them."""
    below = context.pipeline.evaluate.review_below
    rows = [
        _of_image(verdicts[image.sha256], image, below)
        for image in _evaluated(index)
        if image.sha256 in verdicts
    ]
    evaluation = write_verdicts(context.state_dir, f"verdicts/{work.fingerprint}.jsonl", rows)
    tested = verdicts_of_test(context, model, index)
    test = write_verdicts(context.state_dir, f"evaluations/{work.fingerprint}.jsonl", tested)
    result = fetch_object(context, model.get("evaluation_result"))
    _partial(context, work).unlink(missing_ok=True)
    identity: dict[str, Json] = {"model": model["arn"], "verdicts": evaluation, "test": test}
    facts = identity | {
        "fingerprint": work.fingerprint,
        "images": len(rows),
        "anomalous": sum(row.is_anomalous for row in rows),
        "wrong": sum(row.correct is False for row in rows),
        "review": sum(row.needs_review for row in rows),
        "refused": len(errors),
        "errors": errors[:ERRORS_KEPT],
        "service_metrics": service_metrics(result) if result else None,
    }
    return Outcome("created" if work.previous is None else "updated", facts, identity)


def _of_image(verdict: Verdict, image: Image, review_below: float) -> Verdict:
    """Return `verdict` as it is for `image` in this configuration."""
    return replace(
        verdict,
        id=image.id,
        name=image.member,
        label=image.label,
        path=image.path,
        needs_review=verdict.confidence < review_below,
    )
