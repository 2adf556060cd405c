"""A verdict for every evaluation image, and what the service found on its own test images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from lfvpipe.engine.outcome import Facts, Json, Outcome
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.report.records import Verdict
from lfvpipe.report.verdict_file import read_partial, read_verdicts, write_verdicts
from lfvpipe.steps import described
from lfvpipe.steps.context import Context
from lfvpipe.steps.detection import detect, notebook
from lfvpipe.steps.hosting import Hosting, end, hosted, is_ours, stop
from lfvpipe.steps.index import read_index
from lfvpipe.steps.tested import fetch_object, service_metrics, verdicts_of_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from lfvpipe.lookout.failures import LookoutError
    from lfvpipe.steps.index import Image

EVALUATED = ("evaluate", "unused")
ERRORS_KEPT = 100  # of images without a verdict; their count is kept whole


class EvaluateStep(Step[Context]):
    """Hosts the model, asks it about the evaluation images, and stops it again.

    Verdicts depend on the model and the image alone, so those of an earlier configuration with
    the same model are taken over: another ``review_below`` or one more image hosts nothing, or
    asks about one image only.
    """

    name = "evaluate"
    needs = ("model", "extract")

    def inputs(self, context: Context) -> Facts:
        """Return what a verdict says beyond the service's answer, and whether hosting goes on."""
        pipeline = context.pipeline
        inputs: dict[str, Json] = {"evaluate.review_below": pipeline.evaluate.review_below}
        hosting = pipeline.hosting
        if hosting.keep_running:
            inputs |= {
                "hosting.keep_running": True,
                "hosting.min_inference_units": hosting.min_inference_units,
                "hosting.max_inference_units": hosting.max_inference_units,
            }
        return inputs

    def act(self, context: Context, work: Work) -> Outcome:
        """Collect verdicts, hosting the model only where some are missing."""
        facts = work.upstream["model"].facts
        index = context.state_dir / str(work.upstream["extract"].facts["index"])
        model = _hosting(context, facts)
        kept = _stop_what_was_kept(context, work, model)
        verdicts, errors = _verdicts(context, work, model, index, kept=kept)
        result = _result(context, work, facts, index, verdicts, errors)
        keeps = context.pipeline.hosting.keep_running and is_ours(work, model)
        return replace(result, facts={**result.facts, "kept": _kept(context, model, keeps)})

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report verdict files that are gone."""
        paths = [_path(outcome, "verdicts"), _path(outcome, "test")]
        return [
            Reason("output-missing", path)
            for path in paths
            if not (context.state_dir / path).is_file()
        ]

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a model that was to stay hosted and is not."""
        kept = outcome.facts.get("kept")
        if not isinstance(kept, Mapping):
            return []
        found = described.model(context, str(kept["project"]), str(kept["version"]))
        status = found["Status"] if found else None
        if status in {"HOSTED", "STARTING_HOSTING"}:
            return []
        return [Reason("drift", f"hosting of model {kept['version']}", "HOSTED", status)]

    def abandon(self, context: Context, saved: Facts) -> Sequence[str]:
        """Stop the model that a killed attempt left hosted."""
        held = saved.get("held")
        return _stopped(context, held) if isinstance(held, Mapping) else []

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Stop the model if it was left hosted; the verdict files go with the state folder."""
        kept = outcome.facts.get("kept")
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
        return described.model(context, model.project, model.version) is not None
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
        path = context.state_dir / _path(work.previous, "verdicts")
        known |= {verdict.sha256: verdict for verdict in read_verdicts(path)}
    return {digest: verdict for digest, verdict in known.items() if digest is not None}


def _path(outcome: Outcome, name: str) -> str:
    facts = outcome.facts.get(name)
    return str(facts["path"]) if isinstance(facts, Mapping) else ""


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
