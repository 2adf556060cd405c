"""The images that `lfvpipe detect`, or clients of the service, asked about, for a review."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset import kept
from lfvpipe.dataset.globs import is_image_name
from lfvpipe.dataset.index import Image, read_index, read_notes
from lfvpipe.dataset.selection import FILES
from lfvpipe.decision import Decision, score_of
from lfvpipe.errors import UserError
from lfvpipe.report.records import Verdict
from lfvpipe.review.queue import Item, NothingToReview, Queue, normal_of, standing_outcome
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.model.outcome import ModelOutcome
from lfvpipe.visible import visible_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.config.spec import ToPerson
    from lfvpipe.dataset.book import Book
    from lfvpipe.dataset.kept import KeptVerdict
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.images import Prepared
    from lfvpipe.steps.context import Context


class PhotographGone(UserError):
    """A detected image is not where it was, or has become another."""


@dataclass(frozen=True)
class Photographs:
    """Reads detected images, and prepares them as the model's training images were.

    Attributes:
        prepare: Makes of a file's bytes what the model is shown.
    """

    prepare: Callable[[bytes], Prepared]

    def prepared(self, item: Item) -> bytes:
        """Return the image as the model saw it, a PNG or JPEG.

        Raises:
            UserError: It is not there any more, or cannot be used.
        """
        return self.prepare(read(item)).data


def read(item: Item) -> bytes:
    """Return the bytes of a detected image's file.

    Raises:
        PhotographGone: It is not there any more, or is another.
    """
    assert item.file is not None
    try:
        data = item.file.read_bytes()
    except OSError as error:
        raise PhotographGone(f"{item.image.member} is not there any more.") from error
    if kept.digest_of(data) != item.origin:
        raise PhotographGone(f"{item.image.member} is another image than the one that was judged.")
    return data


def build_of_detected(context: Context, ledger: Ledger, variant: str, book: Book) -> Queue:
    """Return the images whose verdicts are kept, the least certain first.

    An image that is among the run's own is that one, with the place and the label that it has.

    Raises:
        NothingToReview: There is no kept verdict, or no run.
    """
    pipeline = context.pipeline
    extract = standing_outcome(context, ledger, variant, ExtractOutcome)
    model = standing_outcome(context, ledger, variant, ModelOutcome)
    store = kept.store_of(context.state_root, pipeline.region, model.project)
    verdicts = store.read()
    if not verdicts:
        raise NothingToReview(
            f"No verdict on a new image of {pipeline.name} is kept.",
            hint=f"Judge some first: `lfvpipe detect {pipeline.file.name} FOLDER`.",
        )
    images = {image.id: image for image in read_index(context.state_dir / extract.index)}
    notes = context.state_dir / extract.notes
    known = {
        note.origin: images[note.id]
        for note in (read_notes(notes) if notes.is_file() else ())
        if note.id in images
    }
    classes: dict[str, str] = {}
    for image in images.values():
        classes |= image.mask.classes if image.mask else {}
    items: list[Item] = []
    asks = _decision(pipeline.evaluate.to_person, EvaluateOutcome.standing(ledger, variant))
    lost = 0
    for each in verdicts:
        file = store.image(each)
        if each.sha256 in known:
            image = known[each.sha256]
            items.append(Item(image, _verdict(each, image, asks), each.sha256, when=each.when))
        elif file.is_file():
            name = _name(each, file, book, pipeline.folder)
            image = _detected(each, name)
            items.append(
                Item(image, _verdict(each, image, asks), each.sha256, file=file, when=each.when)
            )
        else:
            lost += 1
    items.sort(key=lambda item: (-_doubt(item), item.image.id))
    return Queue(
        tuple(items),
        dict(sorted(classes.items())),
        model,
        pipeline.evaluate.review_below,
        of_detected=True,
        lost=lost,
        normal=normal_of(images.values()),
    )


def _doubt(item: Item) -> float:
    """Return how little a verdict is to be relied on; what no training image was like, least."""
    assert item.verdict is not None
    return 1.0 - item.verdict.confidence + (item.verdict.unlikeness is not None)


def _name(verdict: KeptVerdict, file: Path, book: Book, folder: Path) -> str:
    called = PurePosixPath(verdict.name).name
    suffix = PurePosixPath(called).suffix.lower() if is_image_name(called) else _suffix(file)
    return book.name_of_copy(called, verdict.sha256, suffix, folder)


def _suffix(file: Path) -> str:
    with file.open("rb") as stream:
        return ".png" if stream.read(4) == b"\x89PNG" else ".jpg"


def _detected(verdict: KeptVerdict, name: str) -> Image:
    return Image(
        id=f"detected/{verdict.sha256}",
        label=None,
        split="unused",
        member=name,
        source=FILES,
        path="",
        key="",
        size=0,
        sha256=verdict.sha256,
        width=verdict.width,
        height=verdict.height,
    )


def _decision(said: ToPerson | None, judged: EvaluateOutcome | None) -> Decision:
    """Return which scores go to a person, by the pipeline file or what its costs came to."""
    if said is not None:
        return Decision(above=said.above, below=said.below)
    return judged.decision.decision if judged and judged.decision else Decision()


def _verdict(verdict: KeptVerdict, image: Image, asks: Decision) -> Verdict:
    score = score_of(verdict.confidence, is_anomalous=verdict.is_anomalous)
    return Verdict(
        image.id,
        visible_name(verdict.name),
        image.label,
        verdict.is_anomalous,
        verdict.confidence,
        unlikeness=verdict.unlikeness,
        to_person=asks.asks_person(score),
    )
