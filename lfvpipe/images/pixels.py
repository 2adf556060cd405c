"""One way from a decoded photograph to the pixels that are learnt from and judged.

Every reader of pixels in the package goes through here: extraction, training, detection, the
service, the packaged runner, report and review. In this order: samples of more than eight bits are
brought to eight; the EXIF orientation is applied; colours are those of sRGB; what is transparent
shows the background; the mode becomes grey or RGB.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lfvpipe.images.rules import PixelRules

DEPTHS: Final = (8, 10, 12, 14, 16)
"""Bits of the sensors whose samples 16-bit files hold."""

FEW_LEVELS: Final = 32
"""Grey levels under which a photograph was exported with the wrong depth: a twelve-bit sensor's
samples taken for sixteen bits leave 16 of them, and a defect is a difference of a few levels."""

# The share of pixels that a white level has to hold: a few hot ones may be brighter than white.
_BRIGHTEST: Final = 0.999
_ORIENTATION: Final = 0x0112
_CAMERA: Final = (0x010F, 0x0110)  # make, model
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_OPAQUE: Final = 128  # of 255: half
# A profile counts where some colour moves by more than this many of 255 levels.
_VISIBLE: Final = 2


@dataclass(frozen=True)
class Upright:
    """A photograph as it is to be seen, and what was done to it.

    Attributes:
        image: In mode L or RGB, 8 bits a sample, without metadata.
        changes: Of rotated, depth, profile, cmyk, palette, flattened, converted; none where the
            file's own pixels are already these.
        levels: How many grey levels a deep photograph has left; None for one of 8 bits.
    """

    image: Image.Image
    changes: tuple[str, ...] = ()
    levels: int | None = field(default=None, compare=False)


def read_pixels(image: Image.Image, rules: PixelRules) -> Upright:
    """Return a decoded photograph as it is to be seen.

    Args:
        image: As Pillow decoded it, with the metadata of its file.
        rules: What is decided for the product.
    """
    changes: list[str] = []
    turn = _TURNS.get(orientation_of(image))
    profile = image.info.get("icc_profile")
    levels = None
    if is_deep(image):
        reduced = to_eight_bits(np.asarray(image), rules.white_level)
        image = Image.fromarray(reduced)
        levels = levels_of(image)
        profile = None  # it describes the samples that were
        changes.append("depth")
    if turn is not None:
        image = _transpose(image, turn)
        changes.append("rotated")
    image, more = _flatten(image, rules.background)
    changes += more
    image, more = _to_srgb(image, profile)
    changes += more
    wanted = rules.mode or ("L" if image.mode in ("L", "1") else "RGB")
    if image.mode != wanted:
        if rules.mode is not None:
            changes.append("converted")
        image = image.convert(wanted)
    plain = image.copy() if image.info else image
    plain.info = {}
    return Upright(plain, tuple(changes), levels)


def read_colours(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a decoded mask's colours (h, w, 3), upright, and where it is opaque (h, w).

    A mask's colours are names: none is mixed with what is behind it, or seen through a profile.
    """
    turn = _TURNS.get(orientation_of(image))
    if is_deep(image):
        samples = np.asarray(image)
        image = Image.fromarray(to_eight_bits(samples, 255.0 if samples.max() < 256 else 65535.0))
    if turn is not None:
        image = _transpose(image, turn)
    pixels = np.asarray(image.convert("RGBA"))
    return pixels[..., :3], pixels[..., 3] >= _OPAQUE


