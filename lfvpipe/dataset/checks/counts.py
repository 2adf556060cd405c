"""How many images the service needs and takes, and the smallest sample that is enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS, Service, Share
from lfvpipe.dataset.checks.findings import Finding, error, warning
from lfvpipe.dataset.sampling import sample_size, split_sizes
from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.engine.phrases import doing
from lfvpipe.lookout import rules
from lfvpipe.lookout.limits import (
    DOCUMENTED,
    LEAST_ANOMALIES_LEARNT,
    LIMITS,
    Limits,
    single_test_size,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from lfvpipe.config.spec import Label, Pipeline
    from lfvpipe.dataset.index import Image
    from lfvpipe.dataset.selection import Split

Available = Mapping[str, LabelCounts]  # of the selection, by label
MOST_TO_ADD = 1000  # images of defects; to ask for more is no advice
Z95 = 1.959963984540054  # the normal quantile of a two-sided 95 % interval (Wilson's, 1927)
_WORDS = {
    "normal": ("normal image", "normal images"),
    "anomaly": ("anomaly image", "anomaly images"),
}


def count_findings(
    pipeline: Pipeline, images: Sequence[Image], available: Available
) -> list[Finding]:
    """Return where there are too few or too many images of a kind."""
    counted = Counter((image.split, image.label) for image in images)
    return [*shortages(pipeline, counted, available), *_excesses(pipeline, images)]


def unknown_findings(
    pipeline: Pipeline, images: Sequence[Image], available: Available
) -> list[Finding]:
    """Return what nobody will know of a model of these images; nothing where they are too few."""
    counted = Counter((image.split, image.label) for image in images)
    found = unknowns(pipeline, counted, available)
    if shortages(pipeline, counted, available):
        return []
    masked = {image.split for image in images if image.mask}
    if "test" in masked and "train" not in masked:
        text = (
            "Masks are in test alone: where defects are is not learnt, and verdicts do not say it"
        )
        advice = "To learn it, give train a part of the anomaly images"
        found.append(warning("no-train-masks", f"{text}. {advice}."))
    return found


def unknowns(
    pipeline: Pipeline, counted: Mapping[tuple[Split, Label | None], int], available: Available
) -> list[Finding]:
    """Return what nobody will know of a model of so many images in each split, of each label."""
    if shortages(pipeline, counted, available):
        return []
    return list(_unknowns(pipeline, counted, available))


def _unknowns(
    pipeline: Pipeline, counted: Mapping[tuple[Split, Label | None], int], available: Available
) -> Iterator[Finding]:
    learnt, to_test = _train_and_test(pipeline, counted)
    if _has_test(pipeline) and not any(to_test.values()):
        remedy = "let split be {train: 100}"
        if pipeline.sources.manifest:
            remedy = "leave sources.manifest.test out"
        text = "No labelled image in test, and a test dataset cannot be empty"
        what = "and the service divides the images itself"
        yield error("empty-test", f"{text}: add some, or {remedy}, {what}.")
        return
    if not learnt["anomaly"]:
        text = "No anomaly image in train: the model learns from normal images alone"
        yield warning("no-train-anomalies", f"{text}, and its threshold is a guess.")
    elif is_built_in(pipeline) and learnt["anomaly"] < LEAST_ANOMALIES_LEARNT:
        lacking = LEAST_ANOMALIES_LEARNT - learnt["anomaly"]
        advice = f"With {lacking} more in train it learns from them"
        if more := _defects_to_add(pipeline, available):
            total = available["anomaly"].available + more
            advice = (
                f"With {more} more anomaly images, {total} in all, the shares of split give train"
                f" {LEAST_ANOMALIES_LEARNT}, and it learns from them; or give train a larger part"
                " with split.anomaly"
            )
        if to_test["anomaly"] < rules.MIN_TEST_ANOMALY:
            advice = (
                "Those few do more good in test, such as with split: {anomaly: {train: 0,"
                " test: 100}}"
            )
        yield warning(
            "few-train-anomalies",
            f"{_quantity(learnt['anomaly'], 'anomaly')} in train, and labels are learnt from"
            f" {LEAST_ANOMALIES_LEARNT} on: the model learns from normal images alone, and its"
            f" threshold is a guess. {advice}.",
        )
    scarce = {(split, label) for split, label, _ in _scarce(DOCUMENTED, pipeline, counted)}
    if ("train", "normal") in scarce:
        yield warning(
            "few-train-normal",
            f"{_quantity(learnt['normal'], 'normal')} to learn from: the threshold is uncertain,"
            f" and defects may be missed. {rules.MIN_SINGLE_NORMAL} or more make a better model.",
        )
    for label in ("anomaly", "normal"):
        if (("test" if _has_test(pipeline) else "train"), label) in scarce:
            advice = _advice(pipeline, available, "test", label)
            yield _about_test(label, to_test[label], advice)


def _defects_to_add(pipeline: Pipeline, available: Available) -> int | None:
    """Return how many more images of defects make the shares give train enough to learn from.

    None where no shares divide them, or none so many do.
    """
    had = available.get("anomaly")
    if had is None or pipeline.sources.manifest or pipeline.split.own:
        return None
    train, test = pipeline.split.train["anomaly"], pipeline.split.test
    for more in range(1, MOST_TO_ADD + 1):
        total = had.available + more
        sampled = sample_size(pipeline.sample.shares["anomaly"], total, had.evaluate)
        learnt, _ = split_sizes(sampled, train, test["anomaly"] if test else None)
        if test is None:
            learnt -= single_test_size(learnt, anomalous=True)
        if learnt >= LEAST_ANOMALIES_LEARNT:
            return more
    return None


def _about_test(label: Label, count: int, advice: str) -> Finding:
    """Return what cannot be told from so few test images of a label, by Wilson's interval."""
    most = 100 * Z95**2 / (count + Z95**2)  # where none of `count` was judged wrong
    if label == "anomaly":
        nothing = "whether defects are found cannot be told (no recall, precision or F1)"
        little = f"even if all are found, up to {most:.0f} % of defects may be missed"
    else:
        nothing = "how many false alarms there will be cannot be told"
        little = f"even if none is called anomalous, up to {most:.0f} % of good products may be"
    if not count:
        text = f"No {_WORDS[label][0]} to test on: {nothing}. To know, {advice}."
        return warning(f"no-test-{label}", text)
    text = f"{_quantity(count, label)} to test on: {little} (95 % confidence)"
    return warning(f"few-test-{label}", f"{text}. To know more, {advice}.")


