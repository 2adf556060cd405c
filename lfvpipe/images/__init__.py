"""Opens, verifies and prepares images that may be hostile, within bounds.

One way leads from a file's bytes to pixels: `read_image`, and for masks `read_mask`.
"""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.images.decoding import read_decoded, read_image, read_painting, upright_size
    from lfvpipe.images.errors import ImageError, NotAMask, UnfitImage
    from lfvpipe.images.formats import FORMATS, SERVED, SUFFIXES
    from lfvpipe.images.geometry import Geometry
    from lfvpipe.images.inspection import MAX_PIXELS, ImageHeader, inspect
    from lfvpipe.images.masks import PreparedMask, prepare_mask, read_mask
    from lfvpipe.images.pixels import FEW_LEVELS, Upright
    from lfvpipe.images.preparation import (
        Measures,
        Prepared,
        examine,
        measure,
        own_white_level,
        prepare,
    )
    from lfvpipe.images.rules import PixelRules
    from lfvpipe.images.shapes import Shapes
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "decoding": ["read_decoded", "read_image", "read_painting", "upright_size"],
            "errors": ["ImageError", "NotAMask", "UnfitImage"],
            "formats": ["FORMATS", "SERVED", "SUFFIXES"],
            "geometry": ["Geometry"],
            "inspection": ["MAX_PIXELS", "ImageHeader", "inspect"],
            "masks": ["PreparedMask", "prepare_mask", "read_mask"],
            "pixels": ["FEW_LEVELS", "Upright"],
            "preparation": [
                "Measures",
                "Prepared",
                "examine",
                "measure",
                "own_white_level",
                "prepare",
            ],
            "rules": ["PixelRules"],
            "shapes": ["Shapes"],
        },
    )

__all__ = [
    "FEW_LEVELS",
    "FORMATS",
    "MAX_PIXELS",
    "SERVED",
    "SUFFIXES",
    "Geometry",
    "ImageError",
    "ImageHeader",
    "Measures",
    "NotAMask",
    "PixelRules",
    "Prepared",
    "PreparedMask",
    "Shapes",
    "UnfitImage",
    "Upright",
    "examine",
    "inspect",
    "measure",
    "own_white_level",
    "prepare",
    "prepare_mask",
    "read_decoded",
    "read_image",
    "read_mask",
    "read_painting",
    "upright_size",
]
