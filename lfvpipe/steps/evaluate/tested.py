"""How the model did on the service's own test images: EvaluationManifest and EvaluationResult."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import read_index
from lfvpipe.manifest import read_evaluation_line
from lfvpipe.report.records import Verdict
from lfvpipe.storage import NoSuchObject

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.engine.outcome import Facts, Json
    from lfvpipe.manifest import EvaluationLine
    from lfvpipe.steps.context import Context


def fetch_object(context: Context, location: Json) -> bytes | None:
    """Return an object that DescribeModel named, or None where there is none any more."""
    if not isinstance(location, Mapping):
        return None
    try:
        return context.buckets.bucket(str(location["bucket"])).get(str(location["key"]))
    except NoSuchObject:
        return None


def verdicts_of_test(context: Context, model: Facts, index: Path) -> list[Verdict]:
    """Return a verdict for each test image of `model`, with the index's images where known."""
    data = fetch_object(context, model.get("evaluation_manifest"))
    lines = (line for line in (data or b"").splitlines() if line.strip())
    rows = [row for row in map(read_evaluation_line, lines) if row]
    start = f"s3://{context.pipeline.bucket.name}/{context.pipeline.bucket.prefix}"
    images = _images(index, {row.image.removeprefix(start) for row in rows})
    below = context.pipeline.evaluate.review_below
    return [_verdict(row, images.get(row.image.removeprefix(start)), below) for row in rows]


def _images(index: Path, keys: set[str]) -> dict[str, Image]:
    """Return the index's images by object key, only those in `keys`; the index is streamed."""
    return {image.key: image for image in read_index(index) if image.key in keys} if keys else {}


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
    )


def service_metrics(data: bytes) -> dict[str, float]:
    """Return the scalar metrics of an EvaluationResult file, by the service's own names."""
    metrics = json.loads(data).get("AggregatedEvaluationResults", {}).get("Metrics", {})
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}