def _transpose(image: Image.Image, turn: Image.Transpose) -> Image.Image:
    # The EXIF block is not written again: an odd tag in it would be an error, for nothing.
    palette_transparency = image.info.get("transparency")
    image = image.transpose(turn)
    if palette_transparency is not None:
        image.info["transparency"] = palette_transparency
    return image


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none that can be understood.

    Cameras and editors write the tag as all kinds of numbers, lists and text.
    """
    try:
        value = image.getexif().get(_ORIENTATION, 1)
        if isinstance(value, (tuple, list)):
            value = value[0]
        if isinstance(value, bytes):
            value = value[0] if value[:1] < b"0" else value.decode("ascii")
        number = int(value)
    except Exception:  # Pillow's EXIF reader fails in ways of its own
        return 1
    return number if 1 <= number <= 8 else 1


def camera_of(image: Image.Image) -> str:
    """Return maker and model of the camera, as EXIF names them; "" where it does not."""
    try:
        tags = image.getexif()
        values = (tags.get(tag) or "" for tag in _CAMERA)
        # A tag of raw bytes is text all the same: cameras write it so, with a NUL at the end.
        named = " ".join(
            value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in values
        )
    except Exception:  # as above
        return ""
    return " ".join(re.sub(r"[^\x20-\x7e]", " ", named).split())[:80]


def is_deep(image: Image.Image) -> bool:
    """Tell whether a photograph is grey with more than eight bits a sample."""
    return image.mode.startswith(("I", "F"))


def white_level_of(image: Image.Image) -> float | None:
    """Return the white level of a deep photograph by its own samples; None for one of 8 bits."""
    return _own_white_level(np.asarray(image)) if is_deep(image) else None


def levels_of(image: Image.Image) -> int:
    """Return how many different values the samples of an 8-bit image have."""
    return int(np.count_nonzero(np.bincount(np.asarray(image).ravel(), minlength=256)))


def to_eight_bits(samples: NDArray[np.generic], white_level: float | None) -> NDArray[np.uint8]:
    """Return deep grey samples (H, W) as 0 to 255; those above the white level are white."""
    real = np.nan_to_num(samples.astype(np.float64))
    white = white_level or _own_white_level(samples)
    return np.rint(np.clip(real, 0, white) * (255 / white)).astype(np.uint8)


def _own_white_level(samples: NDArray[np.generic]) -> float:
    """Return the highest sample of the smallest usual sensor depth that holds these."""
    real = np.nan_to_num(samples.astype(np.float64))
    top = float(np.quantile(real, _BRIGHTEST)) if real.size else 0.0
    if np.issubdtype(samples.dtype, np.floating) and top <= 1:
        return 1.0
    return next((2.0**bits - 1 for bits in DEPTHS if top < 2**bits), top)


def _flatten(image: Image.Image, background: str) -> tuple[Image.Image, list[str]]:
    """Return the image without alpha or palette."""
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        clear = image.convert("RGBA")
        lowest = clear.getchannel("A").getextrema()[0]
        opaque = Image.alpha_composite(Image.new("RGBA", clear.size, background), clear)
        is_grey = image.mode in ("L", "LA", "La", "1") and len(set(_rgb(background))) == 1
        flat = opaque.convert("RGB")
        # An alpha channel that hides nothing goes without a word: no pixel is another.
        return (flat.getchannel(0) if is_grey else flat), (["flattened"] if lowest != 255 else [])
    if image.mode == "P":
        return image.convert("RGB"), []
    return image, []


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.lstrip("#")))


def _to_srgb(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, list[str]]:
    """Return the image in sRGB: by its profile where that shows, CMYK without one by formula."""
    is_cmyk = image.mode in ("CMYK", "YCCK")
    transform = _transform(profile, "CMYK" if is_cmyk else "RGB") if profile else None
    if transform is not None and (is_cmyk or image.mode == "RGB"):
        done = ImageCms.applyTransform(image, transform)
        if done is not None and (is_cmyk or _differs_visibly(transform)):
            return done, ["cmyk" if is_cmyk else "profile"]
    if is_cmyk:
        return image.convert("RGB"), ["cmyk"]
    if image.mode in ("YCbCr", "LAB", "HSV"):
        return image.convert("RGB"), ["converted"]
    return image, []


def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from an embedded profile to sRGB; None where the profile is of no use."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        # A damaged profile, or one for another kind of pixels: viewers show the pixels as they are.
        return None


def _differs_visibly(transform: ImageCms.ImageCmsTransform) -> bool:
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    moved = ImageCms.applyTransform(Image.fromarray(grid), transform)
    if moved is None:
        return False
    return bool(np.abs(np.asarray(moved).astype(int) - grid).max() > _VISIBLE)
