"""The service's limits are just these: what reaches one passes, what is over it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from lfvpipe.config.spec import (
    LABELS,
    ManifestSource,
    Sample,
    Service,
    Share,
    Source,
    Sources,
    Split,
)
from lfvpipe.dataset.checks.counts import smallest_percent
from lfvpipe.dataset.checks.rules import find_problems
from lfvpipe.dataset.index import Image, Mask, MaskNote, Note
from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.detector import tuning
from lfvpipe.lookout import rules
from lfvpipe.lookout.limits import DOCUMENTED, LEAST_ANOMALIES_LEARNT, LIMITS
from tests.specs import whole_pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.config.spec import Label, Pipeline

OPEN = whole_pipeline(Path("folder"))
PIPELINE = replace(OPEN, service=Service(limits="documented"))
ALONE = replace(PIPELINE, split=Split({label: Share(percent=100) for label in LABELS}, None))


def image(number: int, split: Any, label: Label, **fields: Any) -> Image:
    path = f"{label}/{split}/{number}.png"
    known = {"size": 1, "width": 64, "height": 64, "mask": None, **fields}
    return Image(path, label, split, path, label, f"images/{path}", path, sha256="0f", **known)


def note(image: Image, mask: MaskNote | None = None) -> Note:
    return Note(
        id=image.id,
        mode="RGB",
        changes=(),
        pixels=image.id,
        likeness=image.id.encode().hex().rjust(64, "0")[-64:],
        problem="",
        mask=mask,
    )


def enough() -> list[Image]:
    """Return as few images as the service takes, and as few anomalies as are learnt from."""
    numbers = [("train", "normal", rules.MIN_TRAIN_NORMAL), ("test", "normal", 10)]
    found = [image(n, split, label) for split, label, count in numbers for n in range(count)]  # type: ignore[arg-type]
    found += [image(n, "test", "anomaly") for n in range(rules.MIN_TEST_ANOMALY)]
    return found + [image(n, "train", "anomaly") for n in range(LEAST_ANOMALIES_LEARNT)]


def codes(
    images: Sequence[Image],
    *,
    pipeline: Pipeline = PIPELINE,
    masks: MaskNote | None = None,
) -> set[str]:
    notes = {each.id: note(each, masks if each.mask else None) for each in images}
    found = find_problems(pipeline, images, notes, {})
    return {finding.code for finding in found if finding.code != "near-duplicates"}


def test_as_few_images_as_the_service_takes_are_enough() -> None:
    assert codes(enough()) == set()


@pytest.mark.parametrize("label", LABELS)
def test_one_less_in_test_is_too_few(label: Label) -> None:
    fewer = [each for each in enough() if each.id != f"{label}/test/0.png"]
    assert codes(fewer) == {"too-few-images"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"size": rules.MAX_IMAGE_BYTES}, None),
        ({"size": rules.MAX_IMAGE_BYTES + 1}, "too-many-bytes"),
        ({"width": 64, "height": 4096}, None),
        ({"width": 63, "height": 4096}, "too-small"),
        ({"width": 64, "height": 4097}, "too-large"),
    ],
)
def test_an_image_may_be_as_large_and_as_small_as_the_limit(
    fields: dict[str, int], code: str | None
) -> None:
    known: Any = fields
    images = [replace(each, **known) for each in enough()]
    assert codes(images) == ({code} if code else set())


@pytest.mark.parametrize("segmented", [False, True])
def test_as_many_images_as_the_limit_are_taken_and_fewer_with_masks(
    segmented: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = Mask("images/m.png", "m", 1, "0f", {"crack": "#000000", "dent": "#000001"})
    images = [replace(each, mask=mask if segmented else None) for each in enough()]
    noted = MaskNote(width=64, height=64, colours=("#000000",), strangers=(), problem="")

    def limited(train: int, test: int) -> set[str]:
        most = {"max_segmentation_train_images": train, "max_segmentation_test_images": test}
        if not segmented:
            most = {"max_train_images": train, "max_test_images": test}
        limits = {**LIMITS, "documented": replace(DOCUMENTED, **most)}
        monkeypatch.setattr("lfvpipe.dataset.checks.counts.LIMITS", limits)
        return codes(images, masks=noted) & {"too-many-images"}

    assert limited(15, 20) == set()
    assert limited(14, 20) == limited(15, 19) == {"too-many-images"}


@pytest.mark.parametrize(("limits", "code"), [("documented", {"too-many-images"}), ("open", set())])
def test_an_embedded_service_takes_as_many_images_as_there_are(
    limits: Literal["documented", "open"], code: set[str]
) -> None:
    many = [image(n, "train", "normal") for n in range(rules.MAX_TRAIN_IMAGES + 1)]
    pipeline = replace(OPEN, service=Service(limits=limits))
    assert codes([*enough(), *many], pipeline=pipeline) & {"too-many-images"} == code


@pytest.mark.parametrize(("more", "code"), [(0, set()), (1, {"mask-types"})])
def test_a_mask_shows_at_most_so_many_anomaly_types(more: int, code: set[str]) -> None:
    most = rules.MAX_ANOMALY_LABELS_PER_IMAGE + more
    mask = Mask("images/m.png", "m", 1, "0f", {"crack": "#000000", "dent": "#000001"})
    noted = MaskNote(
        width=64,
        height=64,
        colours=tuple(f"#{n:06X}" for n in range(most)),
        strangers=(),
        problem="",
    )
    found = codes([replace(each, mask=mask) for each in enough()], masks=noted)
    assert found & {"mask-types"} == code


@pytest.mark.parametrize(("more", "code"), [(0, set()), (1, {"too-many-types"})])
def test_there_are_at_most_so_many_anomaly_types(more: int, code: set[str]) -> None:
    count = rules.MAX_ANOMALY_LABELS + more
    mask = Mask("images/m.png", "m", 1, "0f", {f"t{n}": f"#{n:06X}" for n in range(count)})
    noted = MaskNote(width=64, height=64, colours=("#000000",), strangers=(), problem="")
    images = [*enough(), image(1, "train", "anomaly", mask=mask)]
    assert codes(images, masks=noted) & {"too-many-types"} == code


def test_only_what_is_learnt_from_needs_a_mask() -> None:
    mask = Mask("images/m.png", "m", 1, "0f", {"crack": "#000000", "dent": "#000001"})
    noted = MaskNote(width=64, height=64, colours=("#000000",), strangers=(), problem="")
    images = [replace(each, mask=mask if each.label == "anomaly" else None) for each in enough()]
    judged = [image(0, "evaluate", "anomaly"), image(0, "unused", "anomaly")]
    assert "no-mask" not in codes([*images, *judged], masks=noted)
    assert "no-mask" in codes([*images, image(5, "test", "anomaly")], masks=noted)


@pytest.mark.parametrize(
    ("normal", "anomaly", "swapped"),
    [
        ("part_defects", "part-ok", True),
        ("part_defects", "part", False),
        ("part", "part-ok", False),
        ("defect-free", "defect", False),
    ],
)
def test_labels_look_swapped_only_where_both_archives_say_so(
    normal: str, anomaly: str, swapped: bool
) -> None:
    archives = {"normal": Source(f"/{normal}.zip"), "anomaly": Source(f"/{anomaly}.zip")}
    pipeline = replace(PIPELINE, sources=Sources(archives))  # type: ignore[arg-type]
    assert codes(enough(), pipeline=pipeline) == ({"labels-swapped"} if swapped else set())


@pytest.mark.parametrize(("available", "percent"), [(1000, 5), (5000, 1), (46, 100), (45, None)])
def test_the_smallest_sample_that_is_enough_is_found(available: int, percent: int | None) -> None:
    counts = LabelCounts(train=0, test=0, evaluate=0, unused=0, available=available)
    assert smallest_percent(PIPELINE, dict.fromkeys(LABELS, counts)) == percent


def test_a_single_dataset_needs_its_own_numbers() -> None:
    images = [image(n, "train", "normal") for n in range(rules.MIN_SINGLE_NORMAL)]
    images += [image(n, "train", "anomaly") for n in range(rules.MIN_SINGLE_ANOMALY)]
    assert codes(images, pipeline=ALONE) == set()
    assert codes(images[1:], pipeline=ALONE) == {"too-few-images"}
    assert codes(images[:-1], pipeline=ALONE) == {"too-few-images"}
    assert codes(images, pipeline=replace(ALONE, sample=Sample(ALONE.sample.shares))) == set()


def of_counts(**counts: int) -> list[Image]:
    """Return images by keywords such as ``train_normal=24``."""
    return [
        image(n, *key.split("_"))  # type: ignore[arg-type]
        for key, count in counts.items()
        for n in range(count)
    ]


def messages(pipeline: Pipeline, **counts: int) -> dict[str, str]:
    images = of_counts(**counts)
    notes = {each.id: note(each) for each in images}
    return {each.code: each.message for each in find_problems(pipeline, images, notes, {})}


WITHOUT_ANOMALIES = replace(
    OPEN, sources=Sources({"normal": OPEN.sources.by_label["normal"]}), split=OPEN.split
)


def test_good_images_alone_are_enough_for_the_embedded_service_which_says_what_is_not_known() -> (
    None
):
    said = messages(WITHOUT_ANOMALIES, train_normal=24, test_normal=6)
    assert said.keys() == {"no-train-anomalies", "no-test-anomaly", "few-test-normal"}
    assert "threshold is a guess" in said["no-train-anomalies"]
    assert "whether defects are found cannot be told" in said["no-test-anomaly"]
    assert "name images of defects as sources.anomaly." in said["no-test-anomaly"]
    assert "6 normal images to test on" in said["few-test-normal"]
    assert "up to 39 % of good products may be" in said["few-test-normal"]


def test_a_few_anomalies_are_tested_on_and_the_report_says_how_little_they_tell() -> None:
    said = messages(OPEN, train_normal=24, test_normal=10, test_anomaly=4)
    assert said.keys() == {"no-train-anomalies", "few-test-anomaly"}
    assert "4 anomaly images to test on" in said["few-test-anomaly"]
    assert "up to 49 % of defects may be missed" in said["few-test-anomaly"]


def test_anomalies_too_few_to_be_learnt_from_do_more_good_in_test() -> None:
    counts = {"train_normal": 24, "test_normal": 10, "test_anomaly": 10}
    less = LEAST_ANOMALIES_LEARNT - 1
    said = messages(OPEN, **counts, train_anomaly=less)
    assert said.keys() == {"few-train-anomalies"}
    assert "With 1 more in train it learns from them" in said["few-train-anomalies"]
    said = messages(OPEN, **{**counts, "test_anomaly": 9}, train_anomaly=less)
    assert "with split: {anomaly: {train: 0, test: 100}}" in said["few-train-anomalies"]
    assert messages(OPEN, **counts, train_anomaly=LEAST_ANOMALIES_LEARNT) == {}
    elsewhere = replace(OPEN, service=Service("https://lookout.example.org", limits="open"))
    assert messages(elsewhere, **counts, train_anomaly=less) == {}


def test_masks_in_test_alone_are_said_not_to_be_learnt_from() -> None:
    mask = Mask("images/m.png", "m", 1, "0f", {"crack": "#000000"})
    noted = MaskNote(width=64, height=64, colours=("#000000",), strangers=(), problem="")
    images = of_counts(train_normal=24, test_normal=10, test_anomaly=10, train_anomaly=5)
    tested = [replace(each, mask=mask if each.split == "test" else None) for each in images]
    assert "no-train-masks" in codes(tested, pipeline=OPEN, masks=noted)
    learnt = [replace(each, mask=mask) for each in images]
    assert "no-train-masks" not in codes(learnt, pipeline=OPEN, masks=noted)


def test_a_single_image_is_too_few_even_then() -> None:
    said = messages(WITHOUT_ANOMALIES, train_normal=1, test_normal=1)
    assert said["too-few-images"].startswith(
        "1 normal image in train, a model needs at least 2: add normal images"
    )


def test_a_test_dataset_without_images_is_refused_with_the_remedy() -> None:
    said = messages(WITHOUT_ANOMALIES, train_normal=24)
    assert said.keys() == {"empty-test"}
    assert "let split be {train: 100}" in said["empty-test"]
    exported = Sources({}, ManifestSource("/train.manifest", "/test.manifest"))
    said = messages(replace(OPEN, sources=exported), train_normal=24)
    assert "leave sources.manifest.test out" in said["empty-test"]


def test_a_single_dataset_says_what_is_left_to_test_on() -> None:
    alone = replace(ALONE, service=Service())
    said = messages(alone, train_normal=30, train_anomaly=6)
    assert said.keys() == {"few-test-anomaly"}
    assert "1 anomaly image to test on" in said["few-test-anomaly"]
    assert "split.test" not in said["few-test-anomaly"]
    assert messages(alone, train_normal=3).keys() == {
        *("no-train-anomalies", "no-test-anomaly", "few-train-normal", "few-test-normal")
    }
    assert "no-test-normal" in messages(alone, train_normal=2)


@pytest.mark.parametrize("anomalies", range(10))
def test_the_documented_minimum_stays_for_whoever_wants_it(anomalies: int) -> None:
    counts = {"train_normal": 20, "test_normal": 10, "test_anomaly": anomalies}
    assert not any(code == "too-few-images" for code in messages(OPEN, **counts))
    said = messages(PIPELINE, **counts)
    assert said["too-few-images"].endswith(
        "; or let service.limits be open, and it trains on what there is."
    )
    elsewhere = replace(OPEN, service=Service("https://lookout.example.org", limits="documented"))
    assert "service.limits" not in messages(elsewhere, **counts)["too-few-images"]


def test_the_number_of_anomalies_that_are_learnt_from_is_the_detector_s() -> None:
    assert LEAST_ANOMALIES_LEARNT == tuning.FEW_ANOMALIES


@pytest.mark.parametrize(
    ("whites", "depth", "said"),
    [
        ((1023, 4095), None, " as 12 bits (white 4095)"),
        ((1,), None, " (white 1)"),
        ((1023,), 14, ""),
    ],
)
def test_the_depth_that_was_guessed_is_told(
    whites: tuple[float, ...], depth: int | None, said: str
) -> None:
    images = enough()
    notes = {
        each.id: replace(note(each), changes=("depth",), white=whites[at % len(whites)], levels=200)
        for at, each in enumerate(images)
    }
    pipeline = replace(PIPELINE, images=replace(PIPELINE.images, depth=depth))
    (found,) = (
        each.message
        for each in find_problems(pipeline, images, notes, {})
        if each.code == "changed-depth"
    )
    _, _, rest = found.partition("reduced to 8")
    assert rest == (f"{said}; if the camera fills more, set images.depth" if said else "")
