"""Tests a trained model and writes EvaluationManifest and EvaluationResult as documented."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe.lookout.training_verdicts import NAME, TrainingVerdict, write_lines
from lfvpipe.manifest import Detection, ModelName, creation_date, write_evaluation_line
from lfvpipe.service.jobs.training.metrics import Metrics, measure
from lfvpipe.service.jobs.training.pixel_metrics import PixelCounts
from lfvpipe.service.jobs.training.selection import Selection
from lfvpipe.service.state.models import Model

if TYPE_CHECKING:
    from lfvpipe.detector import TrainedModel

Fetch = Callable[[str, int], Path]


@dataclass(frozen=True)
class Evaluation:
    """How a model did on its test images.

    Attributes:
        ended: Epoch seconds.
        manifest: The EvaluationManifest's lines.
        pixels: Per anomaly type, for segmentation models.
    """

    metrics: Metrics
    ended: float
    manifest: tuple[str, ...]
    pixels: tuple[Mapping[str, Any], ...]

    def to_bytes(self) -> bytes:
        """Return it as bytes, for a checkpoint."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Evaluation":
        """Return what `to_bytes` was called on."""
        found = json.loads(data)
        metrics, lines = Metrics(**found["metrics"]), tuple(found["manifest"])
        return cls(metrics, found["ended"], lines, tuple(found["pixels"]))


def evaluate(
    trained: "TrainedModel",
    model: Model,
    selection: Selection,
    fetch: Fetch,
    tick: Callable[[int, int], None],
    clock: Callable[[], float],
) -> Evaluation:
    """Judge every test image.

    Args:
        trained: What training made.
        model: Its row.
        selection: The images.
        fetch: Returns the file of an address; the number names a passing copy.
        tick: Told of (done, total) before each image.
        clock: Returns epoch seconds.
    """
    counts = PixelCounts()
    truths: list[bool] = []
    scores: list[float] = []
    verdicts: list[bool] = []
    lines = []
    name = ModelName(model.arn, model.project, str(model.version))
    for number, image in enumerate(selection.test):
        tick(number, len(selection.test))
        verdict = trained.detect(fetch(image.entry.source, 0))
        truths.append(image.is_anomalous)
        scores.append(verdict.probability)
        verdicts.append(verdict.is_anomalous)
        detection = Detection(verdict.is_anomalous, verdict.confidence)
        lines.append(write_evaluation_line(image.line, detection, name, _date(clock())))
        if selection.segmentation:
            mask = None if image.entry.mask is None else fetch(image.entry.mask, 1)
            counts.add(verdict.mask_png, mask, image.types)
    metrics = measure(truths, scores, verdicts)
    return Evaluation(metrics, clock(), tuple(lines), tuple(counts.results()))


def _date(moment: float) -> str:
    return creation_date(datetime.fromtimestamp(moment, UTC))


def result_document(model: Model, selection: Selection, evaluation: Evaluation) -> str:
    """Return the EvaluationResult: scalars in the documented order, without those not known."""
    measured: dict[str, float | None] = {
        "ROCAUC": evaluation.metrics.roc_auc,
        "AveragePrecision": evaluation.metrics.average_precision,
        "Precision": evaluation.metrics.precision,
        "Recall": evaluation.metrics.recall,
        "F1Score": evaluation.metrics.f1,
    }
    metrics: dict[str, Any] = {name: value for name, value in measured.items() if value is not None}
    if selection.segmentation:
        metrics["PixelAnomalyClassMetrics"] = list(evaluation.pixels)
    document = {
        "Version": 1,
        "EvaluationDetails": {
            "ModelArn": model.arn,
            "EvaluationEndTimestamp": _date(evaluation.ended),
            "NumberOfTrainingImages": len(selection.train),
            "NumberOfTestingImages": len(selection.test),
        },
        "AggregatedEvaluationResults": {"Metrics": metrics},
    }
    return json.dumps(document, indent=2)


def output_files(
    model: Model,
    selection: Selection,
    evaluation: Evaluation,
    training: tuple[TrainingVerdict, ...],
) -> Mapping[str, str]:
    """Return what is in the files, by the names that `Model.written_keys` has keys of.

    Ours is among them where the detector told what it said of the training images.
    """
    files = {
        "EvaluationManifest": "".join(f"{line}\n" for line in evaluation.manifest),
        "EvaluationResult": result_document(model, selection, evaluation),
    }
    return files | ({NAME: write_lines(training)} if training else {})
