"""Globs and the pairing of masks, by name."""

from __future__ import annotations

import pytest

from lfvpipe.dataset.globs import matcher
from lfvpipe.dataset.pairing import MaskIndex, looks_like_mask


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*.png", "a/b/1.PNG", True),
        ("a/*.png", "a/b/1.png", False),
        ("a/**/*.png", "a/1.png", True),
        ("a/**/*.png", "a/b/c/1.png", True),
        ("a/**", "a/b/1.png", True),
        ("a/**", "a_def/1.png", False),
        ("**", "a/1.png", True),
        ("?.png", "10.png", False),
        ("[!1].png", "2.png", True),
        ("[!1].png", "1.png", False),
        ("[13].png", "3.png", True),
        ("[]].png", "].png", True),
        ("[[]1].png", "[1].png", True),
        ("[a&&b].png", "&.png", True),
        ("[~~|].png", "|.png", True),
        ("[+--].png", ",.png", True),
        ("[--0].png", "..png", True),
        ("[\\\\].png", "\\.png", True),
        ("[z-a].png", "b/[z-a].png", True),
        ("[z-a].png", "b.png", False),
        ("./1.png", "1.png", True),
        ("a+(b).png", "a+(b).png", True),
    ],
)
@pytest.mark.filterwarnings("error")
def test_globs_are_what_people_expect_of_them(pattern: str, name: str, fits: bool) -> None:
    assert matcher([pattern])(name) == fits


@pytest.mark.parametrize(
    ("image", "masks", "found"),
    [
        ("a/1.png", ["m/1.png"], "m/1.png"),
        ("a/1.png", ["m/1_mask.png"], "m/1_mask.png"),
        ("test/large/0.png", ["ground_truth/large/0_mask.png", "ground_truth/small/0_mask.png"],
         "ground_truth/large/0_mask.png"),
        ("large/0.png", ["large/masks/0.png", "small/masks/0.png"], "large/masks/0.png"),
        ("x/0.png", ["large/0.png", "small/0.png"], None),  # nothing tells which
        ("x/0.png", ["x/1.png"], None),
    ],
)  # fmt: skip
def test_a_mask_is_found_by_its_stem_and_the_folders_in_common(
    image: str, masks: list[str], found: str | None
) -> None:
    assert MaskIndex(masks).find(image) == found
    assert MaskIndex(reversed(masks)).find(image) == found


@pytest.mark.parametrize(
    ("name", "is_mask"),
    [("1_label.PNG", True), ("GT/1.png", True), ("labels.png", False), ("a/mask.png", False)],
)
def test_what_is_named_like_a_mask(name: str, is_mask: bool) -> None:
    assert looks_like_mask(name) == is_mask
