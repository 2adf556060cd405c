"""Typed rows of a run: verdicts, confusion counts, intervals, and the run as a whole."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lfvpipe.decision import score_of

if TYPE_CHECKING:
    from lfvpipe.decision import Decision


@dataclass(frozen=True)
class Verdict:
    """What a model said of one image.

    Attributes:
        id: The image's id in the index; ``source-ref`` for an image that the index does not know.
        name: What a person calls the image: its member or file name.
        label: ``normal`` or ``anomaly`` where the truth is known.
        is_anomalous: The verdict.
        confidence: Confidence in the verdict, 0 to 1.
        needs_review: A person should look: the verdict is doubtful, or for a person to decide.
        sha256: The digest of the image's bytes, where they are known.
        path: The image, relative to the state folder, if it is there.
        mask: The predicted anomaly mask, relative to the state folder, for segmentation models.
        anomalies: Anomaly types found, as DetectAnomalies names them.
        types: The types of defects that are really there, where they are known.
        unlikeness: How far an image that is not like the training images lies from them, in
            thresholds; None where it is like them, or nobody tells.
        to_person: A person is to decide on it, as the pipeline says: the verdict is a proposal.
    """

    id: str
    name: str
    label: str | None
    is_anomalous: bool
    confidence: float
    needs_review: bool = False
    sha256: str | None = None
    path: str | None = None
    mask: str | None = None
    anomalies: tuple[Mapping[str, Any], ...] = ()
    types: tuple[str, ...] = ()
    unlikeness: float | None = None
    to_person: bool = False

    @property
    def correct(self) -> bool | None:
        """Whether the verdict agrees with the label.

        None where the truth is unknown, and where a person is to decide.
        """
        if self.label is None or self.to_person:
            return None
        return self.is_anomalous == (self.label == "anomaly")

    @property
    def is_doubtful(self) -> bool:
        """Whether the confidence is under ``review_below``, and no person is to decide."""
        return self.needs_review and not self.to_person

    @property
    def score(self) -> float:
        """The confidence that the image is anomalous, 0 to 1."""
        return score_of(self.confidence, is_anomalous=self.is_anomalous)

    def decided(self, decision: "Decision", review_below: float) -> "Verdict":
        """Return the verdict that `decision` comes to, on the same score."""
        called = decision.call(self.score)
        look = called.to_person or called.confidence < review_below
        return replace(self, **called._asdict(), needs_review=look)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as a line of a verdict file; empty optional members are left out."""
        line: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "label": self.label,
            "is_anomalous": self.is_anomalous,
            "confidence": self.confidence,
            "correct": self.correct,
            "needs_review": self.needs_review,
        }
        if self.anomalies:
            line["anomalies"] = [dict(anomaly) for anomaly in self.anomalies]
        if self.types:
            line["types"] = list(self.types)
        if self.to_person:
            line["to_person"] = True
        optional = {
            "sha256": self.sha256,
            "path": self.path,
            "mask": self.mask,
            "unlikeness": self.unlikeness,
        }
        return line | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Verdict":
        """Return the verdict that a line of a verdict file holds."""
        return cls(
            id=line["id"],
            name=line["name"],
            label=line["label"],
            is_anomalous=line["is_anomalous"],
            confidence=line["confidence"],
            needs_review=line["needs_review"],
            sha256=line.get("sha256"),
            path=line.get("path"),
            mask=line.get("mask"),
            anomalies=tuple(line.get("anomalies", ())),
            types=tuple(line.get("types", ())),
            unlikeness=line.get("unlikeness"),
            to_person=line.get("to_person", False),
        )


@dataclass(frozen=True)
class Confusion:
    """Counts of verdicts against labels; anomaly is the positive class."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0

    @property
    def total(self) -> int:
        """How many labelled images there are."""
        return self.positive + self.negative

    @property
    def positive(self) -> int:
        """How many images are labelled anomaly."""
        return self.true_positive + self.false_negative

    @property
    def negative(self) -> int:
        """How many images are labelled normal."""
        return self.true_negative + self.false_positive


@dataclass(frozen=True)
class ForPerson:
    """How many images a person is to decide on.

    Attributes:
        anomalies: Of defective products.
        normals: Of good ones.
        images: In all, without a label too.
    """

    anomalies: int = 0
    normals: int = 0
    images: int = 0

    @property
    def labelled(self) -> int:
        """How many of them have a label."""
        return self.anomalies + self.normals


@dataclass(frozen=True)
class Estimate:
    """A proportion in 0..1 with its 95 % confidence interval; None where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scores:
    """How good the verdicts on one set of images are.

    Attributes:
        images: How many images there are, labelled or not.
        estimates: accuracy, precision, recall, f1, false_alarm_rate, roc_auc and
            average_precision, by name.
        brier: Mean squared error of the anomaly score, 0 (best) to 1.
        to_person: How many images with a label a person is to decide on; not in `confusion`.
    """

    images: int
    confusion: Confusion
    estimates: Mapping[str, Estimate]
    brier: float | None = None
    to_person: int = 0

    @property
    def labelled(self) -> int:
        """How many images have a label, those that are left to a person among them."""
        return self.confusion.total + self.to_person


