"""What happens to photographs between two days: small disturbances of test images.

None of them makes or hides a defect, so that a verdict that flips was not of the part. What comes
in at a border is the image mirrored there.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from lfvpipe import images

Pixels = NDArray[np.uint8]  # (h, w, 3)
TURN = 2  # degrees
SHIFT = 4  # px
BRIGHTNESS = 0.1
BLUR = 1.0  # px, sigma
QUALITY = 60  # of JPEG
NOISE = 5  # grey levels, sigma


def turn(pixels: Pixels, degrees: float) -> Pixels:
    """Turn about the middle."""
    height, width = pixels.shape[:2]
    border = int(np.ceil(max(height, width) * np.sin(np.radians(abs(degrees))) / 2)) + 2
    wide = np.pad(pixels, ((border, border), (border, border), (0, 0)), "symmetric")
    turned = Image.fromarray(wide).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(turned)[border : border + height, border : border + width]


def shift(pixels: Pixels, right: int, down: int) -> Pixels:
    """Move by whole pixels."""
    border = max(abs(right), abs(down))
    wide = np.pad(pixels, ((border, border), (border, border), (0, 0)), "symmetric")
    height, width = pixels.shape[:2]
    top, left = border - down, border - right
    return wide[top : top + height, left : left + width]


def brighten(pixels: Pixels, factor: float) -> Pixels:
    """Multiply by a factor."""
    return _levels(pixels * factor)


def blur(pixels: Pixels) -> Pixels:
    """Blur slightly."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR)))


def compress(pixels: Pixels) -> Pixels:
    """Compress as JPEG and read again."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return np.asarray(Image.open(file))


def add_noise(pixels: Pixels) -> Pixels:
    """Add grey noise, always the same to the same image."""
    random = np.random.default_rng(list(hashlib.sha256(pixels.tobytes()).digest()[:8]))
    noise = random.normal(0, NOISE, (*pixels.shape[:2], 1))
    return _levels(pixels + noise)


def _levels(values: NDArray[np.floating]) -> Pixels:
    rounded: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


KINDS: dict[str, Sequence[Callable[[Pixels], Pixels]]] = {
    "turn": (lambda pixels: turn(pixels, TURN), lambda pixels: turn(pixels, -TURN)),
    "shift": (lambda pixels: shift(pixels, SHIFT, 0), lambda pixels: shift(pixels, 0, -SHIFT)),
    "brightness": (
        lambda pixels: brighten(pixels, 1 + BRIGHTNESS),
        lambda pixels: brighten(pixels, 1 - BRIGHTNESS),
    ),
    "blur": (blur,),
    "jpeg": (compress,),
    "noise": (add_noise,),
}


def disturb(tested: Sequence[Path], scratch: Path) -> dict[str, list[list[str]]]:
    """Write each image disturbed in every way below `scratch`; return the paths, in their order.

    Each kind has a list of images for each of its variants. What is there already stays.
    """
    written: dict[str, list[list[str]]] = {
        kind: [[] for _ in variants] for kind, variants in KINDS.items()
    }
    for path in tested:
        name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        targets = {
            (kind, at): scratch / f"{name}-{kind}-{at}.png"
            for kind, variants in KINDS.items()
            for at in range(len(variants))
        }
        if not all(each.exists() for each in targets.values()):
            scratch.mkdir(parents=True, exist_ok=True)
            pixels = np.asarray(images.read_image(path).image.convert("RGB"))
            for (kind, at), target in targets.items():
                Image.fromarray(KINDS[kind][at](pixels)).save(target, compress_level=1)
        for (kind, at), target in targets.items():
            written[kind][at].append(str(target))
    return written
