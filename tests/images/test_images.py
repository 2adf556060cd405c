import io
import struct
import zlib
from typing import Any

import numpy
import pytest
from PIL import Image

from lfvpipe.images import Geometry, ImageError, PixelRules, examine, inspect, prepare, prepare_mask

NOISE = numpy.random.default_rng(1).integers(0, 256, (80, 100, 3), numpy.uint8)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode: str = "RGB") -> Image.Image:
    return Image.fromarray(NOISE).convert(mode)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    ("mode", "kind", "seen"),
    [("RGB", "PNG", "RGB"), ("RGB", "JPEG", "RGB"), ("L", "PNG", "L"), ("L", "JPEG", "L"),
     ("RGBA", "PNG", "RGB"), ("P", "PNG", "RGB"), ("LA", "PNG", "L"), ("1", "PNG", "L")],
)  # fmt: skip
def test_what_the_service_takes_stays_byte_for_byte(mode: str, kind: str, seen: str) -> None:
    data = saved(noise(mode), kind)
    done = examine(data)
    assert (done.data, done.changes) == (data, ())
    assert (done.width, done.height, done.mode) == (100, 80, seen)
    facts = inspect(data)
    assert (facts.format, facts.width, facts.height, facts.mode) == (kind, 100, 80, mode)


def test_an_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    done = examine(saved(noise(), "JPEG", exif=exif))
    assert (done.width, done.height, done.changes) == (80, 100, ("rotated",))
    assert opened(done.data).getexif().get(0x0112, 1) == 1


def test_a_rotated_jpeg_that_grows_too_large_as_png_stays_a_jpeg() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    done = examine(saved(noise(), "JPEG", exif=exif), max_bytes=15_000)
    assert done.format == "JPEG"
    assert done.changes == ("rotated", "recompressed")


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_grey_is_reduced_by_the_products_white_level(bits: int) -> None:
    deep = numpy.arange(2**bits, dtype=numpy.uint16).reshape(32, -1)
    white = 2.0**bits - 1
    done = examine(saved(Image.fromarray(deep)), rules=PixelRules(white))
    assert (done.changes, done.levels) == (("depth",), 256)
    assert (numpy.asarray(opened(done.data)) == numpy.rint(deep * (255 / white))).all()


def test_cmyk_becomes_rgb() -> None:
    done = examine(saved(noise("CMYK"), "JPEG"))
    assert (opened(done.data).mode, done.format, done.changes) == ("RGB", "PNG", ("cmyk",))


def test_resize_and_convert() -> None:
    small = opened(
        prepare(saved(noise("P")), geometry=Geometry(size=(64, 70)), rules=PixelRules(mode="L"))
    )
    assert (small.size, small.mode) == ((64, 70), "L")
    data = saved(noise())
    assert prepare(data, geometry=Geometry(size=(100, 80)), rules=PixelRules(mode="RGB")) == data


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_truncated_images_are_refused(kind: str) -> None:
    data = saved(noise(), kind)
    with pytest.raises(ImageError, match="truncated or damaged"):
        examine(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "an empty file"),
        (b"a text file named .png", "a text file"),
        (b"<html>", "a web page"),
        (b"GIF89a", "a GIF"),
        (b"\0\0\0 ftypavif", "an AVIF"),
        (b"\x00\xff\x12", "something else"),
    ],
)
def test_what_is_no_image_is_called_by_its_name(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        examine(data)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    rows = zlib.compress(bytes(2501) * 100)  # far fewer than the header declares
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows)
    assert inspect(data).width == 20_000
    with pytest.raises(ImageError, match="20000 x 20000"):
        examine(data)


def test_the_same_pixels_in_another_file_have_the_same_digest() -> None:
    first, second = saved(noise(), compress_level=1), saved(noise(), compress_level=9)
    assert first != second
    assert examine(first).pixels == examine(second).pixels


def masked(colours: list[tuple[int, int, int]]) -> Image.Image:
    pixels = numpy.zeros((8, 8, 3), numpy.uint8)
    for row, colour in enumerate(colours):
        pixels[row] = colour
    return Image.fromarray(pixels)


def test_a_black_and_white_mask_becomes_a_colour_on_white() -> None:
    done = prepare_mask(saved(masked([(255, 255, 255)]).convert("L")))
    assert done.colours == ("#23A436",)
    image = opened(done.data)
    assert (image.getpixel((0, 0)), image.getpixel((0, 7))) == ((0x23, 0xA4, 0x36), (255,) * 3)


def test_softened_edges_are_cut_at_half() -> None:
    done = prepare_mask(saved(masked([(255,) * 3, (130,) * 3, (100,) * 3])))
    image = opened(done.data)
    assert [image.getpixel((0, row)) != (255,) * 3 for row in range(4)] == [
        True,
        True,
        False,
        False,
    ]


def test_declared_colours_are_kept_and_strangers_told() -> None:
    data = saved(masked([(0x23, 0xA4, 0x36), (1, 2, 3)]))
    done = prepare_mask(data, classes={"cracked": "#23a436"})
    assert (done.colours, done.strangers) == (("#23A436",), ("#010203",))


def test_a_transparent_mask_shows_its_opaque_colours() -> None:
    image = masked([(0x23, 0xA4, 0x36)]).convert("RGBA")
    image.putpixel((3, 0), (9, 9, 9, 0))
    assert prepare_mask(saved(image)).colours == ("#23A436",)


def test_a_documented_mask_stays_byte_for_byte_and_resizing_mixes_no_colours() -> None:
    pixels = numpy.full((80, 100, 3), 255, numpy.uint8)
    pixels[10:30, 10:33] = (0x23, 0xA4, 0x36)
    data = saved(Image.fromarray(pixels))
    assert prepare_mask(data).data == data
    small = prepare_mask(data, geometry=Geometry(size=(37, 31)))
    assert (small.width, small.height, small.colours) == (37, 31, ("#23A436",))
    assert len(opened(small.data).getcolors() or ()) == 2


def test_a_picture_is_no_mask() -> None:
    with pytest.raises(ImageError, match="picture and not a mask"):
        prepare_mask(saved(noise()))
    with pytest.raises(ImageError, match="must be a PNG"):
        prepare_mask(saved(noise(), "JPEG"))


def with_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG with one more chunk after its header."""
    image = saved(noise())
    return image[:33] + chunk(kind, data) + image[33:]


SECOND_HEADER = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)


def test_exif_that_is_garbage_damages_no_image() -> None:
    data = with_chunk(b"eXIf", b"garbage that is no TIFF")
    assert examine(data).data == data


@pytest.mark.parametrize("use", [examine, prepare_mask])
def test_an_image_with_a_second_header_that_is_a_bomb_is_damaged(use: Any) -> None:
    with pytest.raises(ImageError, match="damaged"):
        use(with_chunk(b"IHDR", SECOND_HEADER))
