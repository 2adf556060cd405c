"""Opens, verifies and prepares images that may be hostile, within bounds."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.images.errors import ImageError, NotAMask
    from lfvpipe.images.inspection import MAX_PIXELS, ImageHeader, inspect
    from lfvpipe.images.masks import PreparedMask, prepare_mask
    from lfvpipe.images.preparation import Prepared, examine, prepare
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "errors": ["ImageError", "NotAMask"],
            "inspection": ["MAX_PIXELS", "ImageHeader", "inspect"],
            "masks": ["PreparedMask", "prepare_mask"],
            "preparation": ["Prepared", "examine", "prepare"],
        },
    )

__all__ = [
    "MAX_PIXELS",
    "ImageError",
    "ImageHeader",
    "NotAMask",
    "Prepared",
    "PreparedMask",
    "examine",
    "inspect",
    "prepare",
    "prepare_mask",
]
