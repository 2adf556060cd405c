"""Opens, verifies and prepares images that may be hostile, within bounds."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.images.inspection import MAX_PIXELS, Facts, ImageError, inspect
    from lfvpipe.images.masks import PreparedMask, prepare_mask
    from lfvpipe.images.preparation import Prepared, examine, prepare
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "inspection": ["MAX_PIXELS", "Facts", "ImageError", "inspect"],
            "masks": ["PreparedMask", "prepare_mask"],
            "preparation": ["Prepared", "examine", "prepare"],
        },
    )

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
