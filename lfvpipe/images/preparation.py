"""Turns what people photograph into what the service takes; leaves alone what it takes as is."""

import hashlib
import io
from dataclasses import dataclass
from typing import Literal

import numpy
from PIL import Image, ImageOps

from lfvpipe.images.decoding import decode, encode_png, refuse_bomb, refusing_damage
from lfvpipe.images.inspection import MAX_PIXELS, ImageHeader, inspect

Convert = Literal["RGB", "L"]
Size = tuple[int, int]

_ORIENTATION = 0x0112
_JPEG_QUALITY = 95
_HASH = (17, 16)  # cells: each is compared with its left neighbour, which leaves 16 x 16 bits


@dataclass(frozen=True)
class Prepared:
    """An image as it goes to the service.

    Attributes:
        data: The file: the original bytes where nothing had to change, else a PNG.
        format: Of `data`.
        width: Pixels.
        height: Pixels.
        mode: Pillow's name of the colour mode.
        changes: What was done: rotated, resized, converted, 16-bit, 12-bit, cmyk, recompressed.
        pixels: SHA-256 of the decoded pixels: equal for the same picture in another file.
        likeness: 256-bit difference hash, hexadecimal: close for a resaved or scaled copy.
    """

    data: bytes
    format: Literal["PNG", "JPEG"]
    width: int
    height: int
    mode: str
    changes: tuple[str, ...]
    pixels: str
    likeness: str


def prepare(
    data: bytes,
    *,
    resize: Size | None = None,
    convert: Convert | None = None,
    max_bytes: int | None = None,
) -> bytes:
    """Return the image file `data` as the service takes it; see `examine`."""
    return examine(data, resize=resize, convert=convert, max_bytes=max_bytes).data


def examine(
    data: bytes,
    *,
    resize: Size | None = None,
    convert: Convert | None = None,
    max_bytes: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Prepared:
    """Verify the image file `data` by decoding it, and prepare it.

    The bytes stay as they are unless something must change: an EXIF rotation is applied, 16-bit
    samples are reduced to 8 (their high byte) and CMYK becomes RGB, as common readers of PNG and
    JPEG either refuse or distort them; `resize` (width, height) and `convert` do what they say.
    What changed is written as PNG, or, where that exceeds `max_bytes` and the source was a JPEG,
    as a JPEG of quality 95 without chroma subsampling.

    Raises:
        ImageError: It is no PNG or JPEG, is damaged, or has more than `max_pixels`.
    """
    header = inspect(data)
    refuse_bomb(header, max_pixels)
    original = decode(data, header)
    image, changes = _apply_changes(original, header, resize, convert)
    kind: Literal["PNG", "JPEG"] = header.format
    if changes:
        data, kind, changes = _encode(image, header, changes, max_bytes)
    pixels = hashlib.sha256(f"{image.mode}{image.size}".encode() + image.tobytes()).hexdigest()
    width, height = image.size
    return Prepared(data, kind, width, height, image.mode, changes, pixels, _likeness(image))


def _apply_changes(
    image: Image.Image, header: ImageHeader, resize: Size | None, convert: Convert | None
) -> tuple[Image.Image, tuple[str, ...]]:
    changes = []
    with refusing_damage():  # Pillow reads EXIF, which may be damaged too, only when it is asked
        if image.getexif().get(_ORIENTATION, 1) not in (0, 1):
            image = ImageOps.exif_transpose(image)
            changes.append("rotated")
    if header.bits == 16:
        image, low = _eight_bits(image)
        changes.append("12-bit" if low else "16-bit")
    if image.mode in ("CMYK", "YCCK"):
        image = image.convert("RGB")
        changes.append("cmyk")
    if convert and image.mode != convert:
        image = image.convert(convert)
        changes.append("converted")
    if resize and image.size != resize:
        image = _interpolable(image).resize(resize, Image.Resampling.LANCZOS, reducing_gap=3.0)
        changes.append("resized")
    return image, tuple(changes)


def _eight_bits(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the image with 8 bits a sample, and whether only the low 12 bits were in use."""
    if image.mode not in ("I;16", "I;16B", "I"):  # Pillow reads 16-bit colour by its high byte
        return image, False
    samples = numpy.asarray(image).astype(numpy.uint16)
    return Image.fromarray((samples >> 8).astype(numpy.uint8)), bool(samples.max() < 4096)


def _interpolable(image: Image.Image) -> Image.Image:
    """Return the image in a mode that can be interpolated."""
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _encode(
    image: Image.Image, header: ImageHeader, changes: tuple[str, ...], max_bytes: int | None
) -> tuple[bytes, Literal["PNG", "JPEG"], tuple[str, ...]]:
    data = encode_png(image)
    if max_bytes is None or len(data) <= max_bytes or header.format != "JPEG":
        return data, "PNG", changes
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return buffer.getvalue(), "JPEG", (*changes, "recompressed")


def _likeness(image: Image.Image) -> str:
    """Return the difference hash: is each cell brighter than its left neighbour (N. Krawetz)."""
    grey = image if image.mode == "L" else _interpolable(image).convert("L")
    cells = numpy.asarray(grey.resize(_HASH, Image.Resampling.BOX), dtype=numpy.int16)
    return numpy.packbits(cells[:, 1:] > cells[:, :-1]).tobytes().hex()
