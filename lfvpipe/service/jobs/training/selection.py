"""Which images a model is trained and tested on, and whether they suffice."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from lfvpipe.errors import UserError
from lfvpipe.lookout.limits import single_test_size
from lfvpipe.manifest import Entry, service_entry
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.shortages import Masks, shortages, two_colours, type_shortages
from lfvpipe.service.state import contents, entries
from lfvpipe.service.state.contents import Content, ContentState, Counts
from lfvpipe.service.state.models import Model


class TrainingError(UserError):
    """A training that cannot succeed as things are; the message is the StatusMessage."""


@dataclass(frozen=True)
class LabelledImage:
    """A labelled entry and its JSON line.

    Attributes:
        types: The anomaly types that its mask shows, with their colours: what is in it, where the
            entry's colour map says what may be.
    """

    entry: Entry
    line: str
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_anomalous(self) -> bool:
        """Whether the image is anomalous."""
        return self.entry.label == "anomaly"


@dataclass(frozen=True)
class Selection:
    """The images of one training; `segmentation` when masks of training images show something."""

    train: Sequence[LabelledImage]
    test: Sequence[LabelledImage]
    segmentation: bool


ReadMasks = Callable[[Sequence[LabelledImage]], list[LabelledImage]]


def select(runtime: Runtime, model: Model, read_masks: ReadMasks) -> Selection:
    """Return the images to train and to test on.

    Args:
        runtime: The state.
        model: Its row.
        read_masks: Returns images with the types that their masks show.

    Raises:
        TrainingError: A dataset failed, or the images do not suffice.
    """
    quotas = runtime.quotas
    train = _labelled_images(runtime, model.train_content, "training")
    if model.test_content is None:
        _require_enough(quotas, train, None)
        train = read_masks(train)
        _require_types(quotas, train, None)
        train, test = split(train)
    else:
        test = _labelled_images(runtime, model.test_content, "test")
        _require_enough(quotas, train, test)
        train, test = read_masks(train), read_masks(test)
        _require_types(quotas, train, test)
    segmentation = any(image.types for image in train)
    _require_not_too_many(train, test, quotas, segmentation=segmentation)
    return Selection(train, test, segmentation)


def usable_content(runtime: Runtime, identity: int | None) -> Content | None:
    """Return the content, or the one it was to update when the update failed."""
    with runtime.database.read() as tx:
        content = None if identity is None else contents.find(tx, identity)
        if content is None or content.state is not ContentState.FAILED or content.base is None:
            return content
        return contents.find(tx, content.base)


def _labelled_images(runtime: Runtime, identity: int, name: str) -> list[LabelledImage]:
    content = usable_content(runtime, identity)
    if content is None or content.state is not ContentState.READY:
        why = "" if content is None else content.message
        raise TrainingError(f"The {name} dataset could not be created. {why}".strip())
    longest = runtime.quotas.max_manifest_line
    with runtime.database.read() as tx:
        lines = list(entries.labelled_lines(tx, content.id))
    return [LabelledImage(service_entry(line, longest=longest), line) for line in lines]


def split(images: Sequence[LabelledImage]) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Divide a single dataset by label, always the same way: ranked by a hash of the address."""
    test: set[str] = set()
    for anomalous in (False, True):
        group = [image.entry.source for image in images if image.is_anomalous is anomalous]
        ranked = sorted(group, key=lambda source: hashlib.sha256(source.encode()).digest())
        test.update(ranked[: single_test_size(len(ranked), anomalous=anomalous)])
    kept = [image for image in images if image.entry.source not in test]
    return kept, [image for image in images if image.entry.source in test]


def _require_enough(
    quotas: Quotas, train: Sequence[LabelledImage], test: Sequence[LabelledImage] | None
) -> None:
    counts = None if test is None else _counts(test)
    lacking = next(shortages(quotas, _counts(train), counts), None)
    if lacking is not None:
        raise TrainingError(
            f"Too few images: {lacking.dataset} has {lacking.found} labelled {lacking.label},"
            f" training needs at least {lacking.least}. Add images or labels, and create another"
            " model."
        )


def _counts(images: Sequence[LabelledImage]) -> Counts:
    anomalies = sum(image.is_anomalous for image in images)
    return Counts(len(images), len(images) - anomalies, anomalies)


def _require_types(
    quotas: Quotas, train: Sequence[LabelledImage], test: Sequence[LabelledImage] | None
) -> None:
    ours = _masks("the dataset" if test is None else "the training dataset", "train", train)
    theirs = None if test is None else _masks("the test dataset", "test", test)
    few = next(type_shortages(quotas, ours, theirs), None)
    if few is not None:
        raise TrainingError(
            f"Too few images of the anomaly type {few.name}: {few.dataset} has {few.found} that"
            f" show it and no other type, training needs at least {few.least}. Add images, or"
            " give it the name of another type, and create another model."
        )
    differing = next(two_colours(ours, theirs), None) if any(ours.shown) else None
    if differing is not None:
        raise TrainingError(
            f"The anomaly type {differing.name} has two colours, {differing.one} and"
            f" {differing.other}. Give each type one colour in all masks, and create another model."
        )


def _masks(dataset: str, kind: str, images: Sequence[LabelledImage]) -> Masks:
    return Masks(dataset, kind, [image.types for image in images])


def _require_not_too_many(
    train: Sequence[LabelledImage],
    test: Sequence[LabelledImage],
    quotas: Quotas,
    *,
    segmentation: bool,
) -> None:
    most_train = quotas.max_segmentation_train_images if segmentation else quotas.max_train_images
    most_test = quotas.max_segmentation_test_images if segmentation else quotas.max_test_images
    for images, most, name in ((train, most_train, "training"), (test, most_test, "testing")):
        if most is not None and len(images) > most:
            raise TrainingError(
                f"Too many images: {len(images)} for {name}, at most {most}. Remove some lines from"
                " the manifest, and create another model."
            )
    types = {name for image in (*train, *test) for name in image.types}
    if len(types) > quotas.max_anomaly_labels:
        raise TrainingError(
            f"Too many anomaly types: {len(types)}, at most {quotas.max_anomaly_labels}. Give some"
            " of them the same name, and create another model."
        )
    most_types = quotas.max_anomaly_labels_per_image
    for image in (*train, *test):
        count = len(image.types)
        if count > most_types:
            raise TrainingError(
                f"The mask of {image.entry.source} has {count} anomaly types, at most {most_types}"
                " are allowed in one image."
            )
