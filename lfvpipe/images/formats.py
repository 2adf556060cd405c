"""The kinds of image files that are read."""

from typing import Final, Literal

Format = Literal["PNG", "JPEG", "BMP", "TIFF", "WEBP", "HEIC"]

SERVED: Final[tuple[Format, ...]] = ("PNG", "JPEG")
"""What the service takes."""

FORMATS: Final[tuple[Format, ...]] = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "HEIC")
"""What can be prepared for it, and judged by a model file."""

SUFFIXES: Final = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".heic", ".heif",
)  # fmt: skip
"""How the names of such files end, in lower case."""
