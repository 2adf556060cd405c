"""Decodes an image completely, or says why it cannot be.

`lfvpipe.images.inspection` has read the header by then: what would take too much memory is refused
before Pillow sees the file.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from lfvpipe.images.errors import ImageError
from lfvpipe.images.inspection import MAX_PIXELS, ImageHeader

# What Pillow's PNG and JPEG readers raise for damaged files, a second header's size included.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what Pillow raises for a damaged file inside the block into an ImageError."""
    try:
        yield
    except _BROKEN as error:
        raise ImageError(
            f"is truncated or damaged ({str(error)[:80]})", hint="Export it again or leave it out."
        ) from error


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


def decode(data: bytes, header: ImageHeader) -> Image.Image:
    """Return the decoded first frame of `data`.

    Raises:
        ImageError: The file is truncated or damaged, or of a kind that cannot be decoded.
    """
    with refusing_damage():
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "MPO"))
        if image.size != (header.width, header.height):
            raise ImageError("has two headers that differ in size", hint="Leave it out.")
        image.load()
    return image


def encode_png(image: Image.Image) -> bytes:
    """Return `image` as PNG, without the metadata of the file it came from."""
    image.info.clear()
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
