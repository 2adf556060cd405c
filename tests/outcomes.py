"""Outcomes of steps that a test does not run, as the ledger would have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.outcome import Outcome
from lfvpipe.steps.check import CheckOutcome
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome, VerdictFile
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.fetch import FetchOutcome
from lfvpipe.steps.manifests import ManifestsOutcome
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.steps.manifests import Manifest


def fetch_outcome(path: Path, sha256: str = "0" * 64) -> Outcome:
    """Return the outcome of a fetch step that found the file where it lies."""
    facts = FetchOutcome(str(path), path.stat().st_size, sha256, "file")
    return Outcome("found", facts.as_json(), {"sha256": sha256})


def extract_outcome(index: str, digest: str = "0" * 64, notes: str = "index/none") -> Outcome:
    """Return the outcome of an extract step that wrote this index."""
    facts = ExtractOutcome(
        index=index, digest=digest, notes=notes, images=0, new=0, bytes=0, unreadable=0, counts={}
    )
    return Outcome("created", facts.as_json())


def manifests_outcome(
    train: Manifest | None, test: Manifest | None, bucket: str = "bucket"
) -> ManifestsOutcome:
    """Return what a manifests step leaves that wrote these manifests."""
    return ManifestsOutcome(
        train=train, test=test, segmentation=False, bucket=bucket, uploaded=("train", "test")
    )


def check_outcome(*findings: Finding) -> Outcome:
    """Return the outcome of a check step."""
    return Outcome("created", CheckOutcome(findings, {}).as_json())


def model_outcome(project: str = "project", version: str = "1") -> ModelOutcome:
    """Return what a model step leaves that trained this version."""
    return ModelOutcome(
        project=project,
        version=version,
        arn=f"arn:m/{project}/{version}",
        f1=None,
        precision=None,
        recall=None,
        evaluation_manifest=None,
        evaluation_result=None,
        training_seconds=None,
        created=None,
        created_by_us=True,
    )


def evaluate_outcome(model: str = "arn:m/project/1") -> EvaluateOutcome:
    """Return what an evaluate step leaves that had no image to judge."""
    no_file = VerdictFile(path="verdicts/none.jsonl", sha256="0" * 64, count=0)
    return EvaluateOutcome(
        model=model,
        verdicts=no_file,
        test=no_file,
        fingerprint="0" * 64,
        images=0,
        anomalous=0,
        wrong=0,
        review=0,
        refused=0,
        errors=(),
        service_metrics=None,
        kept=None,
    )