@dataclass(frozen=True)
class TypeRecall:
    """How many of the images that show a type of defect were called anomalies."""

    type: str
    found: int
    total: int
    recall: Estimate


@dataclass(frozen=True)
class Lookalike:
    """An image that looks nearly the same as another one, and has the other label.

    Attributes:
        path: Relative to the state folder.
    """

    name: str
    label: str
    path: str


@dataclass(frozen=True)
class Suspect:
    """A training image whose label is worth a second look.

    Attributes:
        id: The image's id in the index.
        name: What a person calls it.
        label: That it was learnt with.
        probability: Of its being anomalous, 0 to 1, by models that had not learnt from it.
        sha256: The digest of its bytes.
        path: Relative to the state folder.
        alike: Images that look nearly the same and have the other label.
    """

    id: str
    name: str
    label: str
    probability: float
    sha256: str | None = None
    path: str | None = None
    alike: tuple[Lookalike, ...] = ()


@dataclass(frozen=True)
class CorrectedLabel:
    """An image about which a person decided otherwise than its source says.

    Attributes:
        id: The image's id in the index.
        name: What a person calls it.
        label: ``normal`` or ``anomaly`` as decided; None where it is not known.
        split: ``train``, ``test`` or ``evaluate`` as decided; "" where it is left out.
        label_before: As the source says; None where that says nothing.
        split_before: As it would be without the decision; "" where it would not be used.
        type: Of its defect, where somebody named it; "" else.
        mask: What a person painted, as a path; "" for nothing.
    """

    id: str
    name: str
    label: str | None
    split: str
    label_before: str | None
    split_before: str
    type: str = ""
    mask: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that the data check found: `severity` is error, warning or info."""

    severity: str
    message: str
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timing:
    """What one step did and how long it took, in seconds; None where nobody measured it."""

    step: str
    word: str
    seconds: float | None = None


@dataclass(frozen=True)
class DecisionMade:
    """What the verdicts of a run were decided by.

    Attributes:
        threshold: Of the score, see `lfvpipe.decision.Decision`; likewise the next two.
        by: What it was made by, in a few words.
        note: What of that cannot be had, or is guessed; "" for nothing.
        taken_by: Whose run was the first by this choice; "" where that is not known.
        taken: When that was, UTC ISO 8601; "" likewise.
    """

    threshold: float
    above: float | None
    below: float | None
    by: str
    note: str
    taken_by: str = ""
    taken: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One run of a pipeline, as its run file tells it.

    Attributes:
        id: Sorts by time: ``YYYYMMDDTHHMMSSZ-<8 hexadecimal digits>``.
        created: When the run ended, UTC ISO 8601.
        name: The pipeline's name.
        variant: The matrix variant; ``default`` where there is no matrix.
        fingerprint: What the report was made of.
        config: The pipeline's configuration by dotted key.
        versions: Of lfvpipe, Python, the platform, and where the service is.
        model: project, version, arn and what the service said of it.
        data: Image counts by split, then by label.
        scores: By set: ``test`` (the service's own test) and ``evaluation``.
        verdict_files: By set, the verdict file relative to the state folder.
        review: Ids of evaluation images with a doubtful verdict, most doubtful first.
        suspects: Training images whose labels are worth a second look, strongest contradiction
            first, the first hundred; None where nobody could say.
        decision: What the verdicts were decided by; None where the model did by itself.
        corrected: The images about which people decided otherwise than their sources say; None in
            the file of a version that did not note it.
        verdicts: By set; held beside the run file and loaded with it.
    """

    id: str
    created: str
    name: str
    fingerprint: str
    variant: str = "default"
    config: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    scores: Mapping[str, Scores] = field(default_factory=dict)
    verdict_files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    review: Sequence[str] = ()
    review_below: float = 0.75
    findings: Sequence[Finding] = ()
    errors: Sequence[Mapping[str, str]] = ()
    timings: Sequence[Timing] = ()
    suspects: tuple[Suspect, ...] | None = None
    decision: DecisionMade | None = None
    corrected: tuple[CorrectedLabel, ...] | None = None
    verdicts: Mapping[str, Sequence[Verdict]] = field(default_factory=dict)


def by_doubt(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return `verdicts` with the least confident first; ties by name."""
    return sorted(verdicts, key=lambda verdict: (verdict.confidence, verdict.name, verdict.id))


def wrong_first(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Yield wrong verdicts, the most confident of them first, then the others by doubt."""
    ordered = by_doubt(verdicts)
    yield from reversed([verdict for verdict in ordered if verdict.correct is False])
    yield from (verdict for verdict in ordered if verdict.correct is not False)
