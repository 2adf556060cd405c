"""Whatever a photograph is stored as, it is seen in one way, and as well after it was prepared."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from lfvpipe.images.pixels import (
    orientation_of,
    read_pixels,
    to_eight_bits,
    white_level_of,
)
from lfvpipe.images.rules import PixelRules


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    reopened = Image.open(io.BytesIO(buffer.getvalue()))
    reopened.load()
    return reopened


def deep(samples: np.ndarray) -> Image.Image:
    """Return 16-bit grey as a PNG has it."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    image = Image.open(io.BytesIO(b"\x89PNG\r\n\x1a\n" + data))
    image.load()
    return image


@st.composite
def photographs(draw: st.DrawFn) -> Image.Image:
    seed = draw(st.integers(0, 1000))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    random = np.random.default_rng(seed)
    kind = draw(
        st.sampled_from(
            ["L", "RGB", "RGBA", "LA", "P", "P+", "1", "CMYK", "8", "10", "12", "14", "16"]
        )
    )
    if kind.isdecimal():
        image = deep(random.integers(0, 2 ** int(kind), (height, width)))
    else:
        colours = Image.fromarray(random.integers(0, 256, (height, width, 4), dtype=np.uint8))
        image = {
            "P": lambda: colours.convert("RGB").convert("P"),
            "P+": lambda: stored(colours.convert("RGB").convert("P"), transparency=3),
        }.get(kind, lambda: colours.convert("RGBA").convert("RGB" if kind == "CMYK" else kind))()
        image = image.convert("CMYK") if kind == "CMYK" else image
    orientation = draw(st.sampled_from([None, *range(10)]))
    if orientation is not None:
        image.getexif()[0x0112] = orientation
    return image


rules = st.builds(
    PixelRules,
    st.sampled_from([None, 1023.0, 4095.0, 65535.0]),
    st.sampled_from(["#FFFFFF", "#000000", "#808080", "#102030"]),
    st.sampled_from([None, "L", "RGB"]),
)


@given(photographs(), rules)
def test_what_was_prepared_is_seen_as_what_it_was_made_of(
    image: Image.Image, decided: PixelRules
) -> None:
    once = read_pixels(image, decided)
    assert once.image.mode in ("L", "RGB")
    again = read_pixels(stored(once.image), decided)
    assert again.changes == ()
    assert again.image.mode == once.image.mode
    assert np.array_equal(np.asarray(again.image), np.asarray(once.image))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_upright(orientation: int) -> None:
    upright = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's number of the inverse
    lying = upright.transpose(Image.Transpose(back[orientation])) if orientation > 1 else upright
    lying.getexif()[0x0112] = orientation
    seen = read_pixels(lying, PixelRules())
    assert np.array_equal(np.asarray(seen.image), np.asarray(upright))
    assert seen.changes == (("rotated",) if orientation > 1 else ())


@pytest.mark.parametrize("value", [6, "6", (6, 6), b"\x06", b"6", 6.0])
def test_an_orientation_is_understood_however_it_is_written(value: object) -> None:
    image = Image.new("L", (2, 2))
    image.getexif()[0x0112] = value
    assert orientation_of(image) == 6


@pytest.mark.parametrize("value", [0, 9, "up", (), b"", None, float("nan"), 10**30])
def test_an_orientation_that_is_none_leaves_the_photograph_as_it_lies(value: object) -> None:
    image = Image.new("L", (2, 2))
    image.getexif()[0x0112] = value
    assert orientation_of(image) == 1


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_white_level_is_the_sensors(bits: int) -> None:
    samples = np.full((40, 40), 2**bits - 1, dtype=np.uint16)
    samples[0, 0] = 65535  # a hot pixel
    assert white_level_of(deep(samples)) == 2**bits - 1


def test_one_white_level_for_a_product_keeps_dark_photographs_dark() -> None:
    dark = deep(np.full((4, 4), 500))
    alone, among = read_pixels(dark, PixelRules()), read_pixels(dark, PixelRules(4095.0))
    assert np.asarray(alone.image)[0, 0] == 125
    assert np.asarray(among.image)[0, 0] == 31


def test_levels_that_are_left_are_counted() -> None:
    twelve = deep(np.arange(4096).reshape(64, 64))
    assert read_pixels(twelve, PixelRules(65535.0)).levels == 17
    assert read_pixels(twelve, PixelRules(4095.0)).levels == 256


def test_what_is_transparent_shows_the_background_and_not_what_it_hides() -> None:
    hidden = Image.new("RGBA", (2, 1), (200, 0, 0, 0))
    hidden.putpixel((1, 0), (10, 20, 30, 255))
    seen = read_pixels(hidden, PixelRules(background="#000000"))
    assert np.asarray(seen.image).tolist() == [[[0, 0, 0], [10, 20, 30]]]
    assert seen.changes == ("flattened",)


def test_an_alpha_channel_that_hides_nothing_changes_nothing() -> None:
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    clear = image.copy()
    clear.putalpha(255)
    seen = read_pixels(clear, PixelRules())
    assert (seen.changes, np.array_equal(np.asarray(seen.image), np.asarray(image))) == ((), True)


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_a_profile_that_changes_nothing_to_see_is_no_change() -> None:
    image = stored(Image.new("RGB", (2, 2), (200, 30, 40)), icc_profile=srgb_profile())
    seen = read_pixels(image, PixelRules())
    assert (seen.changes, seen.image.getpixel((0, 0))) == ((), (200, 30, 40))


def test_a_damaged_profile_is_as_none() -> None:
    image = Image.new("RGB", (2, 2), (200, 30, 40))
    image.info["icc_profile"] = b"no profile"
    assert read_pixels(image, PixelRules()).changes == ()


@given(st.lists(st.floats(width=32), min_size=1, max_size=9), st.none() | st.floats(1, 1e6))
def test_no_samples_are_an_error(samples: list[float], white: float | None) -> None:
    eight = to_eight_bits(np.array([samples], dtype=np.float32), white)
    assert eight.dtype == np.uint8
