"""What each step says of its outcome, in the line that a run, status and destroy show."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lfvpipe.dataset.checks.findings import Finding
from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.engine.outcome import Outcome
from lfvpipe.steps.bucket import BucketOutcome, BucketStep
from lfvpipe.steps.check import CheckOutcome, CheckStep
from lfvpipe.steps.datasets.outcome import DatasetFacts, DatasetsOutcome
from lfvpipe.steps.datasets.step import DatasetsStep
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome, VerdictFile
from lfvpipe.steps.evaluate.step import EvaluateStep
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.manifests import Manifest, ManifestsOutcome, ManifestsStep
from lfvpipe.steps.mlflow import MlflowOutcome, MlflowStep
from lfvpipe.steps.model.outcome import ModelOutcome
from lfvpipe.steps.model.step import ModelStep
from lfvpipe.steps.project import ProjectOutcome, ProjectStep
from lfvpipe.steps.report import ReportOutcome, ReportStep
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.select.step import SelectStep
from lfvpipe.steps.upload.outcome import UploadOutcome
from lfvpipe.steps.upload.step import UploadStep

if TYPE_CHECKING:
    from lfvpipe.engine.facts import StepFacts
    from lfvpipe.engine.step import Step
    from lfvpipe.steps.context import Context

COUNTS = LabelCounts(train=20, test=10, evaluate=1, unused=0, available=31)


def _dataset(total: int) -> DatasetFacts:
    return DatasetFacts("CREATE_COMPLETE", "", {"total": total}, "k", "d", None, None, True)


def _upload(uploaded: int, size: int) -> UploadOutcome:
    return UploadOutcome("local", "r", "parts", "", "i", "d", 96, 481_000, uploaded, size, "e")


def _model(f1: float, precision: float, recall: float | None) -> ModelOutcome:
    scores = (f1, precision, recall)
    return ModelOutcome("parts", "2", "arn", *scores, None, None, None, None, True)


def _evaluation(
    images: int, anomalous: int, wrong: int, review: int, refused: int
) -> EvaluateOutcome:
    file = VerdictFile("p", "d", images)
    counts = (images, anomalous, wrong, review, refused)
    return EvaluateOutcome("arn", file, file, "f", *counts, (), None, None)


@pytest.mark.parametrize(
    ("step", "facts", "line"),
    [
        (
            SelectStep(()),
            SelectOutcome("s", "d", {"normal": COUNTS, "anomaly": COUNTS}),
            "train 40, test 20, evaluate 2",
        ),
        (
            ExtractStep(),
            ExtractOutcome("i", "d", "n", 96, 76, 481_000, 0, {}),
            "images 96, 481 kB, new 76",
        ),
        (CheckStep(), CheckOutcome((), {}), ""),
        (CheckStep(), CheckOutcome((Finding("warning", "few", "few images"),), {}), "1 finding"),
        (BucketStep(), BucketOutcome("parts", "local", "r", True, None, None), "parts, local"),
        (UploadStep(), _upload(20, 1_200_000), "objects 96, new 20, 1.2 MB"),
        (UploadStep(), _upload(0, 0), "objects 96"),
        (
            ManifestsStep(),
            ManifestsOutcome(Manifest("k", "d", 40), Manifest("l", "e", 20), True, "parts", ()),
            "train 40, test 20, segmentation",
        ),
        (
            ManifestsStep(),
            ManifestsOutcome(Manifest("k", "d", 40), None, False, "parts", ()),
            "train 40",
        ),
        (ProjectStep(), ProjectOutcome("arn", "parts", "embedded", None, True), "parts, embedded"),
        (DatasetsStep(), DatasetsOutcome(_dataset(40), _dataset(20)), "train 40, test 20"),
        (DatasetsStep(), DatasetsOutcome(_dataset(40), None), "train 40"),
        (ModelStep(), _model(0.97368, 1.0, None), "version 2, F1 0.974, precision 1.000"),
        (ModelStep(), _model(0.0, 0.0, 0.0), "version 2, F1 0.000, precision 0.000, recall 0.000"),
        (EvaluateStep(), _evaluation(16, 8, 0, 1, 0), "images 16, anomalous 8, doubtful 1"),
        (
            EvaluateStep(),
            _evaluation(0, 0, 0, 0, 0),
            "no images to judge: `evaluate` names none",
        ),
        (EvaluateStep(), _evaluation(0, 0, 0, 0, 2), "refused 2"),
        (
            EvaluateStep(),
            replace(_evaluation(8, 1, 0, 2, 0), unlike=3),
            "images 8, anomalous 1, doubtful 2, not like the training images 3",
        ),
        (ReportStep(), ReportOutcome("r1", "f", "p", {}, 3), "run r1, doubtful 3"),
        (MlflowStep(), MlflowOutcome("r1", "1", "abc"), "mlflow run abc"),
        (MlflowStep(), MlflowOutcome("r1"), ""),
    ],
)
def test_the_line(step: Step[Context], facts: StepFacts, line: str) -> None:
    assert step.describe(Outcome("created", facts.as_json())) == line
