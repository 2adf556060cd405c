"""Pictures for the report page, WebP as data URIs."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lfvpipe.executor import in_order
from lfvpipe.images import ImageError, inspect, read_image

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from PIL import Image

    from lfvpipe.report.records import Verdict

SIDE = 224  # pixels of a thumbnail's longer side
QUALITY = 60
QUALITY_LARGER = 85  # what a crack a pixel wide needs


@dataclass(frozen=True)
class Thumbnail:
    """A picture as a data URI, with its size in pixels.

    Attributes:
        reduced: Whether the image itself has more pixels.
    """

    uri: str
    width: int
    height: int
    reduced: bool = False


def thumbnails(
    state_dir: Path,
    verdicts: Sequence[Verdict],
    on_done: Callable[[int], None],
    side: int = SIDE,
) -> Generator[Thumbnail | None]:
    """Yield a thumbnail for each verdict, in order; None where the image is gone or unreadable.

    Args:
        state_dir: What the verdicts' paths are relative to.
        verdicts: Whose images to show.
        on_done: Told how many are done; what it raises ends the work.
        side: Pixels of the longer side at most.
    """
    show = partial(thumbnail, state_dir, side=side)
    workers = os.cpu_count() or 1  # decoding and encoding release the interpreter
    for done, shown in enumerate(in_order(show, verdicts, workers), 1):
        yield shown
        on_done(done)


def thumbnail(state_dir: Path, verdict: Verdict, side: int = SIDE) -> Thumbnail | None:
    """Return the thumbnail of one image; None where it is gone or unreadable."""
    return None if verdict.path is None else path_thumbnail(state_dir, verdict.path, side)


def path_thumbnail(state_dir: Path, path: str, side: int = SIDE) -> Thumbnail | None:
    """Return the thumbnail of an image by its path; None where it is gone or unreadable."""
    try:
        header = inspect(state_dir / path)
        picture = _read_small(state_dir / path, side)
    except (ImageError, OSError):
        return None
    reduced = max(header.width, header.height) > side
    quality = QUALITY if side <= SIDE else QUALITY_LARGER
    return Thumbnail(_uri(picture, quality), picture.width, picture.height, reduced)


def _read_small(path: Path, side: int) -> Image.Image:
    small = read_image(path, enough=(2 * side, 2 * side)).image.convert("RGB")
    small.thumbnail((side, side))
    return small


def _uri(image: Image.Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
