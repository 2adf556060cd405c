"""Lines of an EvaluationManifest: a test image, what it is, and what the model took it for.

Source: Amazon Lookout for Vision Developer Guide (June 2023), "Evaluation manifest". The line is
the dataset's, with the detection behind it under the label's name and ``-detected``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lfvpipe.manifest.lines import CLASSIFICATION, METADATA, SOURCE, LineError, read_object

if TYPE_CHECKING:
    from lfvpipe.config.spec import Label

DETECTED: Final = "-detected"


@dataclass(frozen=True)
class Detection:
    """What a model took an image for; `confidence` is in that verdict, 0 to 1."""

    is_anomalous: bool
    confidence: float


@dataclass(frozen=True)
class EvaluationLine:
    """One line: the image's address, what it is (None: not labelled), and the detection."""

    image: str
    label: Label | None
    detection: Detection


@dataclass(frozen=True)
class ModelName:
    """The model that a detection names as its own."""

    arn: str
    project: str
    version: str


def write_evaluation_line(entry: str, detection: Detection, model: ModelName, created: str) -> str:
    """Return the line for a test image, without its end.

    Args:
        entry: The dataset's JSON line, whose own attributes are kept as they are.
        detection: What the model found.
        model: Which model that was.
        created: When, as `creation_date` spells it.
    """
    truth = read_object(entry)
    image = truth.pop(SOURCE)
    return json.dumps(
        {
            SOURCE: image,
            SOURCE + METADATA: {"creation-date": created},
            **truth,
            "anomaly-label-detected": int(detection.is_anomalous),
            "anomaly-label-detected-metadata": {
                "class-name": "anomaly" if detection.is_anomalous else "normal",
                "confidence": round(detection.confidence, 6),
                "type": CLASSIFICATION,
                "human-annotated": "no",
                "creation-date": created,
                "job-name": "training-job/anomaly-detection",
                "model-arn": model.arn,
                "project-name": model.project,
                "model-version": model.version,
            },
        },
        ensure_ascii=False,
    )


def read_evaluation_line(text: str | bytes) -> EvaluationLine | None:
    """Return what a line says; None where no detection is on it.

    Raises:
        LineError: It is no JSON object, or a detection without class name and confidence.
    """
    found = read_object(text)
    name = next((key for key in found if key.endswith(DETECTED)), None)
    if name is None:
        return None
    detected = found.get(name + METADATA, {})
    truth = found.get(name.removesuffix(DETECTED) + METADATA)
    label = truth.get("class-name") if isinstance(truth, dict) else None
    try:
        return EvaluationLine(
            image=str(found[SOURCE]),
            label=label if label in ("normal", "anomaly") else None,
            detection=Detection(
                is_anomalous=str(detected["class-name"]) == "anomaly",
                confidence=float(detected["confidence"]),
            ),
        )
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise LineError("has a detection without class name and confidence") from error
