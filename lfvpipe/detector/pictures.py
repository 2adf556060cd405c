"""Any photograph as 8-bit RGB: grey, palette, alpha, 16-bit, CMYK and EXIF rotation included."""

import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.faults import DetectorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

MAX_PIXELS = 64_000_000
Pixels = NDArray[np.uint8]


def open_rgb(source: "Image.Image | Path | str | bytes") -> "Image.Image":
    """Return `source` upright, in mode RGB, fully loaded.

    Raises:
        DetectorError: It is no image, is damaged, or has more than 64 million pixels.
    """
    return _rgb(open_upright(source))


def open_upright(source: "Image.Image | Path | str | bytes") -> "Image.Image":
    """Return `source` decoded in its own mode, turned as its EXIF orientation says."""
    from PIL import Image, ImageOps

    if isinstance(source, Image.Image):
        return ImageOps.exif_transpose(_bounded(source, "the image"))
    name = "the image" if isinstance(source, bytes) else str(source)
    with _opened(source, name) as image:
        image.load()
        return ImageOps.exif_transpose(image)


def size_of(path: Path) -> tuple[int, int]:
    """Return the (width, height) that a file says its image has, before any turning.

    Raises:
        DetectorError: It is no image, or has more than 64 million pixels.
    """
    with _opened(path, str(path)) as image:
        return image.size


@contextmanager
def _opened(source: Path | str | bytes, name: str) -> "Iterator[Image.Image]":
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            yield _bounded(image, name)
    except UnidentifiedImageError as error:  # its text names the object that holds the bytes
        raise DetectorError(
            f"{name} cannot be read as an image: it is none", hint="Give a PNG or JPEG file."
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise DetectorError(
            f"{name} cannot be read as an image: {error}", hint="Give a whole PNG or JPEG file."
        ) from error


def _bounded(image: "Image.Image", name: str) -> "Image.Image":
    if image.width * image.height > MAX_PIXELS:
        raise DetectorError(
            f"{name} has {image.width} by {image.height} pixels, more than the detector takes",
            hint=f"Make it smaller than {MAX_PIXELS:,} pixels.",
        )
    return image


def _rgb(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if "A" in image.mode or "transparency" in image.info:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return image.convert("RGB")


def _eight_bits(values: NDArray[np.generic]) -> Pixels:
    """Bring deep grey values to 0..255 by the smallest usual sensor depth that holds them."""
    real = np.nan_to_num(values.astype(np.float64))
    if np.issubdtype(values.dtype, np.floating) and real.max(initial=0) <= 1:
        return np.clip(real * 255, 0, 255).astype(np.uint8)
    top = real.max(initial=0)
    white = next((2.0**bits - 1 for bits in (8, 10, 12, 14, 16) if top < 2**bits), top)
    return np.clip(real * (255 / white), 0, 255).astype(np.uint8)


def resized(image: "Image.Image", side: int) -> Pixels:
    """Return the pixels, uint8 (H, W, 3), at an area of about side², the aspect ratio kept.

    Each side is a multiple of 16 within 64 and 4·side, so that the network's maps fit together.
    """
    from PIL import Image

    scale = side / (image.width * image.height) ** 0.5
    width, height = (_multiple(length * scale, side) for length in image.size)
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(small)


def _multiple(length: float, side: int) -> int:
    return int(np.clip(round(length / 16) * 16, 64, 4 * side))


def reduced(values: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the means of `values` over the pixels (h, w) of a coarser grid."""
    from PIL import Image

    image = Image.fromarray(values)
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BOX))
