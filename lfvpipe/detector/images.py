"""Any photograph as 8-bit RGB, by the one way from bytes to pixels in `lfvpipe.images`."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.detector.arrays import Floats, Pixels
from lfvpipe.detector.errors import DetectorError
from lfvpipe.images import (
    ImageError,
    PixelRules,
    inspect,
    own_white_level,
    read_decoded,
    read_image,
    read_mask,
    upright_size,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image


def open_rgb(
    source: "Image.Image | Path | str | bytes", rules: PixelRules | None = None
) -> "Image.Image":
    """Return `source` upright, in mode RGB, fully loaded.

    Args:
        source: Decoded, a path, or a file's bytes.
        rules: What is decided for the product; by default deep grey has a white level of its own.

    Raises:
        DetectorError: It is no image, is damaged, or has too many pixels.
    """
    with naming(source):
        if isinstance(source, str):
            source = Path(source)
        if isinstance(source, Path | bytes):
            return read_image(source, rules).image.convert("RGB")
        return read_decoded(source, rules).image.convert("RGB")


def open_mask(source: Path) -> "Image.Image":
    """Return a mask's colours in mode RGB, upright; what is transparent is white.

    Raises:
        DetectorError: It is no PNG, or damaged.
    """
    with naming(source):
        return read_mask(source)


def size_of(path: Path) -> tuple[int, int]:
    """Return the (width, height) that a file says its image has, before any turning.

    Raises:
        DetectorError: It is no image.
    """
    with naming(path):
        header = inspect(path)
    return header.width, header.height


def upright_size_of(source: Path | bytes) -> tuple[int, int]:
    """Return the (width, height) of a file's image once it is turned upright; not decoded.

    Raises:
        DetectorError: It is no image, or damaged.
    """
    with naming(source):
        return upright_size(source if isinstance(source, bytes) else source.read_bytes())


def white_level(path: Path) -> float | None:
    """Return the white level of an image in deep grey; None for one of 8 bits.

    Raises:
        DetectorError: It is no image, is damaged, or has too many pixels.
    """
    with naming(path):
        return own_white_level(path.read_bytes())


@contextmanager
def naming(source: "Image.Image | Path | str | bytes") -> "Iterator[None]":
    """Turn what is wrong with an image into a DetectorError that names it."""
    name = str(source) if isinstance(source, Path | str) else "The image"
    try:
        yield
    except ImageError as error:
        raise DetectorError(
            f"{name} cannot be read as an image: it {error.fault}.", hint=error.hint
        ) from error
    except OSError as error:
        said = error.strerror or error
        raise DetectorError(f"{name} cannot be read: {said}.", hint="Check the path.") from error


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
