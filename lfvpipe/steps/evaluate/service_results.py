"""How the model did on the service's own test images: EvaluationManifest and EvaluationResult."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import read_index
from lfvpipe.manifest import read_evaluation_line
from lfvpipe.report.records import Verdict
from lfvpipe.storage import NoSuchObject

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.manifest import EvaluationLine
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.model.outcome import ModelOutcome, ObjectLocation


def verdicts_of_test(context: Context, model: ModelOutcome, index: Path) -> list[Verdict]:
    """Return a verdict for each test image of `model`, with the index's images where known.

    Raises:
        LineError: A line of the EvaluationManifest cannot be understood.
    """
    data = _fetch(context, model.evaluation_manifest) or b""
    lines = (read_evaluation_line(line) for line in data.splitlines() if line.strip())
    rows = [row for row in lines if row is not None]
    root = f"s3://{context.pipeline.bucket.name}/{context.pipeline.bucket.prefix}"
    keys = {row.image.removeprefix(root) for row in rows}
    # The index is streamed: of a large one, only the test images are held.
    images = {image.key: image for image in read_index(index) if image.key in keys} if keys else {}
    below = context.pipeline.evaluate.review_below
    return [_verdict(row, images.get(row.image.removeprefix(root)), below) for row in rows]


def _verdict(row: EvaluationLine, image: Image | None, review_below: float) -> Verdict:
    return Verdict(
        id=image.id if image else row.image,
        name=image.member if image else PurePosixPath(row.image).name,
        label=row.label,
        is_anomalous=row.detection.is_anomalous,
        confidence=row.detection.confidence,
        needs_review=row.detection.confidence < review_below,
        sha256=image.sha256 if image else None,
        path=image.path if image else None,
        types=image.types if image else (),
    )


def service_metrics(context: Context, model: ModelOutcome) -> dict[str, float] | None:
    """Return the scalar metrics of the EvaluationResult, by the service's own names.

    None where there is no such file any more.
    """
    data = _fetch(context, model.evaluation_result)
    if data is None:
        return None
    metrics = json.loads(data).get("AggregatedEvaluationResults", {}).get("Metrics", {})
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}


def _fetch(context: Context, location: ObjectLocation | None) -> bytes | None:
    """Return an object that DescribeModel named, or None where there is none any more."""
    if location is None:
        return None
    try:
        return context.buckets.bucket(location.bucket).get(location.key)
    except NoSuchObject:
        return None
