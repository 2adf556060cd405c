"""Pictures for the report page, as data URIs: WebP, and masks as see-through overlays."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from PIL import Image

from lfvpipe.executor import in_order
from lfvpipe.images import ImageError, inspect, read_image, read_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from lfvpipe.report.records import Verdict

SIDE = 224  # pixels of a thumbnail's longer side
QUALITY = 60
QUALITY_LARGER = 85  # what a crack a pixel wide needs
BACKGROUND = 250  # of 255: a mask's pixel whose channels are all at least this shows nothing
OPACITY = 150  # of 255


@dataclass(frozen=True)
class Thumbnail:
    """A picture and its overlay as data URIs, with the picture's size in pixels.

    Attributes:
        reduced: Whether the image itself has more pixels.
    """

    uri: str
    width: int
    height: int
    overlay: str | None = None
    reduced: bool = False

    @property
    def characters(self) -> int:
        """What it takes of a page."""
        return len(self.uri) + len(self.overlay or "")


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
    """Return the thumbnail of one image, with its mask as overlay where there is one."""
    if verdict.path is None:
        return None
    return path_thumbnail(state_dir, verdict.path, verdict.mask, side)


def path_thumbnail(
    state_dir: Path, path: str, mask_path: str | None = None, side: int = SIDE
) -> Thumbnail | None:
    """Return the thumbnail of an image by its path, with a mask as overlay; None without image."""
    try:
        header = inspect(state_dir / path)
        picture = _read_small(state_dir / path, side)
        mask = read_mask(state_dir / mask_path) if mask_path else None
    except (ImageError, OSError):
        return None
    overlay = (
        _uri(_see_through(mask.resize(picture.size, Image.Resampling.BILINEAR, reducing_gap=2)))
        if mask
        else None
    )
    reduced = max(header.width, header.height) > side
    quality = QUALITY if side <= SIDE else QUALITY_LARGER
    return Thumbnail(_uri(picture, quality), picture.width, picture.height, overlay, reduced)


def _read_small(path: Path, side: int) -> Image.Image:
    small = read_image(path, enough=(2 * side, 2 * side)).image.convert("RGB")
    small.thumbnail((side, side))
    return small


def _see_through(mask: Image.Image) -> Image.Image:
    """Return the mask's colours over nothing: its background, white, is transparent."""
    shown = Image.new("L", mask.size, 0)
    for channel in mask.split():  # one that is darker than white is enough
        marked = channel.point([OPACITY if value < BACKGROUND else 0 for value in range(256)])
        shown.paste(marked, mask=marked)
    seen = mask.copy()
    seen.putalpha(shown.point([OPACITY if value else 0 for value in range(256)]))
    return seen


def _uri(image: Image.Image, quality: int = QUALITY) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
