"""Which images a model is trained and tested on, and whether they suffice."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lfvpipe.errors import UserError
from lfvpipe.manifest import Entry, service_entry
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import find
from lfvpipe.service.state.rows import Content, Model

TEST_SHARE = 0.2  # of a single dataset; the guide keeps the real share to itself


class TrainingError(UserError):
    """A training that cannot succeed as things are; the message is the StatusMessage."""


@dataclass(frozen=True)
class Case:
    """A labelled entry and its JSON line."""

    entry: Entry
    line: str

    @property
    def anomalous(self) -> bool:
        """Whether the image is anomalous."""
        return self.entry.label == "anomaly"


@dataclass(frozen=True)
class Chosen:
    """The images of one training; `segmentation` when the training images have masks."""

    train: Sequence[Case]
    test: Sequence[Case]
    segmentation: bool


def choose(runtime: Runtime, model: Model) -> Chosen:
    """Return the images to train and to test on.

    Raises:
        TrainingError: A dataset failed, or the images do not suffice.
    """
    train = _cases(runtime, model.train_content, "training")
    if model.test_content is None:
        _require(train, "the dataset", *_single_minima(runtime.quotas))
        _require_types({"the dataset": train}, runtime.quotas.min_images_per_label_single)
        train, test = split(train)
    else:
        test = _cases(runtime, model.test_content or 0, "test")
        minima = runtime.quotas
        _require(train, "the training dataset", minima.min_train_normal, minima.min_train_anomaly)
        _require(test, "the test dataset", minima.min_test_normal, minima.min_test_anomaly)
        datasets = {"the training dataset": train, "the test dataset": test}
        _require_types(datasets, minima.min_images_per_label)
    segmentation = any(case.entry.mask for case in train)
    _require_not_too_many(train, test, runtime.quotas, segmentation=segmentation)
    return Chosen(train, test, segmentation)


def _single_minima(quotas: Quotas) -> tuple[int, int]:
    return quotas.min_single_normal, quotas.min_single_anomaly


def usable(runtime: Runtime, identity: int | None) -> Content | None:
    """Return the content, or the one it was to update when the update failed."""
    with runtime.database.read() as tx:
        content = None if identity is None else find.content(tx, identity)
        if content is not None and content.state == "failed" and content.base is not None:
            return find.content(tx, content.base)
        return content


def _cases(runtime: Runtime, identity: int, name: str) -> list[Case]:
    content = usable(runtime, identity)
    if content is None or content.state != "ready":
        why = "" if content is None else content.message
        raise TrainingError(f"The {name} dataset could not be created. {why}".strip())
    longest = runtime.quotas.max_manifest_line
    query = "SELECT line FROM entries WHERE content = ? AND label IS NOT NULL ORDER BY seq"
    with runtime.database.read() as tx:
        lines = [str(row["line"]) for row in tx.each(query, content.id)]
    return [Case(service_entry(line, longest=longest), line) for line in lines]


def split(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """Divide a single dataset by label, always the same way: ranked by a hash of the address."""
    test: set[str] = set()
    for anomalous in (False, True):
        group = [case.entry.source for case in cases if case.anomalous is anomalous]
        ranked = sorted(group, key=lambda source: hashlib.sha256(source.encode()).digest())
        test.update(ranked[: round(len(ranked) * TEST_SHARE)])
    kept = [case for case in cases if case.entry.source not in test]
    return kept, [case for case in cases if case.entry.source in test]


def _require(cases: Sequence[Case], name: str, normal: int, anomaly: int) -> None:
    anomalies = sum(case.anomalous for case in cases)
    found = {"normal": len(cases) - anomalies, "anomaly": anomalies}
    for label, least in {"normal": normal, "anomaly": anomaly}.items():
        if found[label] < least:
            raise TrainingError(
                f"Too few images: {name} has {found[label]} labelled {label}, training needs at"
                f" least {least}. Add images or labels, and create another model."
            )


def _require_types(datasets: Mapping[str, Sequence[Case]], least: int) -> None:
    """Refuse an anomaly type that too few images show alone; others do not count, says the guide.

    Whether a project has types is for the training dataset to say, which comes first.
    """
    if not any(case.entry.mask for case in next(iter(datasets.values()))):
        return
    types = {name for cases in datasets.values() for c in cases for name in c.entry.mask_classes}
    for dataset, cases in datasets.items():
        alone = Counter(next(iter(c.entry.mask_classes)) for c in cases if _is_alone(c))
        for name in sorted(types):
            if alone[name] < least:
                raise TrainingError(
                    f"Too few images of the anomaly type {name}: {dataset} has {alone[name]} that"
                    f" show it and no other type, training needs at least {least}. Add images, or"
                    " give it the name of another type, and create another model."
                )


def _is_alone(case: Case) -> bool:
    return len(case.entry.mask_classes) == 1


def _require_not_too_many(
    train: Sequence[Case], test: Sequence[Case], quotas: Quotas, *, segmentation: bool
) -> None:
    most_train = quotas.max_segmentation_train_images if segmentation else quotas.max_train_images
    most_test = quotas.max_segmentation_test_images if segmentation else quotas.max_test_images
    for cases, most, name in ((train, most_train, "training"), (test, most_test, "testing")):
        if len(cases) > most:
            raise TrainingError(
                f"Too many images: {len(cases)} for {name}, at most {most}. Remove some lines from"
                " the manifest, and create another model."
            )
    types = {name for case in (*train, *test) for name in case.entry.mask_classes}
    if len(types) > quotas.max_anomaly_labels:
        raise TrainingError(
            f"Too many anomaly types: {len(types)}, at most {quotas.max_anomaly_labels}. Give some"
            " of them the same name, and create another model."
        )
    most_types = quotas.max_anomaly_labels_per_image
    for case in (*train, *test):
        if len(case.entry.mask_classes) > most_types:
            raise TrainingError(
                f"The mask of {case.entry.source} has {len(case.entry.mask_classes)} anomaly types,"
                f" at most {most_types} are allowed in one image."
            )
