"""Decodes an image completely, or says why it cannot be.

What would take too much memory is refused by its header, before Pillow sees the file.
"""

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from lfvpipe.images.errors import ImageError
from lfvpipe.images.formats import FORMATS, Format
from lfvpipe.images.inspection import MAX_PIXELS, ImageHeader, inspect
from lfvpipe.images.pillow import open_file, refusing_damage
from lfvpipe.images.pixels import Upright, orientation_of, read_colours, read_pixels
from lfvpipe.images.rules import PixelRules

_JPEG_BITS = 8
_MASKS: tuple[Format, ...] = ("PNG",)
_LYING = range(5, 9)  # orientations that swap width and height


def refuse_bomb(header: ImageHeader, max_pixels: int = MAX_PIXELS) -> None:
    """Raise an ImageError if decoding would take too much memory.

    Pillow's own limit is a global that threads and other libraries share; this one is ours.
    """
    if header.width * header.height > max_pixels:
        raise ImageError(
            f"has {header.width} x {header.height} pixels, more than can be decoded safely"
            f" ({max_pixels:,})",
            hint="Scale it down before packing it, or leave it out.",
        )
    if not header.width or not header.height:
        raise ImageError("has no pixels", hint="Leave it out.")


def decode(
    data: bytes,
    header: ImageHeader,
    *,
    max_pixels: int = MAX_PIXELS,
    enough: tuple[int, int] | None = None,
) -> Image.Image:
    """Return the decoded first frame of `data`, as its file has it.

    Args:
        data: The file.
        header: What `inspect` says of it.
        max_pixels: More are refused.
        enough: (width, height) that will do: a JPEG is decoded at a fraction of its size.

    Raises:
        ImageError: The file is truncated or damaged, or of a kind that cannot be decoded.
    """
    refuse_bomb(header, max_pixels)
    if header.format == "JPEG" and header.bits != _JPEG_BITS:
        hint = "Export it as JPEG of 8 bits, or as PNG."
        raise ImageError(f"is a JPEG of {header.bits} bits a sample, which is not read", hint=hint)
    with refusing_damage():
        image: Image.Image = open_file(header.format, data)
        if image.size != (header.width, header.height):
            raise ImageError(
                "is damaged: it has two headers that differ in size", hint="Leave it out."
            )
        if enough:
            image.draft("RGB", enough)
        image.load()
    return image


def has_several_pages(data: bytes, header: ImageHeader) -> bool:
    """Return whether there are pictures behind the first; to be called inside `refusing_damage`.

    They are not counted: Pillow takes a second for ten thousand that are empty.
    """
    if header.format == "WEBP":
        return int(open_file("WEBP", data).n_frames) > 1
    if header.format == "TIFF":
        try:
            open_file("TIFF", data).seek(1)
        except EOFError:
            return False
        return True
    return False


def upright_size(data: bytes) -> tuple[int, int]:
    """Return the (width, height) of an image once its EXIF orientation is applied; not decoded.

    Raises:
        ImageError: It is no image of `FORMATS`, or damaged.
    """
    header = inspect(data)
    refuse_bomb(header)
    with refusing_damage():
        turned = orientation_of(open_file(header.format, data)) in _LYING
    if turned and header.format != "TIFF":  # whose reader turns it by itself
        return header.height, header.width
    return header.width, header.height


def read_image(
    source: Path | bytes,
    rules: PixelRules | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
    enough: tuple[int, int] | None = None,
) -> Upright:
    """Return an image file's pixels as they are to be seen: the way of all readers in the package.

    Args:
        source: A path, or a file's bytes.
        rules: What is decided for the product.
        max_pixels: More are refused.
        enough: See `decode`.

    Raises:
        ImageError: It is no image of `FORMATS`, is damaged, or has too many pixels.
        OSError: The file cannot be read.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    image = decode(data, inspect(data, FORMATS), max_pixels=max_pixels, enough=enough)
    with refusing_damage():  # of EXIF, which Pillow reads when it is asked for it, and of profiles
        return read_pixels(image, rules or PixelRules())


def read_painting(
    data: bytes, formats: Collection[Format] = _MASKS
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the colours (h, w, 3) of a mask, upright, and where it is opaque (h, w).

    Raises:
        ImageError: It is of no such format, or damaged.
    """
    image = decode(data, inspect(data, formats))
    with refusing_damage():
        return read_colours(image)


def read_decoded(
    image: Image.Image, rules: PixelRules | None = None, *, max_pixels: int = MAX_PIXELS
) -> Upright:
    """Return the pixels of an image that somebody opened with Pillow; see `read_image`.

    Raises:
        ImageError: It is closed or damaged, or has too many pixels.
    """
    refuse_bomb(ImageHeader("PNG", *image.size, image.mode, _JPEG_BITS, 0), max_pixels)
    with refusing_damage():
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            # Mapped, as Pillow does with a file that it knows by name, one that lies on its side
            # has its rows cut at the wrong places.
            image.filename = ""
        image.load()
        return read_pixels(image, rules or PixelRules())


def encode_png(image: Image.Image) -> bytes:
    """Return `image` as PNG, without the metadata of the file it came from."""
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
