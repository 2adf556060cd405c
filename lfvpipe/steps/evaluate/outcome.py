"""What the evaluate step leaves, for itself and for those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from lfvpipe.decision import Decision
from lfvpipe.engine.facts import ABSENT_IF_NONE, StepFacts, StepOutcome

if TYPE_CHECKING:
    from lfvpipe.report.policies import Choice


@dataclass(frozen=True)
class VerdictFile(StepFacts):
    """A file of verdicts: its path relative to the state directory, SHA-256, how many it has."""

    path: str
    sha256: str
    count: int


@dataclass(frozen=True)
class RefusedImage(StepFacts):
    """An image that the service gave no verdict on, and why."""

    id: str
    message: str


@dataclass(frozen=True)
class KeptHosting(StepFacts):
    """A model version that is left hosted, and with how many inference units."""

    project: str
    version: str
    min: int
    max: int | None


@dataclass(frozen=True)
class PixelMetrics(StepFacts):
    """How well predicted masks cover the true ones, over all test images; None where undefined.

    Attributes:
        type: Of anomaly.
        iou: Intersection over union.
    """

    type: str
    f1: float | None
    precision: float | None
    recall: float | None
    iou: float | None


@dataclass(frozen=True)
class DecisionFacts(StepFacts):
    """What the verdicts were decided by; see `lfvpipe.report.records.DecisionMade`."""

    threshold: float
    above: float | None
    below: float | None
    by: str
    note: str

    @classmethod
    def of(cls, choice: Choice) -> DecisionFacts:
        """Return what is kept of a choice."""
        return cls(**vars(choice.decision), by=choice.by, note=choice.note)

    @property
    def decision(self) -> Decision:
        """The threshold, and what goes to a person."""
        return Decision(self.threshold, self.above, self.below)


@dataclass(frozen=True)
class EvaluateIdentity(StepFacts):
    """What later steps depend on: which verdicts of which model (its ARN), decided by what."""

    model: str
    verdicts: VerdictFile
    test: VerdictFile
    training: VerdictFile | None = field(default=None, kw_only=True, metadata=ABSENT_IF_NONE)
    decision: DecisionFacts | None = field(default=None, kw_only=True, metadata=ABSENT_IF_NONE)


@dataclass(frozen=True)
class EvaluateOutcome(EvaluateIdentity, StepOutcome):
    """The verdicts.

    Attributes:
        model: The ARN of the model that gave them.
        verdicts: On the evaluation images.
        test: On the service's own test images.
        training: On the training images, by models that had not learnt from them; None where the
            service does not tell.
        decision: What the verdicts were decided by; None where the model did by itself.
        fingerprint: What the verdicts were made of.
        images: How many evaluation images have a verdict.
        anomalous: How many of them are taken for anomalous.
        wrong: How many are taken for what they are not.
        review: How many are doubtful.
        refused: How many got no verdict.
        errors: The first of those.
        service_metrics: On the test images, by the service's own names; None without.
        kept: What is left hosted; None when nothing is.
        unlike: How many images are not like the training images; None where none is said to be.
        pixels: By type of anomaly; None where no masks were learnt from.
        sources: The SHA-256 of the service's files that were read, by bucket and key joined with a
            slash. None without such files, and in a ledger from before digests were kept.
        calibrated_at_half: The calibrated probability that the score 0.5 stands for; None where
            nobody tells.
    """

    step: ClassVar[str] = "evaluate"

    fingerprint: str
    images: int
    anomalous: int
    wrong: int
    review: int
    refused: int
    errors: tuple[RefusedImage, ...]
    service_metrics: Mapping[str, float] | None
    kept: KeptHosting | None
    unlike: int | None = field(default=None, metadata=ABSENT_IF_NONE)
    pixels: tuple[PixelMetrics, ...] | None = field(default=None, metadata=ABSENT_IF_NONE)
    sources: Mapping[str, str] | None = field(default=None, metadata=ABSENT_IF_NONE)
    calibrated_at_half: float | None = field(default=None, metadata=ABSENT_IF_NONE)
