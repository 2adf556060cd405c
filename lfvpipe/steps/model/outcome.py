"""What the model step saves and leaves, for itself and for those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lfvpipe.engine.facts import ABSENT_IF_NONE, StepFacts, StepOutcome
from lfvpipe.steps.attempts import SavedFacts


@dataclass(frozen=True)
class ObjectLocation(StepFacts):
    """Where an object lies that the service wrote."""

    bucket: str
    key: str

    @classmethod
    def of(cls, found: Mapping[str, str] | None) -> ObjectLocation | None:
        """Return what a description says of a file; None where it says nothing of it."""
        return None if found is None else cls(found["Bucket"], found["Key"])


@dataclass(frozen=True)
class ModelIdentity(StepFacts):
    """What later steps depend on: which version of which project."""

    project: str
    version: str
    arn: str


@dataclass(frozen=True)
class ModelOutcome(ModelIdentity, StepOutcome):
    """The trained model version.

    Attributes:
        f1: On the service's own test images, as it says; 0 to 1.
        precision: Likewise.
        recall: Likewise.
        evaluation_manifest: What the model took each of them for.
        evaluation_result: The metrics.
        training_seconds: How long training and evaluation took, by the service's own timestamps.
        created: When, as the service says; with the ARN it tells the version from a namesake.
        created_by_us: Whether this pipeline created it, so that `destroy` may delete it.
        fingerprint: What it was made of, which its tag says, too.
        bucket_endpoint: Where the evaluation's files lie. None in a ledger from before endpoints
            were kept.
        failed_versions: Those of the same fingerprint whose training failed before.
        lineage: The ledger's, which the tags say, too. None in one from before they did.
        evaluation_sha256: Of the evaluation's files, by their names. None where there are none, or
            not yet, and in a ledger from before digests were kept.
        weights_of: The version that had learnt from the same, so that this one was only tested.
            None where it learnt itself.
    """

    step: ClassVar[str] = "model"

    f1: float | None
    precision: float | None
    recall: float | None
    evaluation_manifest: ObjectLocation | None
    evaluation_result: ObjectLocation | None
    training_seconds: float | None
    created: str | None
    created_by_us: bool
    fingerprint: str | None = None
    bucket_endpoint: str | None = None
    failed_versions: tuple[str, ...] = ()
    lineage: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    evaluation_sha256: Mapping[str, str] | None = field(default=None, metadata=ABSENT_IF_NONE)
    weights_of: str | None = field(default=None, metadata=ABSENT_IF_NONE)


@dataclass(frozen=True)
class ModelSaved(SavedFacts):
    """What leads from a call of CreateModel to the version that it made.

    Attributes:
        version: The version that was created; None before there is one, and after it failed.
        after: The number of the last version that is not this attempt's, or 0. Saved before
            CreateModel is called.
        project: Where the version is.
        fingerprint: What it is tagged with.
        bucket_endpoint: Where its evaluation's files will be.
        failed_versions: Versions that attempts created and whose training failed.
        lineage: What the version is tagged with, too.
    """

    version: str | None = None
    after: int | None = None
    project: str | None = None
    fingerprint: str | None = None
    bucket_endpoint: str | None = None
    failed_versions: tuple[str, ...] = ()
    lineage: str | None = None