def is_built_in(pipeline: Pipeline) -> bool:
    """Tell whether it is our own detector that a pipeline's models come of."""
    service = pipeline.service
    return (service.endpoint, service.detector) == ("embedded", Service.detector)


def _train_and_test(
    pipeline: Pipeline, counted: Mapping[tuple[Split, Label | None], int]
) -> tuple[dict[Label, int], dict[Label, int]]:
    """Return how many images of each label are learnt from and tested on, as far as is known.

    A single dataset is divided by the service; by ours, since no other takes as few images.
    """
    train = {label: counted.get(("train", label), 0) for label in LABELS}
    if _has_test(pipeline):
        return train, {label: counted.get(("test", label), 0) for label in LABELS}
    test = {
        label: single_test_size(count, anomalous=label == "anomaly")
        for label, count in train.items()
    }
    return {label: count - test[label] for label, count in train.items()}, test


def _quantity(count: int, label: Label) -> str:
    return f"{count} {_WORDS[label][count != 1]}"


def shortages(
    pipeline: Pipeline,
    counted: Mapping[tuple[Split, Label | None], int],
    available: Available,
    labels: Collection[Label] = LABELS,
) -> list[Finding]:
    """Return where there are fewer images of these labels than the service needs."""
    return [
        _too_few(pipeline, available, split, label, counted.get((split, label), 0), least)
        for split, label, least in _scarce(LIMITS[pipeline.service.limits], pipeline, counted)
        if label in labels
    ]


