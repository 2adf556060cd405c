"""How images are prepared, as inputs of the step and as what prepares them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe import images as pictures
from lfvpipe.config.spec import Images
from lfvpipe.dataset.local_files import read_named_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.engine.outcome import Json
    from lfvpipe.images import Geometry


def image_settings(images: Images) -> dict[str, Json]:
    """Return how images are prepared, by key; keys that came after 0.1.0 where they say something.

    An outcome of an earlier version stays the outcome of its fingerprint.
    """
    resize = "x".join(map(str, images.resize)) if images.resize else None
    found: dict[str, Json] = {"images.resize": resize, "images.convert": images.convert}
    if images.depth is not None:
        found["images.depth"] = images.depth
    if images.background != Images.background:
        found["images.background"] = images.background
    if images.fit is not None:
        found["images.resize.fit"] = images.fit
    if images.region is not None:
        found["images.region"] = list(images.region)
    if isinstance(images.ignore, str):
        found["images.ignore"] = hashlib.sha256(_mask_bytes(images.ignore)).hexdigest()
    elif images.ignore:
        found["images.ignore"] = [[list(point) for point in polygon] for polygon in images.ignore]
    return found


def geometry_of(images: Images) -> Geometry:
    """Return which part of each image counts, and its size.

    Raises:
        UserError: The mask of what is ignored cannot be read.
    """
    mask = images.ignore if isinstance(images.ignore, str) else None
    return pictures.Geometry(
        ignore=() if isinstance(images.ignore, str) else images.ignore,
        mask=_mask_bytes(mask) if mask else None,
        region=images.region,
        size=images.resize,
        fit=images.fit or "stretch",
    )


def _mask_bytes(path: str) -> bytes:
    return read_named_file(
        f"{path}: the mask of what is ignored",
        Path(path),
        hint="Name a PNG of the images' size as `images.ignore`.",
    )


def images_of(found: Mapping[str, Any]) -> Images:
    """Return how images were prepared, as `image_settings` said then."""
    width, _, height = str(found.get("images.resize") or "").partition("x")
    return Images(
        resize=(int(width), int(height)) if width else None,
        convert=found.get("images.convert"),
        depth=found.get("images.depth"),
        background=found.get("images.background") or Images.background,
    )
