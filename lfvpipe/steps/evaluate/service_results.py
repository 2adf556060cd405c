"""How the model did on the service's own test images: EvaluationManifest and EvaluationResult."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lfvpipe.dataset.index import read_index
from lfvpipe.errors import UserError
from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.lookout.training_verdicts import read_lines
from lfvpipe.manifest import LineError, read_evaluation_line
from lfvpipe.report.policies import Judged, decide
from lfvpipe.report.records import Verdict
from lfvpipe.steps.evaluate.outcome import PixelMetrics
from lfvpipe.steps.model.evaluation_files import (
    MANIFEST,
    RESULT,
    TRAINING,
    EvaluationDamaged,
    digests,
    fetch,
    locations,
)
from lfvpipe.steps.model.outcome import ObjectLocation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.lookout.training_verdicts import TrainingVerdict
    from lfvpipe.manifest import EvaluationLine
    from lfvpipe.report.policies import Choice
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
    from lfvpipe.steps.model.outcome import ModelOutcome


class EvaluationMissing(UserError):
    """The service could not write yet what it found about its test images."""

    def __init__(self, version: str, said: str) -> None:
        super().__init__(
            f"The evaluation of model version {version} is not written yet. {said}".strip(),
            hint="The model is trained, and stays. Let the service write to the bucket, and run"
            " again.",
        )


def with_evaluation(
    context: Context, model: ModelOutcome, before: EvaluateOutcome | None
) -> ModelOutcome:
    """Return `model` with the files of its evaluation, and their digests, where it lacks them.

    Args:
        context: Of the step.
        model: As it was when it was trained, perhaps by an earlier version.
        before: The outcome before this one, which knows what was read then.

    Raises:
        EvaluationMissing: The files are not written yet.
    """
    if model.evaluation_manifest is None:
        found = describe_model(context.lookout, model.project, model.version) or {}
        if "EvaluationManifest" not in found:
            if "EvaluationEndTimestamp" in found:  # else there is none, from another service
                raise EvaluationMissing(model.version, str(found.get("StatusMessage", "")))
            return model
        model = replace(
            model,
            evaluation_manifest=ObjectLocation.of(found.get("EvaluationManifest")),
            evaluation_result=ObjectLocation.of(found.get("EvaluationResult")),
        )
    if model.evaluation_sha256:
        return model
    then = (before.sources if before and before.model == model.arn else None) or {}
    paths = {name: _path(location) for name, location in locations(model).items()}
    known = {name: then[path] for name, path in paths.items() if path in then}
    return replace(model, evaluation_sha256=known or digests(context, model))


def sources(model: ModelOutcome) -> dict[str, str] | None:
    """Return the digests of the files of the evaluation by their paths; None where none is."""
    places = locations(model)
    known = model.evaluation_sha256 or {}
    return {_path(places[name]): known[name] for name in known if name in places} or None


def verdicts_of_test(context: Context, model: ModelOutcome, index: Path) -> list[Verdict]:
    """Return a verdict for each test image of `model`, with the index's images where known.

    Raises:
        EvaluationDamaged: The EvaluationManifest is not whole, as far as can be told.
    """
    data = fetch(context, model, MANIFEST)
    rows = [] if data is None else _rows(model, data)
    lines = sum(1 for line in (data or b"").splitlines() if line.strip())
    tested = _result(context, model).get("EvaluationDetails", {}).get("NumberOfTestingImages")
    if data is not None and isinstance(tested, int) and lines != tested:
        fault = f"it has {lines:,} of {tested:,} test images"
        raise EvaluationDamaged(_address(model.evaluation_manifest), fault)
    root = f"s3://{context.pipeline.bucket.name}/{context.pipeline.bucket.prefix}"
    keys = {row.image.removeprefix(root) for row in rows}
    # The index is streamed: of a large one, only the test images are held.
    images = {image.key: image for image in read_index(index) if image.key in keys} if keys else {}
    return [_verdict(row, images.get(row.image.removeprefix(root))) for row in rows]


def said_of_training(context: Context, model: ModelOutcome) -> tuple[TrainingVerdict, ...]:
    """Return what was said of training images out of fold; nothing where no service tells.

    Raises:
        EvaluationDamaged: The file is not whole.
    """
    if model.evaluation_manifest is None:
        return ()
    data = fetch(context, model, TRAINING)
    if not data:
        return ()
    try:
        return read_lines(data)
    except ValueError as error:
        raise EvaluationDamaged(_address(locations(model)[TRAINING]), str(error)) from error


def choose(context: Context, rows: Sequence[TrainingVerdict], half: float | None) -> Choice:
    """Return the decision that the pipeline's policy comes to by what was said out of fold.

    Args:
        context: Of the step.
        rows: What was said.
        half: The calibrated probability that the score 0.5 stands for.
    """
    spec = context.pipeline.evaluate
    judged = [Judged(each.probability, each.label == "anomaly") for each in rows]
    return decide(spec.decide, spec.to_person, judged, half)


def verdicts_of_training(
    context: Context, rows: Iterable[TrainingVerdict], index: Path
) -> list[Verdict]:
    """Return what was said of training images out of fold as verdicts, by the model's threshold."""
    root = f"s3://{context.pipeline.bucket.name}/{context.pipeline.bucket.prefix}"
    said = {row.source.removeprefix(root): row for row in rows}
    return [
        _verdict_of_training(said[image.key], image)
        for image in read_index(index)
        if image.split == "train" and image.key in said
    ]


