"""Any photograph as 8-bit RGB: grey, palette, alpha, 16-bit, CMYK and EXIF rotation included."""

import io
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Floats, Pixels
from lfvpipe.detector.errors import DetectorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

MAX_PIXELS = 64_000_000
# What Pillow raises on files that are cut off or forged, beside its own errors.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error)


def open_rgb(
    source: "Image.Image | Path | str | bytes", white: float | None = None
) -> "Image.Image":
    """Return `source` upright, in mode RGB, fully loaded.

    Args:
        source: Decoded, a path, or a file's bytes.
        white: The level of deep grey (16-bit, floating) that becomes white; by default its own.

    Raises:
        DetectorError: It is no image, is damaged, or has more than 64 million pixels.
    """
    with _open(source) as image:
        return _to_rgb(_upright(image), white)


def open_upright(source: "Image.Image | Path | str | bytes") -> "Image.Image":
    """Return `source` decoded in its own mode, turned as its EXIF orientation says."""
    with _open(source) as image:
        return _upright(image)


def _upright(image: "Image.Image") -> "Image.Image":
    from PIL import ImageOps

    image.load()
    return ImageOps.exif_transpose(image)


def size_of(path: Path) -> tuple[int, int]:
    """Return the (width, height) that a file says its image has, before any turning.

    Raises:
        DetectorError: It is no image, or has more than 64 million pixels.
    """
    with _open(path) as image:
        return image.size


def white_level(path: Path) -> float | None:
    """Return the white level of an image in deep grey; None for one of 8 bits.

    Raises:
        DetectorError: It is no image, is damaged, or has more than 64 million pixels.
    """
    with _open(path) as image:
        return _white_level(np.asarray(image)) if _is_deep(image) else None


@contextmanager
def _open(source: "Image.Image | Path | str | bytes") -> "Iterator[Image.Image]":
    from PIL import Image, UnidentifiedImageError

    name = str(source) if isinstance(source, Path | str) else "The image"
    try:
        if isinstance(source, Image.Image):
            yield _require_bounded(source, name)
            return
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield _require_bounded(image, name)
    except UnidentifiedImageError as error:  # its text names the object that holds the bytes
        raise DetectorError(
            f"{name} cannot be read as an image: it is none.", hint="Give a PNG or JPEG file."
        ) from error
    except (*BROKEN, Image.DecompressionBombError) as error:
        raise DetectorError(
            f"{name} cannot be read as an image: {error}.", hint="Give a whole PNG or JPEG file."
        ) from error


def _require_bounded(image: "Image.Image", name: str) -> "Image.Image":
    if image.width * image.height > MAX_PIXELS:
        raise DetectorError(
            f"{name} has {image.width} by {image.height} pixels, more than the detector takes.",
            hint=f"Make it smaller than {MAX_PIXELS:,} pixels.",
        )
    return image


def _to_rgb(image: "Image.Image", white: float | None) -> "Image.Image":
    from PIL import Image

    if _is_deep(image):
        values = np.asarray(image)
        real = np.nan_to_num(values.astype(np.float64)) * (255 / (white or _white_level(values)))
        return Image.fromarray(np.clip(real, 0, 255).astype(np.uint8)).convert("RGB")
    if "A" in image.mode or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")


def _is_deep(image: "Image.Image") -> bool:
    return image.mode.startswith(("I", "F"))


def _white_level(values: NDArray[np.generic]) -> float:
    """Return the highest level of the smallest usual sensor depth that holds deep grey values."""
    top = float(np.quantile(np.nan_to_num(values.astype(np.float64)), tuning.DEEP_WHITE_QUANTILE))
    if np.issubdtype(values.dtype, np.floating) and top <= 1:
        return 1.0
    return next((2.0**bits - 1 for bits in (8, 10, 12, 14, 16) if top < 2**bits), top)


def resize(image: "Image.Image", side: int) -> Pixels:
    """Return the pixels, uint8 (H, W, 3), at an area of about side², the aspect ratio kept.

    Each side is a multiple of 16 within 64 and 4·side, so that the network's maps fit together.
    """
    from PIL import Image

    scale = side / (image.width * image.height) ** 0.5
    width, height = (
        int(np.clip(round(length * scale / 16) * 16, 64, 4 * side)) for length in image.size
    )
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small)


def reduce(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Return the means of `values` over the pixels (h, w) of a coarser grid."""
    from PIL import Image

    image = Image.fromarray(values)
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BOX))
