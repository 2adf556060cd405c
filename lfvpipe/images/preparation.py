"""Turns what people photograph into what the service takes; leaves alone what it takes as is."""

import hashlib
import io
from dataclasses import dataclass
from typing import Literal

import numpy
from PIL import Image, ImageStat

from lfvpipe.images.decoding import decode, encode_png, has_several_pages
from lfvpipe.images.formats import FORMATS, SERVED, Format
from lfvpipe.images.geometry import Geometry
from lfvpipe.images.inspection import MAX_PIXELS, ImageHeader, inspect
from lfvpipe.images.pillow import refusing_damage
from lfvpipe.images.pixels import camera_of, is_deep, levels_of, read_pixels, white_level_of
from lfvpipe.images.rules import PixelRules

_JPEG_QUALITY = 95
_LOSSY = ("JPEG", "HEIC")
_HASH = (17, 16)  # cells: each is compared with its left neighbour, which leaves 16 x 16 bits


@dataclass(frozen=True)
class Prepared:
    """An image as it goes to the service.

    Attributes:
        data: The file: the original bytes where nothing had to change, else a PNG.
        format: Of `data`.
        width: Pixels.
        height: Pixels.
        mode: L or RGB: of the pixels as they are seen.
        changes: What was done: rotated, ignored, cropped, resized, converted, depth, profile,
            flattened, cmyk, format (of the file, without loss), first-page (of several),
            recompressed.
        pixels: SHA-256 of the decoded pixels: equal for the same picture in another file.
        likeness: 256-bit difference hash, hexadecimal: close for a resaved or scaled copy.
        whole: (width, height) of the photograph, upright, before any part of it was taken.
        levels: How many levels are left of samples of more than 8 bits; None where they had 8.
        source: The format of the file that it was.
        camera: What EXIF calls the camera; "" where it does not.
    """

    data: bytes
    format: Literal["PNG", "JPEG"]
    width: int
    height: int
    mode: str
    changes: tuple[str, ...]
    pixels: str
    likeness: str
    whole: tuple[int, int]
    levels: int | None = None
    source: Format | None = None
    camera: str = ""


@dataclass(frozen=True)
class Measures:
    """What tells an image from others without knowing what it shows.

    Attributes:
        pixels: SHA-256 of the decoded pixels, as in `Prepared`.
        likeness: 256-bit difference hash, as in `Prepared`.
        brightness: The mean, 0 to 255.
        width: Pixels, upright.
        height: Pixels, upright.
    """

    pixels: str
    likeness: str
    brightness: float
    width: int
    height: int


def prepare(
    data: bytes,
    *,
    rules: PixelRules | None = None,
    geometry: Geometry | None = None,
    max_bytes: int | None = None,
) -> bytes:
    """Return the image file `data` as the service takes it; see `examine`."""
    return examine(data, rules=rules, geometry=geometry, max_bytes=max_bytes).data


def own_white_level(data: bytes, *, max_pixels: int = MAX_PIXELS) -> float | None:
    """Return the white level of deep grey by its own samples; None for an image of 8 bits.

    Raises:
        ImageError: It is deep grey and damaged, or no image.
    """
    header = inspect(data)
    if not header.is_deep:
        return None
    image = decode(data, header, max_pixels=max_pixels)
    with refusing_damage():
        return white_level_of(image)


def examine(
    data: bytes,
    *,
    rules: PixelRules | None = None,
    geometry: Geometry | None = None,
    max_bytes: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Prepared:
    """Verify the image file `data` by decoding it, and prepare it.

    The bytes stay as they are where the service takes them and every reader sees in them what
    `lfvpipe.images.pixels` makes of them, and `geometry` leaves them. What changed is written as
    PNG, or, where that exceeds `max_bytes` and the source was lossy itself, as a JPEG of quality
    95 without chroma subsampling.

    Raises:
        ImageError: It is no image, is damaged, or has more than `max_pixels`.
    """
    header = inspect(data, FORMATS)
    original = decode(data, header, max_pixels=max_pixels)
    with refusing_damage():
        seen = read_pixels(original, rules or PixelRules())
        camera = camera_of(original)
        several = has_several_pages(data, header)
    image, changes = seen.image, list(seen.changes)
    levels = seen.levels
    if header.bits == 16 and not is_deep(original):  # of colour, Pillow reads the high byte
        levels = levels_of(image)
    whole = image.size
    if geometry is not None:
        changes += geometry.changes(whole)
        image = geometry.apply(image)
    kind: Literal["PNG", "JPEG"] = "JPEG" if header.format == "JPEG" else "PNG"
    if header.format not in SERVED:
        changes += ["format", *(["first-page"] if several else [])]
    if changes:
        data, kind, changes = _encode(image, header, changes, max_bytes)
    width, height = image.size
    return Prepared(
        data,
        kind,
        width,
        height,
        image.mode,
        tuple(changes),
        _digest(image),
        _likeness(image),
        whole,
        levels,
        header.format,
        camera,
    )


def measure(data: bytes) -> Measures:
    """Return the measures of an image file as the service takes it.

    Raises:
        ImageError: It is no image, or is damaged.
    """
    original = decode(data, inspect(data, SERVED), max_pixels=MAX_PIXELS)
    with refusing_damage():
        image = read_pixels(original, PixelRules()).image
    brightness = float(ImageStat.Stat(_grey(image)).mean[0])
    return Measures(_digest(image), _likeness(image), brightness, *image.size)


def _encode(
    image: Image.Image, header: ImageHeader, changes: list[str], max_bytes: int | None
) -> tuple[bytes, Literal["PNG", "JPEG"], list[str]]:
    data = encode_png(image)
    if max_bytes is None or len(data) <= max_bytes or header.format not in _LOSSY:
        return data, "PNG", changes
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue(), "JPEG", [*changes, "recompressed"]


def _digest(image: Image.Image) -> str:
    return hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()


def _grey(image: Image.Image) -> Image.Image:
    return image if image.mode == "L" else image.convert("L")


def _likeness(image: Image.Image) -> str:
    """Return the difference hash: is each cell brighter than its left neighbour (N. Krawetz)."""
    cells = numpy.asarray(_grey(image).resize(_HASH, Image.Resampling.BOX), dtype=numpy.int16)
    return numpy.packbits(cells[:, 1:] > cells[:, :-1]).tobytes().hex()
