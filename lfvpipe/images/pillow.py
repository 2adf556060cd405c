"""Pillow, kept to what is asked of it: whatever a damaged file makes it do is an ImageError."""

from __future__ import annotations

import io
import logging
import re
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from lfvpipe.images.errors import ImageError
from lfvpipe.images.png import without_long_texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.images.formats import Format

# The reader of each format. Asked for by class: `Image.open` knows only the readers that somebody
# imported before, and tries others where one fails. JPEG's reads MPO, which phones write, too.
_READERS: Final[dict[Format, tuple[str, str]]] = {
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "JPEG": ("JpegImagePlugin", "jpeg_factory"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
}
_FROM_PILLOW = re.compile(r"PIL\b")
_DAMAGED = "Export it again or leave it out."


def plugin(kind: Format) -> Any:
    """Return what opens a file of this format.

    Raises:
        ImageError: It needs a package that is not installed.
    """
    if kind == "HEIC":
        try:
            return import_module("pillow_heif").HeifImageFile
        except ImportError as error:
            raise ImageError(
                "is a HEIC image, which needs the package pillow-heif",
                hint="Install it with `pip install 'lfvpipe[heic]'`, or export JPEG or PNG.",
            ) from error
    module, name = _READERS[kind]
    return getattr(import_module(f"PIL.{module}"), name)


def open_file(kind: Format, data: bytes) -> Any:
    """Return what Pillow makes of a file's header; to be called inside `refusing_damage`."""
    return plugin(kind)(io.BytesIO(without_long_texts(data) if kind == "PNG" else data))


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what Pillow raises for a damaged file inside the block into an ImageError.

    Its readers, and those of EXIF, raise all there is: KeyError, AssertionError, RuntimeError,
    struct.error, zlib.error, even MemoryError and RecursionError for sizes that a file makes up.
    """
    _quieten()
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        said = str(error)[:80] or type(error).__name__
        raise ImageError(f"is truncated or damaged ({said})", hint=_DAMAGED) from error


def _quieten() -> None:
    """Keep what Pillow warns of, which names no file, off the terminal.

    For good, and again after somebody took the filter away: `warnings.catch_warnings` is not for
    several threads.
    """
    wanted = ("ignore", None, Warning, _FROM_PILLOW, 0)
    if wanted not in warnings.filters:
        warnings.filterwarnings("ignore", module=_FROM_PILLOW.pattern)
    logger = logging.getLogger("PIL")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
