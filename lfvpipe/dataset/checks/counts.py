"""How many images the service needs and takes, and the smallest sample that is enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS, Share
from lfvpipe.dataset.checks.findings import Finding, error, warning
from lfvpipe.dataset.sampling import sample_size, split_sizes
from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.lookout import rules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from lfvpipe.config.spec import Label, Pipeline
    from lfvpipe.dataset.index import Image
    from lfvpipe.dataset.selection import Split

Available = Mapping[str, LabelCounts]  # of the selection, by label
_WORDS = {
    "normal": ("normal image", "normal images"),
    "anomaly": ("anomaly image", "anomaly images"),
}


def count_findings(
    pipeline: Pipeline, images: Sequence[Image], available: Available
) -> list[Finding]:
    """Return where there are too few or too many images of a kind."""
    counted = Counter((image.split, image.label) for image in images)
    separate = _has_test(pipeline)
    found = shortages(pipeline, counted, available)
    found += _excesses(images)
    if separate and not counted["train", "anomaly"]:
        found.append(
            warning("no-train-anomalies", "No anomaly image in train: the model learns from normal"
                    " images alone, and its threshold is a guess.")
        )  # fmt: skip
    return found


def shortages(
    pipeline: Pipeline,
    counted: Mapping[tuple[Split, Label | None], int],
    available: Available,
    labels: Collection[Label] = LABELS,
) -> list[Finding]:
    """Return where there are fewer images of these labels than the service needs."""
    return [
        _too_few(pipeline, available, split, label, count, least)
        for split, label, least in _minima(_has_test(pipeline))
        if label in labels and (count := counted.get((split, label), 0)) < least
    ]


def type_findings(pipeline: Pipeline, images: Iterable[Image]) -> list[Finding]:
    """Return what is wrong with the numbers of images of each anomaly type."""
    separate = _has_test(pipeline)
    least = (
        rules.MIN_IMAGES_PER_ANOMALY_LABEL
        if separate
        else rules.MIN_IMAGES_PER_ANOMALY_LABEL_SINGLE
    )
    alone: Counter[tuple[str, str]] = Counter()
    types: set[str] = set()
    for image in images:
        if image.mask and image.split in ("train", "test"):
            types |= image.mask.classes.keys()
            if len(image.mask.classes) == 1:
                alone[image.split, next(iter(image.mask.classes))] += 1
    found = []
    if len(types) > rules.MAX_ANOMALY_LABELS:
        most = rules.MAX_ANOMALY_LABELS
        text = f"{len(types)} anomaly types, the service takes at most {most}"
        found.append(error("too-many-types", f"{text}: merge some in the masks."))
    for split in ("train", "test") if separate else ("train",):
        for name in sorted(types):
            if (count := alone[split, name]) < least:
                text = (
                    f"{count} images in {split} show the anomaly type {name!r} alone; the service"
                    f" needs at least {least} to learn it. Add images, or merge types in the masks."
                )
                found.append(error("few-of-type", text))
    return found


def _has_test(pipeline: Pipeline) -> bool:
    manifest = pipeline.sources.manifest
    return manifest.test is not None if manifest else pipeline.split.test is not None


def _minima(separate: bool) -> list[tuple[Split, Label, int]]:
    if not separate:
        return [
            ("train", "normal", rules.MIN_SINGLE_NORMAL),
            ("train", "anomaly", rules.MIN_SINGLE_ANOMALY),
        ]
    return [
        ("train", "normal", rules.MIN_TRAIN_NORMAL),
        ("test", "normal", rules.MIN_TEST_NORMAL),
        ("test", "anomaly", rules.MIN_TEST_ANOMALY),
    ]


def _too_few(
    pipeline: Pipeline, available: Available, split: Split, label: Label, count: int, least: int
) -> Finding:
    had = available.get(label)
    # With those that could not be extracted.
    chosen = 0 if had is None else had.train if split == "train" else had.test
    if count < least <= chosen:
        advice = (
            f"{chosen - count} of the {chosen} chosen ones cannot be read; repair or replace them"
        )
    else:
        advice = _advice(pipeline, available, split, label)
    word = _WORDS[label][count != 1]
    return error(
        "too-few-images",
        f"{count} {word} in {split}, the service needs at least {least}: {advice}.",
    )


def _advice(pipeline: Pipeline, available: Available, split: str, label: Label) -> str:
    if (
        label == "anomaly"
        and label not in pipeline.sources.by_label
        and not pipeline.sources.manifest
    ):
        name_them = "name them as sources.anomaly"
        if pipeline.split.train[label] == Share(percent=0):  # they are for testing already
            return name_them
        return (
            f"{name_them}; to learn from normal images alone, keep them for"
            " testing with split: {anomaly: {train: 0, test: 100}}"
        )
    if pipeline.sources.manifest is not None:
        return f"add labelled images to the {split} manifest"
    more = f"add {_WORDS[label][1]}, or give {split} a larger part of them with split.{split}"
    share = pipeline.sample.shares[label]
    key = "sample" if len(set(pipeline.sample.shares.values())) == 1 else f"sample.{label}"
    if share.count is not None:
        return f"raise {key}.count from {share.count}, or {more}"
    percent = smallest_percent(pipeline, available)
    if percent is None or share.percent is None or percent <= share.percent:
        return more
    return f"raise {key}.percent to {percent} or more, or {more}"


def smallest_percent(pipeline: Pipeline, available: Available) -> int | None:
    """Return the smallest whole percentage that gives every split enough, or None."""
    minima = _minima(_has_test(pipeline))
    for percent in range(1, 101):
        sizes = {label: _sizes(pipeline, available, label, percent) for label in LABELS}
        if all(sizes[label][split == "test"] >= least for split, label, least in minima):
            return percent
    return None


def _sizes(pipeline: Pipeline, available: Available, label: Label, percent: int) -> tuple[int, int]:
    """Return how many images of a label train and test would get from a sample of `percent`."""
    had = available.get(label)
    total, held = (had.available, had.evaluate) if had else (0, 0)
    sampled = sample_size(Share(percent=percent), total, min(held, total))
    test = pipeline.split.test
    return split_sizes(sampled, pipeline.split.train[label], test[label] if test else None)


def _excesses(images: Iterable[Image]) -> list[Finding]:
    counted = Counter(image.split for image in images)
    segmentation = any(image.mask and image.split == "train" for image in images)
    most: dict[Split, int] = (
        {"train": rules.MAX_SEGMENTATION_TRAIN_IMAGES, "test": rules.MAX_SEGMENTATION_TEST_IMAGES}
        if segmentation
        else {"train": rules.MAX_TRAIN_IMAGES, "test": rules.MAX_TEST_IMAGES}
    )
    return [
        error(
            "too-many-images",
            f"{counted[split]:,} images in {split}, the service takes at most {limit:,}: lower"
            " sample.percent.",
        )
        for split, limit in most.items()
        if counted[split] > limit
    ]
