"""What an image file is, read from its header alone: nothing is decoded, so no bomb goes off."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from lfvpipe.images.errors import ImageError

MAX_PIXELS: Final = 64 * 1024 * 1024
"""Pixels that are decoded at most; at three bytes each, 192 MiB for each image worked on."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # tables that share the range of the frame headers
_BARE_MARKERS = (0x01, *range(0xD0, 0xD8))  # segments without a length: restarts, and TEM
_OTHERS = {
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"RIFF": "a WebP image or other RIFF file",
    b"PK\x03\x04": "a zip archive",
    b"%PDF": "a PDF document",
    b"\0\0\0": "perhaps a HEIC or AVIF image",
}


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        format: PNG or JPEG, by content.
        width: Pixels, as stored (before any EXIF rotation).
        height: Pixels, as stored.
        mode: L, LA, P, RGB, RGBA, CMYK, or 1; as Pillow names them.
        bits: Bits of one sample.
        size: Bytes of the file.
    """

    format: Literal["PNG", "JPEG"]
    width: int
    height: int
    mode: str
    bits: int
    size: int


def inspect(source: Path | bytes) -> ImageHeader:
    """Return what the header of the image file `source` says, without decoding it.

    Raises:
        ImageError: It is no PNG or JPEG, or its header is damaged.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    try:
        if data.startswith(_PNG):
            return _read_png(data)
        if data.startswith(_JPEG):
            return _read_jpeg(data)
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise ImageError("has a damaged header", hint="Export the image again.") from error
    raise ImageError(f"is {_kind_of(data)}, not a PNG or JPEG image", hint="Convert or remove it.")


def _read_png(data: bytes) -> ImageHeader:
    if data[12:16] != b"IHDR":
        raise ValueError(data[12:16])
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    mode = "1" if (bits, colour) == (1, 0) else _PNG_MODES[colour]
    return ImageHeader("PNG", width, height, mode, bits, len(data))


def _read_jpeg(data: bytes) -> ImageHeader:
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError(at)
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in _BARE_MARKERS:
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES:
            bits, height, width, samples = struct.unpack_from(">BHHB", data, at + 4)
            return ImageHeader("JPEG", width, height, _JPEG_MODES[samples], bits, len(data))
        else:
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def _kind_of(data: bytes) -> str:
    """Return in words what a file is that is no image that we take."""
    if not data:
        return "an empty file"
    known = next((name for magic, name in _OTHERS.items() if data.startswith(magic)), "")
    if known:
        return known
    text = data[:512].lstrip()
    if text[:1] == b"<":
        return "a web page or XML file"
    printable = sum(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text)
    return "a text file" if text and printable == len(text) else "something else"
