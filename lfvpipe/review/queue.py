"""Which images a person should look at, in which order, with what the model said of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING, TypeVar

from lfvpipe.dataset.checks.likeness import alike_of_other_label
from lfvpipe.dataset.index import read_index, read_notes
from lfvpipe.engine.facts import StepOutcome
from lfvpipe.errors import UserError
from lfvpipe.report.suspects import LEAST, by_contradiction, contradicted
from lfvpipe.report.verdict_file import read_verdicts
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.dataset.labels import Key
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.report.records import Verdict
    from lfvpipe.steps.context import Context


T = TypeVar("T", bound=StepOutcome)
REFERENCES = 50  # normal images to look at beside others: as many as a person leafs through
TENTH = 0.1  # of the training images: where 5 % of the labels were swapped, it had all of these


class NothingToReview(UserError):
    """The pipeline has no verdicts yet."""

    exit_code = 3


@dataclass(frozen=True)
class Item:
    """One image to look at.

    Attributes:
        image: Its line of the index.
        verdict: What the latest model said; None where it was not asked.
        origin: SHA-256 of the image's file as it lies in its source.
        alike: Images that look nearly the same and have the other label: their names and labels.
        file: The photograph, where it is one that was detected and is in no index.
        when: When it was detected; "" where it was not.
    """

    image: Image
    verdict: Verdict | None
    origin: str
    alike: tuple[tuple[str, str], ...] = ()
    file: Path | None = None
    when: str = ""

    @property
    def name(self) -> str:
        """What people call the image."""
        return self.verdict.name if self.verdict and self.file else self.image.member

    @property
    def key(self) -> Key:
        """What the labels file calls the image."""
        return self.image.source, self.image.member

    @property
    def doubt(self) -> float:
        """How little the model believes the image's label, or its own verdict: 0 to 1.

        A mistake that the model is sure of doubts the label the most; where no label is known,
        an even verdict does.
        """
        if self.verdict is None:
            return 0.0
        sure = self.verdict.confidence
        return sure if self.is_wrong else 1.0 - sure

    def is_doubtful(self, below: float) -> bool:
        """Tell whether the verdict says little: unsure, or of an image unlike those learnt from.

        So does one that is no more than a proposal to a person.
        """
        if self.verdict is None:
            return False
        is_unlike = self.verdict.unlikeness is not None
        return self.verdict.confidence < below or is_unlike or self.verdict.to_person

    @property
    def is_wrong(self) -> bool:
        """Whether the verdict contradicts the label; one that a person is to give does not."""
        if self.verdict is None or self.image.label is None or self.verdict.to_person:
            return False
        return self.verdict.is_anomalous != (self.image.label == "anomaly")


@dataclass(frozen=True)
class Queue:
    """What there is to review.

    Attributes:
        items: Largest doubt first.
        classes: Mask colours (``#RRGGBB``) by anomaly type; empty without masks.
        model: The model that the run asked.
        review_below: Verdicts with less confidence are doubtful.
        of_training: Whether these are training images, and the verdicts those of models that had
            not learnt from them.
        of_detected: Whether these are images that `lfvpipe detect`, or clients of the service,
            asked about.
        lost: How many of those are not there any more.
        normal: Training images that are normal, to look at beside others.
    """

    items: tuple[Item, ...]
    classes: Mapping[str, str]
    model: ModelOutcome
    review_below: float
    of_training: bool = False
    of_detected: bool = False
    lost: int = 0
    normal: tuple[Image, ...] = ()


def build(context: Context, ledger: Ledger, variant: str, *, everything: bool = False) -> Queue:
    """Return the doubtful and the wrong images of the latest run, or all images.

    Raises:
        NothingToReview: The pipeline has not been run to its verdicts yet.
    """
    extract = standing_outcome(context, ledger, variant, ExtractOutcome)
    evaluate = standing_outcome(context, ledger, variant, EvaluateOutcome)
    below = context.pipeline.evaluate.review_below
    verdicts = {
        verdict.id: verdict
        for file in (evaluate.test, evaluate.verdicts)
        for verdict in read_verdicts(context.state_dir / file.path)
    }
    classes: dict[str, str] = {}
    chosen: dict[str, Image] = {}
    normal: dict[str, Image] = {}
    for image in read_index(context.state_dir / extract.index):
        if is_reference(image) and len(normal) < REFERENCES:
            normal[image.id] = image
        classes |= image.mask.classes if image.mask else {}
        verdict = verdicts.get(image.id)
        if everything or (verdict and _is_open(image, verdict, below)):
            chosen[image.id] = image
    origins = _origins(context.state_dir / extract.notes, chosen)
    items = [
        Item(image, verdicts.get(name), origins.get(name) or image.sha256)
        for name, image in chosen.items()
    ]
    items.sort(key=lambda item: (-item.doubt, item.verdict is None, item.image.id))
    model = standing_outcome(context, ledger, variant, ModelOutcome)
    return Queue(
        tuple(items), dict(sorted(classes.items())), model, below, normal=tuple(normal.values())
    )


def build_of_training(
    context: Context, ledger: Ledger, variant: str, *, everything: bool = False
) -> Queue:
    """Return the training images whose labels are contradicted, at least a tenth, or all.

    Those whose labels are doubted come first, then the others by contradiction.

    What looks nearly the same as one of them under the other label stands after it.

    Raises:
        NothingToReview: The pipeline has not been run to its verdicts yet, or nobody could say.
    """
    extract = standing_outcome(context, ledger, variant, ExtractOutcome)
    evaluate = standing_outcome(context, ledger, variant, EvaluateOutcome)
    told: list[Verdict] = []
    if evaluate.training is not None:
        told = list(read_verdicts(context.state_dir / evaluate.training.path))
    doubted = contradicted(told)
    if doubted is None:
        raise NothingToReview(
            "Nobody could say which labels of the training images are worth a second look.",
            hint=f"That takes {LEAST} training images of each label, and a model that this version"
            f" trained: `lfvpipe run {context.pipeline.file} --force model` trains again.",
        )
    images = {image.id: image for image in read_index(context.state_dir / extract.index)}
    file = context.state_dir / extract.notes
    notes = {note.id: note for note in read_notes(file)} if file.is_file() else {}
    alike = alike_of_other_label(list(images.values()), notes)
    verdicts = {each.id: each for each in told}
    shown: dict[str, None] = {}  # in order, each once
    most = len(told) if everything else max(len(doubted), ceil(TENTH * len(told)))
    for each in [*doubted, *(row for row in by_contradiction(told) if row not in doubted)][:most]:
        shown |= dict.fromkeys([each.id, *(other.id for other in alike.get(each.id, ()))])
    items = [
        Item(
            images[name],
            verdicts.get(name),
            (notes[name].origin if name in notes else "") or images[name].sha256,
            tuple((other.member, other.label or "") for other in alike.get(name, ())),
        )
        for name in shown
        if name in images
    ]
    classes: dict[str, str] = {}
    for image in images.values():
        classes |= image.mask.classes if image.mask else {}
    model = standing_outcome(context, ledger, variant, ModelOutcome)
    below = context.pipeline.evaluate.review_below
    return Queue(
        tuple(items),
        dict(sorted(classes.items())),
        model,
        below,
        of_training=True,
        normal=normal_of(images.values()),
    )


def index_of(context: Context, ledger: Ledger, variant: str) -> Path:
    """Return the index of the latest run; raises NothingToReview if there is none."""
    return context.state_dir / standing_outcome(context, ledger, variant, ExtractOutcome).index


def is_reference(image: Image) -> bool:
    """Tell whether an image shows what a good one looks like."""
    return image.split == "train" and image.label == "normal"


def normal_of(images: Iterable[Image]) -> tuple[Image, ...]:
    """Return training images that are normal, a few of maybe many."""
    return tuple(islice(filter(is_reference, images), REFERENCES))


def _is_open(image: Image, verdict: Verdict, below: float) -> bool:
    wrong = image.label is not None and verdict.is_anomalous != (image.label == "anomaly")
    return wrong or verdict.confidence < below or verdict.to_person


def standing_outcome(context: Context, ledger: Ledger, variant: str, kind: type[T]) -> T:
    """Return a step's outcome at which a variant stands; raises NothingToReview without one."""
    outcome = kind.standing(ledger, variant)
    if outcome is None:
        pipeline = context.pipeline
        name = pipeline.name if variant == "default" else f"{pipeline.name} [{variant}]"
        hint = f"Run it first: `lfvpipe run {pipeline.file}`."
        raise NothingToReview(f"{name} has no verdicts to review yet.", hint=hint)
    return outcome


def _origins(notes: Path, chosen: Iterable[str]) -> dict[str, str]:
    wanted = frozenset(chosen)
    known = read_notes(notes) if notes.is_file() else ()
    return {note.id: note.origin for note in known if note.id in wanted}
