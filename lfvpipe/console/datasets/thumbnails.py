"""Small pictures of images."""

from __future__ import annotations

import io
from typing import Final

from lfvpipe.images import ImageError, read_image

SIDE: Final = 256
"""Pixels of the longer side: twice what a tile shows, for screens that are that sharp."""
MOST_BYTES: Final = 512 * 1024 * 1024
"""What all pictures may take: some 60,000."""


def draw(data: bytes) -> bytes | None:
    """Return an image as a small WebP; None where it cannot be read."""
    try:
        small = read_image(data, enough=(2 * SIDE, 2 * SIDE)).image.convert("RGB")
    except ImageError:
        return None
    small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=70, method=2)
    return buffer.getvalue()
