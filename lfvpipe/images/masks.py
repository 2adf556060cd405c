"""Pixel masks as the service documents them: a PNG, white background, a colour for each type."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image

from lfvpipe.images.decoding import encode_png, read_painting, refuse_bomb
from lfvpipe.images.errors import ImageError, NotAMask
from lfvpipe.images.formats import Format
from lfvpipe.images.geometry import Geometry
from lfvpipe.images.inspection import MAX_PIXELS, inspect

_WHITE = 0xFFFFFF
_STAND_IN = 0x23A436  # for types that are drawn in white, which is the background's colour
_LOSSLESS: tuple[Format, ...] = ("PNG", "BMP", "TIFF")
_MAX_COLOURS = 64  # far more types than the service takes, far fewer than a photograph has
_MAX_PRESENT = 1 << 16  # colours that are counted before a picture is taken for one


@dataclass(frozen=True)
class PreparedMask:
    """A mask as it goes to the service.

    Attributes:
        data: A PNG, RGB; every pixel white or one of `colours`.
        width: Pixels.
        height: Pixels.
        colours: The anomaly types' colours that occur, ``#RRGGBB``, sorted.
        strangers: Colours that occurred and became background, though they were no background.
        share: How much of the image is marked, 0 to 1.
    """

    data: bytes
    width: int
    height: int
    colours: tuple[str, ...]
    strangers: tuple[str, ...]
    share: float


def prepare_mask(
    data: bytes,
    *,
    classes: Mapping[str, str] | None = None,
    geometry: Geometry | None = None,
    max_pixels: int = MAX_PIXELS,
) -> PreparedMask:
    """Verify the mask file `data` and bring it into the documented form.

    Args:
        data: A PNG of any mode, or a BMP or TIFF.
        classes: Colours (``#RRGGBB``) by anomaly type; other colours become background. None:
            black is the background, or where there is none, white; grey masks are cut at half.
        geometry: Which part of the photograph counts, and its size; the nearest pixel is taken, no
            colours are mixed, and what is ignored is background.
        max_pixels: More are refused.

    Raises:
        ImageError: It is no PNG, is damaged, or has too many colours for a mask.
    """
    header = inspect(data)
    if header.format not in _LOSSLESS:
        what = f"is a {header.format}; a mask must be a PNG, or a BMP or TIFF, which becomes one"
        raise ImageError(what, hint="JPEG smears the colours.")
    refuse_bomb(header, max_pixels)
    painted, opaque = read_painting(data, _LOSSLESS)
    image = _on(painted, opaque, 0)  # black is the usual background
    hidden = numpy.zeros(0, bool)
    if geometry is not None:
        image, hidden = geometry.apply_to_mask(image)
    counts = _colours_of(image)
    targets, strangers = _targets(sorted(counts), classes)
    marked = sum(count for code, count in counts.items() if targets[code] != _WHITE)
    width, height = image.size
    # The file's own bytes stay where its form is the documented one and nothing has to change.
    has_form = header.format == "PNG" and header.mode in ("RGB", "P") and header.bits <= 8
    is_whole = (header.width, header.height) == image.size and not hidden.any()
    if not (has_form and is_whole and all(old == new for old, new in targets.items())):
        pixels = _recolour(image, targets)
        if hidden.any():
            pixels[hidden] = 255
        image = Image.fromarray(pixels)
        targets = {code: code for code in _colours_of(image)}
        data = encode_png(image)
    colours = tuple(_hex(code) for code in sorted(set(targets.values()) - {_WHITE}))
    share = round(marked / (width * height), 4)
    return PreparedMask(data, width, height, colours, strangers, share)


def read_mask(source: Path | bytes) -> Image.Image:
    """Return a mask's colours, RGB, upright; what is transparent is white, the background.

    Raises:
        ImageError: It is no PNG, or damaged.
        OSError: The file cannot be read.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    colours, opaque = read_painting(data)
    return _on(colours, opaque, 255)


def _on(
    colours: NDArray[numpy.uint8], opaque: NDArray[numpy.bool_], background: int
) -> Image.Image:
    return Image.fromarray(numpy.where(opaque[..., None], colours, numpy.uint8(background)))


def _colours_of(image: Image.Image) -> dict[int, int]:
    counted = image.getcolors(_MAX_PRESENT)
    if counted is None:
        raise NotAMask(f"more than {_MAX_PRESENT:,}")
    codes = {}
    for count, colour in counted:
        assert isinstance(colour, tuple)  # the image is RGB
        codes[colour[0] << 16 | colour[1] << 8 | colour[2]] = count
    return codes


def _targets(
    present: list[int], classes: Mapping[str, str] | None
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Return what each colour becomes, and the colours that nobody declared."""
    if classes is None:
        return _targets_by_habit(present), ()
    declared = {int(colour.lstrip("#"), 16) for colour in classes.values()}
    strangers = [code for code in present if code not in declared | {0, _WHITE}]
    targets = {code: code if code in declared else _WHITE for code in present}
    return targets, tuple(map(_hex, strangers[:20]))


def _targets_by_habit(present: list[int]) -> dict[int, int]:
    """Return what each colour becomes by how masks are usually drawn, with no types declared."""
    is_grey = all(code >> 16 == (code >> 8) & 0xFF == code & 0xFF for code in present)
    if len(present) > 2 and is_grey:
        # Softened edges: cut at half. Two greys, as in masks of 0 and 1, are taken as they are.
        return {code: _STAND_IN if code & 0xFF > 127 else _WHITE for code in present}
    if len(present) > _MAX_COLOURS:
        raise NotAMask(f"{len(present):,}")
    if 0 not in present:
        return {code: code for code in present}
    swap = {0: _WHITE, _WHITE: _STAND_IN}
    return {code: swap.get(code, code) for code in present}


def _recolour(image: Image.Image, targets: Mapping[int, int]) -> NDArray[numpy.uint8]:
    planes = numpy.asarray(image, dtype=numpy.uint32)
    codes = (planes[..., 0] << 16) | (planes[..., 1] << 8) | planes[..., 2]
    result = numpy.full((*codes.shape, 3), 255, dtype=numpy.uint8)
    for target in set(targets.values()) - {_WHITE}:
        sources = [old for old, new in targets.items() if new == target]
        result[numpy.isin(codes, sources)] = (target >> 16, (target >> 8) & 0xFF, target & 0xFF)
    return result


def _hex(code: int) -> str:
    return f"#{code:06X}"
