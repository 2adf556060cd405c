"""The service's limits are just these: what reaches one passes, what is over it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe.config.spec import LABELS, Sample, Share, Source, Sources, Split
from lfvpipe.dataset.checks.counts import smallest_percent
from lfvpipe.dataset.checks.rules import find_problems
from lfvpipe.dataset.index import Image, Mask, MaskNote, Note
from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.lookout import rules
from tests.specs import whole_pipeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.config.spec import Label, Pipeline

PIPELINE = whole_pipeline(Path("folder"))
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
    """Return as few images as the service takes, and an anomaly to train on."""
    numbers = [("train", "normal", rules.MIN_TRAIN_NORMAL), ("test", "normal", 10)]
    found = [image(n, split, label) for split, label, count in numbers for n in range(count)]  # type: ignore[arg-type]
    found += [image(n, "test", "anomaly") for n in range(rules.MIN_TEST_ANOMALY)]
    return [*found, image(0, "train", "anomaly")]


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


@pytest.mark.parametrize(
    ("most", "segmented"),
    [
        (("MAX_TRAIN_IMAGES", "MAX_TEST_IMAGES"), False),
        (("MAX_SEGMENTATION_TRAIN_IMAGES", "MAX_SEGMENTATION_TEST_IMAGES"), True),
    ],
)
def test_as_many_images_as_the_limit_are_taken_and_fewer_with_masks(
    most: tuple[str, str], segmented: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = Mask("images/m.png", "m", 1, "0f", {"crack": "#000000", "dent": "#000001"})
    images = [replace(each, mask=mask if segmented else None) for each in enough()]
    noted = MaskNote(width=64, height=64, colours=("#000000",), strangers=(), problem="")
    at_most = {"train": 11, "test": 20}
    for name, limit in zip(most, at_most.values(), strict=True):
        monkeypatch.setattr(rules, name, limit)
    assert "too-many-images" not in codes(images, masks=noted)
    for name, limit in zip(most, at_most.values(), strict=True):
        monkeypatch.setattr(rules, name, limit - 1)
        assert "too-many-images" in codes(images, masks=noted)
        monkeypatch.setattr(rules, name, limit)


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
