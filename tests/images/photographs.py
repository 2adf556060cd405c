"""Photographs as cameras, scanners and editors write them, for tests of all that reads them."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import strategies as st
from PIL import Image, ImageCms

if TYPE_CHECKING:
    from numpy.typing import NDArray

GREYS = ("8", "10", "12", "14", "16")
KINDS = ("L", "RGB", "RGBA", "LA", "P", "P transparent", "CMYK", "1", *GREYS)
FORMATS = {
    "RGB": ("PNG", "JPEG", "BMP", "TIFF", "WEBP"),
    "L": ("PNG", "JPEG", "BMP", "TIFF"),
    "CMYK": ("JPEG", "TIFF"),
    "RGBA": ("PNG", "TIFF", "WEBP"),
    "P": ("PNG", "BMP"),
    "1": ("PNG", "BMP", "TIFF"),
} | dict.fromkeys(GREYS, ("PNG", "TIFF"))


@dataclass(frozen=True)
class Photograph:
    """A file, and what it is made of: its kind, format, orientation, and whether it has ICC."""

    data: bytes
    kind: str
    format: str
    orientation: int
    profile: bool

    def __repr__(self) -> str:
        return f"{self.kind} {self.format} {self.orientation} {self.profile}"


@st.composite
def photographs(draw: st.DrawFn) -> Photograph:
    """Draw a photograph of any kind, small, not square."""
    kind = draw(st.sampled_from(KINDS))
    file_format = draw(st.sampled_from(FORMATS.get(kind, ("PNG",))))
    orientation, profile = draw(st.integers(1, 8)), draw(st.booleans())
    return photograph(kind, file_format, orientation, draw(st.integers(0, 99)), profile=profile)


def photograph(
    kind: str, file_format: str, orientation: int = 1, seed: int = 0, *, profile: bool = False
) -> Photograph:
    """Return a photograph of 7 by 5 pixels; one of BMP or 16-bit PNG has no metadata."""
    random = np.random.default_rng(seed)
    options: dict[str, object] = {}
    if file_format in ("PNG", "JPEG", "TIFF", "WEBP"):
        exif = Image.Exif()
        exif[0x0112] = orientation
        options["exif"] = exif
    if profile and file_format != "BMP" and kind in ("RGB", "RGBA", "P"):
        options["icc_profile"] = wide_profile()
    if file_format == "WEBP":
        options["lossless"] = True
    if kind in GREYS:
        samples = random.integers(0, 2 ** int(kind), (5, 7)).astype(np.uint16)
        if file_format == "PNG":
            return Photograph(deep_png(samples, orientation), kind, "PNG", orientation, False)
        image = Image.fromarray(samples)
    else:
        colours = Image.fromarray(random.integers(0, 256, (5, 7, 4), dtype=np.uint8))
        image = colours if kind == "RGBA" else colours.convert("RGB")
        if kind.startswith("P"):
            image = image.convert("P")
            options |= {"transparency": 3} if kind == "P transparent" else {}
        elif kind not in ("RGB", "RGBA"):
            image = colours.convert("LA") if kind == "LA" else image.convert(kind)
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    has_profile = "icc_profile" in options
    return Photograph(buffer.getvalue(), kind, file_format, orientation, has_profile)


def wide_profile() -> bytes:
    """Return a profile whose colours are others to see: red and blue are exchanged, say."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = profile.index(b"rXYZ", 128), profile.index(b"bXYZ", 128)
    profile[at[0] : at[0] + 4], profile[at[1] : at[1] + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def deep_png(samples: NDArray[np.uint16], orientation: int = 1) -> bytes:
    """Return 16-bit grey as cameras write it, with the orientation of an EXIF block."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, 0, 0, 0, 0)
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"MM\0*\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    parts = ((b"IHDR", header), (b"eXIf", exif), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
