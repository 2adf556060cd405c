"""Which part of a photograph counts is the same for the prepared one and for the raw one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lfvpipe.images import Geometry, ImageError, Shapes, examine, prepare_mask, read_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOISE = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
CORNER = (((0.0, 0.0), (19.0, 0.0), (19.0, 9.0), (0.0, 9.0)),)


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image)


geometries = st.builds(
    Geometry,
    st.sampled_from([(), CORNER]),
    st.sampled_from([None, png(np.eye(80, dtype=np.uint8)[:60] * 255)]),
    st.sampled_from([None, (10, 5, 40, 30)]),
    st.sampled_from([None, (64, 64), (30, 64)]),
    st.sampled_from(["contain", "cover", "stretch"]),
    st.just((80, 60)),
)


@given(geometries)
def test_prepared_and_raw_are_one_to_the_model(geometry: Geometry) -> None:
    prepared = examine(png(NOISE), geometry=geometry)
    trained = (prepared.width, prepared.height)
    of_raw = geometry.prepare(Image.fromarray(NOISE), trained)
    of_prepared = geometry.prepare(read_image(prepared.data).image, trained)
    assert np.array_equal(pixels(of_raw), pixels(of_prepared))
    assert Geometry.from_text(geometry.as_text()) == (Geometry() if geometry.is_plain else geometry)


def test_a_region_is_cut_out() -> None:
    done = examine(png(NOISE), geometry=Geometry(region=(10, 5, 40, 30)))
    assert np.array_equal(pixels(read_image(done.data).image), NOISE[5:35, 10:50])
    assert (done.changes, done.whole) == (("cropped",), (80, 60))


def test_what_is_ignored_is_grey_before_anything_looks() -> None:
    seen = pixels(read_image(examine(png(NOISE), geometry=Geometry(ignore=CORNER)).data).image)
    assert (seen[:10, :20] == 128).all()
    assert np.array_equal(seen[10:], NOISE[10:])


def test_a_mask_that_leaves_nothing_is_refused() -> None:
    whole = png(np.full((60, 80), 255, np.uint8))
    with pytest.raises(ImageError, match="is ignored from side to side"):
        Geometry(mask=whole).apply(Image.fromarray(NOISE))


@pytest.mark.parametrize(
    ("fit", "corner", "middle"), [("contain", 128, 200), ("cover", 200, 200), ("stretch", 200, 200)]
)
def test_how_an_image_fits(fit: str, corner: int, middle: int) -> None:
    wide = np.full((20, 80, 3), 200, np.uint8)
    geometry = Geometry(size=(64, 64), fit=fit)  # type: ignore[arg-type]  # one of them
    seen = pixels(geometry.apply(Image.fromarray(wide)))
    assert seen.shape == (64, 64, 3)
    assert (seen[0, 0, 0], seen[32, 32, 0]) == (corner, middle)


def test_contain_and_cover_do_not_distort() -> None:
    square = np.zeros((40, 80, 3), np.uint8)
    square[10:30, 30:50] = 255
    for fit, side in (("contain", 16), ("cover", 32)):
        geometry = Geometry(size=(64, 64), fit=fit)  # type: ignore[arg-type]  # one of them
        seen = pixels(geometry.apply(Image.fromarray(square)))[..., 0] > 200
        assert seen.any(0).sum() == pytest.approx(side, abs=2)
        assert seen.any(1).sum() == pytest.approx(side, abs=2)


def test_masks_follow_without_a_new_colour() -> None:
    mask = np.full((60, 80, 3), 255, np.uint8)
    mask[5:20, 5:30] = (0x23, 0xA4, 0x36)
    geometry = Geometry(ignore=CORNER, region=(0, 0, 60, 40), size=(90, 90), fit="contain")
    done = prepare_mask(png(mask), geometry=geometry)
    seen = pixels(read_image(done.data).image)
    assert done.colours == ("#23A436",)
    assert {tuple(colour) for colour in seen.reshape(-1, 3)} == {(255,) * 3, (0x23, 0xA4, 0x36)}
    # The image lies in rows 15 to 75 at 1.5 times its size; what is ignored ends at (20, 10).
    assert (seen[15 + 9, 12] == 255).all()
    assert tuple(seen[15 + 24, 12]) == (0x23, 0xA4, 0x36)


def test_a_region_out_of_the_image_is_refused() -> None:
    with pytest.raises(ImageError, match="the region reaches to 90 x 35"):
        examine(png(NOISE), geometry=Geometry(region=(50, 5, 40, 30)))


def test_an_image_of_another_size_is_refused_where_a_part_counts() -> None:
    geometry = Geometry(region=(10, 5, 40, 30), seen=(80, 60))
    with pytest.raises(ImageError, match=r"it must have 40x30 or 80x60"):
        geometry.prepare(Image.new("RGB", (81, 60)), (40, 30))
    with pytest.raises(ImageError, match="it must have 80x60"):
        examine(png(NOISE[:50]), geometry=geometry)


@pytest.mark.parametrize("text", ["?", "AAAA", "eJyrBgAA+AB3", "eJwDAAAAAAE="])
def test_a_description_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Geometry.from_text(text)


SEEN = [(640, 480), (800, 600), (640, 400)]


@pytest.mark.parametrize(
    ("size", "how"),
    [
        ((640, 480), ""),
        ((700, 500), ""),
        ((644, 482), ""),  # a few pixels are nothing
        ((1600, 1200), "is larger"),
        ((320, 240), "is smaller"),
        ((480, 640), "has another shape"),
        ((1920, 1080), "has another shape"),
    ],
)
def test_photographs_are_told_from_those_learnt_from_by_size_and_shape(
    size: tuple[int, int], how: str
) -> None:
    geometry = Geometry(size=(64, 64), learnt=Shapes.of(SEEN))
    known = Geometry.from_text(geometry.as_text())
    assert known == geometry
    assert known.tell_apart(size, (64, 64)).startswith(how)
    assert bool(known.tell_apart(size, (64, 64))) == bool(how)
    assert known.tell_apart((64, 64), (64, 64)) == ""  # prepared before


def test_models_that_noted_nothing_tell_by_what_they_know() -> None:
    assert Geometry(size=(64, 64)).tell_apart((9, 900), (64, 64)) == ""
    assert Geometry(size=(64, 64), seen=(640, 480)).tell_apart((9, 900), (64, 64)) != ""
    assert Geometry().tell_apart((9, 900), (64, 64)) != ""
    assert Shapes.of([]) is None


@pytest.mark.parametrize(
    "learnt", [[], [[1, 2]], [[0, 1]] * 4, "abcd", [["a", 1]] * 4, [1, 2, 3, 4]]
)
def test_a_description_of_shapes_that_is_none_is_refused(learnt: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Shapes.from_json(learnt)