def _scarce(
    limits: Limits, pipeline: Pipeline, counted: Mapping[tuple[Split, Label | None], int]
) -> list[tuple[Split, Label, int]]:
    """Return of which label, where, there are fewer images than `limits` say, and what they say."""
    return [
        (split, label, least)
        for split, label, least in _minima(limits, separate=_has_test(pipeline))
        if counted.get((split, label), 0) < least
    ]


def type_findings(pipeline: Pipeline, images: Iterable[Image]) -> list[Finding]:
    """Return what is wrong with the numbers of images of each anomaly type."""
    separate = _has_test(pipeline)
    limits = LIMITS[pipeline.service.limits]
    least = limits.min_images_per_label if separate else limits.min_images_per_label_single
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
                    f"{doing(count, 'image', 'show')} the anomaly type {name!r} alone in {split};"
                    f" the service needs at least {least} to learn it. Add images, or merge types"
                    " in the masks."
                )
                found.append(error("few-of-type", text))
    return found


def _has_test(pipeline: Pipeline) -> bool:
    manifest = pipeline.sources.manifest
    return manifest.test is not None if manifest else pipeline.split.test is not None


def _minima(limits: Limits, *, separate: bool) -> list[tuple[Split, Label, int]]:
    if not separate:
        return [
            ("train", "normal", limits.min_single_normal),
            ("train", "anomaly", limits.min_single_anomaly),
        ]
    return [
        ("train", "normal", limits.min_train_normal),
        ("test", "normal", limits.min_test_normal),
        ("test", "anomaly", limits.min_test_anomaly),
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
    service = pipeline.service
    who = "the service needs"
    if service.limits == "open":
        who = "a model needs"
    elif service.endpoint == "embedded":
        advice += "; or let service.limits be open, and it trains on what there is"
    return error(
        "too-few-images",
        f"{_quantity(count, label)} in {split}, {who} at least {least}: {advice}.",
    )


def _advice(pipeline: Pipeline, available: Available, split: str, label: Label) -> str:
    if (
        label == "anomaly"
        and label not in pipeline.sources.by_label
        and not (pipeline.sources.manifest or pipeline.sources.listed)
    ):
        return "name images of defects as sources.anomaly"
    if pipeline.sources.manifest is not None:
        return f"add labelled images to the {split} manifest"
    more = f"add {_WORDS[label][1]}"
    if pipeline.split.own:
        return more
    if _has_test(pipeline):
        more += f", or give {split} a larger part of them with split.{split}"
    share = pipeline.sample.shares[label]
    key = "sample" if len(set(pipeline.sample.shares.values())) == 1 else f"sample.{label}"
    if share.count is not None:
        return f"raise {key}.count from {share.count}, or {more}"
    percent = smallest_percent(pipeline, available)
    if percent is None or share.percent is None or percent <= share.percent:
        return more
    return f"raise {key}.percent to {percent} or more, or {more}"


def smallest_percent(pipeline: Pipeline, available: Available) -> int | None:
    """Return the smallest whole percentage that gives every split enough, or None.

    Enough is what is documented; where all images are fewer, what the service does with.
    """
    for limits in (DOCUMENTED, LIMITS[pipeline.service.limits]):
        minima = _minima(limits, separate=_has_test(pipeline))
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


def _excesses(pipeline: Pipeline, images: Iterable[Image]) -> list[Finding]:
    limits = LIMITS[pipeline.service.limits]
    counted = Counter(image.split for image in images)
    segmentation = any(image.mask and image.split == "train" for image in images)
    most: dict[Split, int | None] = (
        {"train": limits.max_segmentation_train_images, "test": limits.max_segmentation_test_images}
        if segmentation
        else {"train": limits.max_train_images, "test": limits.max_test_images}
    )
    embedded = pipeline.service.endpoint == "embedded"
    more = ", or let service.limits be open, and it takes as many as there are" if embedded else ""
    return [
        error(
            "too-many-images",
            f"{counted[split]:,} images in {split}, the service takes at most {limit:,}: lower"
            f" sample.percent{more}.",
        )
        for split, limit in most.items()
        if limit is not None and counted[split] > limit
    ]