def _verdict_of_training(row: TrainingVerdict, image: Image) -> Verdict:
    is_anomalous = row.probability >= 0.5
    return Verdict(
        id=image.id,
        name=image.member,
        label=row.label,
        is_anomalous=is_anomalous,
        confidence=row.probability if is_anomalous else 1 - row.probability,
        sha256=image.sha256,
        path=image.path,
        types=image.types,
    )


def _verdict(row: EvaluationLine, image: Image | None) -> Verdict:
    return Verdict(
        id=image.id if image else row.image,
        name=image.member if image else PurePosixPath(row.image).name,
        label=row.label,
        is_anomalous=row.detection.is_anomalous,
        confidence=row.detection.confidence,
        sha256=image.sha256 if image else None,
        path=image.path if image else None,
        types=image.types if image else (),
    )


def _rows(model: ModelOutcome, data: bytes) -> list[EvaluationLine]:
    rows = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            row = read_evaluation_line(line) if line.strip() else None
        except LineError as error:
            fault = f"line {number} {error.problem}"
            raise EvaluationDamaged(_address(model.evaluation_manifest), fault) from error
        if row is not None:
            rows.append(row)
    return rows


def service_metrics(context: Context, model: ModelOutcome) -> dict[str, float] | None:
    """Return the scalar metrics of the EvaluationResult, by the service's own names.

    None where there is no such file any more.

    Raises:
        EvaluationDamaged: It is no such file.
    """
    found = _result(context, model)
    if not found:
        return None
    metrics = found.get("AggregatedEvaluationResults", {}).get("Metrics", {})
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def pixel_metrics(context: Context, model: ModelOutcome) -> tuple[PixelMetrics, ...] | None:
    """Return how well the predicted masks of test images are, by type of anomaly.

    None where the EvaluationResult has nothing of it.

    Raises:
        EvaluationDamaged: It is no such file.
    """
    found = _result(context, model).get("AggregatedEvaluationResults", {}).get("Metrics", {})
    rows = found.get("PixelAnomalyClassMetrics") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not rows:
        return None
    where = _address(model.evaluation_result)
    read = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("ClassName"), str):
            raise EvaluationDamaged(where, "its pixel metrics name no type")
        keys = ("F1Score", "Precision", "Recall", "AIOU")
        numbers = [value if _is_number(value) else None for value in map(row.get, keys)]
        read.append(PixelMetrics(row["ClassName"], *numbers))
    return tuple(read)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _result(context: Context, model: ModelOutcome) -> dict[str, Any]:
    """Return the EvaluationResult; empty where there is none any more."""
    data = fetch(context, model, RESULT)
    if data is None:
        return {}
    where = _address(model.evaluation_result)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise EvaluationDamaged(where, f"it is no JSON ({error})") from error
    if not isinstance(found, dict) or not all(
        isinstance(found.get(name, {}), dict)
        for name in ("EvaluationDetails", "AggregatedEvaluationResults")
    ):
        raise EvaluationDamaged(where, "it has no results")
    return found


def _address(location: ObjectLocation | None) -> str:
    return "" if location is None else f"s3://{_path(location)}"


def _path(location: ObjectLocation) -> str:
    return f"{location.bucket}/{location.key}"
