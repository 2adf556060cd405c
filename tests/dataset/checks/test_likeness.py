"""Copies are told where they flatter the model or contradict its labels, and nowhere else."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import pytest

from lfvpipe.dataset.checks.likeness import likeness_findings
from lfvpipe.dataset.index import Image, Note

if TYPE_CHECKING:
    from lfvpipe.config.spec import Label
    from lfvpipe.dataset.selection import Split

SPLITS: tuple[Split, ...] = ("train", "test", "evaluate", "unused")
PAIRS = list(combinations_with_replacement(SPLITS, 2))


def image(name: str, split: Split, label: Label | None = "normal") -> Image:
    return Image(name, label, split, name, "normal", f"images/{name}", name, 1, "0f", 64, 64)


def note(name: str, pixels: str, likeness: int = 0) -> Note:
    return Note(
        id=name,
        mode="RGB",
        changes=(),
        pixels=pixels,
        likeness=f"{likeness:064x}",
        problem="",
    )


def codes(*pairs: tuple[Image, Note]) -> list[str]:
    found = likeness_findings([image for image, _ in pairs], {note.id: note for _, note in pairs})
    return [finding.code for finding in found]


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize(
    ("pixels", "code"), [("same", "same-image-two-splits"), ("other", "near-duplicates")]
)
def test_copies_count_between_train_and_what_the_model_is_judged_on_alone(
    first: Split, second: Split, pixels: str, code: str
) -> None:
    here = (image("a", first), note("a", "same"))
    there = (image("b", second), note("b", pixels))
    flatters = (first == "train") != (second == "train")
    expected = [code] if flatters else []
    if first == second and first in ("train", "test") and pixels == "same":
        expected = [f"copies-in-{first}"]  # each is counted
    assert codes(here, there) == expected
    assert codes(there, here) == expected


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize(
    ("pixels", "code"), [("same", "same-image-two-labels"), ("other", "near-duplicates")]
)
def test_copies_of_the_other_label_count_in_any_split(
    first: Split, second: Split, pixels: str, code: str
) -> None:
    here = (image("a", first, "normal"), note("a", "same"))
    there = (image("b", second, "anomaly"), note("b", pixels))
    assert codes(here, there) == [code]


def test_an_image_without_a_label_contradicts_none() -> None:
    here = (image("a", "test", "normal"), note("a", "same"))
    assert codes(here, (image("b", "evaluate", None), note("b", "same"))) == []
    trained = (image("a", "train", "normal"), note("a", "same"))
    assert codes(trained, (image("b", "evaluate", None), note("b", "same"))) == [
        "same-image-two-splits"
    ]


@pytest.mark.parametrize(("differing", "near"), [(0, True), (4, True), (5, False), (9, False)])
def test_near_is_up_to_four_differing_bits_wherever_they_are(differing: int, near: bool) -> None:
    for step in (1, 29, 50):  # beside each other, in a band each, across the hash
        bits = sum(1 << (position * step % 256) for position in range(differing))
        here = (image("a", "train"), note("a", "one"))
        there = (image("b", "test"), note("b", "two", bits))
        assert codes(here, there) == (["near-duplicates"] if near else []), step


def test_a_picture_that_is_there_often_is_told_with_all_its_files() -> None:
    trained = [(image(f"a{n}", "train"), note(f"a{n}", "same")) for n in range(3)]
    tested = [(image(f"b{n}", "test"), note(f"b{n}", "same")) for n in range(3)]
    images = [image for image, _ in (*trained, *tested)]
    notes = {note.id: note for _, note in (*trained, *tested)}
    finding, in_train, in_test = likeness_findings(images, notes)
    assert finding.message.startswith("1 picture, in 6 files, is both in train")
    assert finding.images == ("a0 = a1", "a0 = a2", "a0 = b0", "a0 = b1", "a0 = b2")
    assert in_train.message.startswith("3 images in train show 1 picture")
    assert in_test.message.startswith("3 images in test show 1 picture")
    assert in_test.images == ("b0 = b1", "b0 = b2")


def test_a_band_that_a_crowd_shares_says_nothing() -> None:
    crowd = [(image(f"{n}", "train"), note(f"{n}", f"{n}")) for n in range(64)]
    assert codes(*crowd, (image("t", "test"), note("t", "t"))) == []
    assert codes(*crowd[1:], (image("t", "test"), note("t", "t"))) == ["near-duplicates"]
