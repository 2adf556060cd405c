"""How the model did on the service's own test images: EvaluationManifest and EvaluationResult."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lfvpipe.dataset.index import read_index
from lfvpipe.report.records import Verdict
from lfvpipe.storage import NoSuchObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.engine.outcome import Facts, Json
    from lfvpipe.steps.context import Context

DETECTED = "-detected"
METADATA = "-metadata"


@dataclass(frozen=True)
class Tested:
    """One line of an EvaluationManifest: the image's URI, what it is, what it was taken for."""

    source_ref: str
    label: str | None
    detected: str
    confidence: float


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
    rows = list(tested(data.decode().splitlines())) if data else []
    start = f"s3://{context.pipeline.bucket.name}/{context.pipeline.bucket.prefix}"
    images = _images(index, {row.source_ref.removeprefix(start) for row in rows})
    below = context.pipeline.evaluate.review_below
    return [_verdict(row, images.get(row.source_ref.removeprefix(start)), below) for row in rows]


def _images(index: Path, keys: set[str]) -> dict[str, Image]:
    """Return the index's images by object key, only those in `keys`; the index is streamed."""
    return {image.key: image for image in read_index(index) if image.key in keys} if keys else {}


def tested(lines: Iterable[str]) -> Iterator[Tested]:
    """Yield the rows of an EvaluationManifest that hold a detection."""
    for line in lines:
        data: dict[str, Any] = json.loads(line) if line.strip() else {}
        name = next((key for key in data if key.endswith(DETECTED)), None)
        if name is None:
            continue
        found = data.get(name + METADATA, {})
        truth = data.get(name.removesuffix(DETECTED) + METADATA, {}).get("class-name")
        yield Tested(
            source_ref=str(data["source-ref"]),
            label=truth if truth in {"normal", "anomaly"} else None,
            detected=str(found["class-name"]),
            confidence=float(found["confidence"]),
        )


def _verdict(row: Tested, image: Image | None, review_below: float) -> Verdict:
    return Verdict(
        id=image.id if image else row.source_ref,
        name=image.member if image else PurePosixPath(row.source_ref).name,
        label=row.label,
        is_anomalous=row.detected == "anomaly",
        confidence=row.confidence,
        needs_review=row.confidence < review_below,
        sha256=image.sha256 if image else None,
        path=image.path if image else None,
    )


def service_metrics(data: bytes) -> dict[str, float]:
    """Return the scalar metrics of an EvaluationResult file, by the service's own names."""
    metrics = json.loads(data).get("AggregatedEvaluationResults", {}).get("Metrics", {})
    return {name: value for name, value in metrics.items() if isinstance(value, int | float)}
