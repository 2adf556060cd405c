"""Opens, verifies and prepares images that may be hostile, within bounds."""

from lfvpipe.images.inspection import MAX_PIXELS, Facts, ImageError, inspect
from lfvpipe.images.masks import PreparedMask, prepare_mask
from lfvpipe.images.preparation import Prepared, examine, prepare

__all__ = [
    "MAX_PIXELS",
    "Facts",
    "ImageError",
    "Prepared",
    "PreparedMask",
    "examine",
    "inspect",
    "prepare",
    "prepare_mask",
]
