"""What an image file is, read from its header alone: nothing is decoded, so no bomb goes off."""

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from lfvpipe.images import jpeg
from lfvpipe.images.errors import ImageError
from lfvpipe.images.formats import FORMATS, Format
from lfvpipe.images.pillow import open_file, refusing_damage

MAX_PIXELS: Final = 64 * 1024 * 1024
"""Pixels that are decoded at most; at three bytes each, 192 MiB for each image worked on."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
_BITS_PER_SAMPLE = 258
_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_OTHERS = {
    b"GIF8": "a GIF image",
    b"RIFF": "a RIFF file",
    b"PK\x03\x04": "a zip archive",
    b"%PDF": "a PDF document",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 image",
}
_NAMES = {
    "PNG": "a PNG", "JPEG": "a JPEG", "BMP": "a BMP", "TIFF": "a TIFF", "WEBP": "a WebP",
    "HEIC": "a HEIC",
}  # fmt: skip


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        format: By content.
        width: Pixels, as stored (before any EXIF rotation).
        height: Pixels, as stored.
        mode: L, LA, P, RGB, RGBA, CMYK, I, F or 1; as Pillow names them.
        bits: Bits of one sample.
        size: Bytes of the file.
    """

    format: Format
    width: int
    height: int
    mode: str
    bits: int
    size: int

    @property
    def is_deep(self) -> bool:
        """Whether it is grey with more than eight bits a sample, all of which are read."""
        return self.bits > 8 and self.mode.startswith(("L", "I", "F")) and self.mode != "LA"


def inspect(source: Path | bytes, formats: Collection[Format] = FORMATS) -> ImageHeader:
    """Return what the header of the image file `source` says, without decoding it.

    Args:
        source: A path, or a file's bytes.
        formats: Those that are wanted.

    Raises:
        ImageError: It is of no such format, or its header is damaged.
        OSError: The file cannot be read.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    kind = _format_of(data)
    if kind is None or kind not in formats:
        what = f"{_NAMES[kind]} image" if kind else _kind_of(data)
        wanted = (
            "PNG, JPEG, BMP, TIFF, WebP or HEIC" if formats is FORMATS else " or ".join(formats)
        )
        raise ImageError(f"is {what}, not a {wanted} image", hint="Convert or remove it.")
    try:
        return _READERS[kind](data)
    except (struct.error, IndexError, KeyError, ValueError) as error:
        raise ImageError("has a damaged header", hint="Export the image again.") from error


def _format_of(data: bytes) -> Format | None:
    if data.startswith(_PNG):
        return "PNG"
    if data.startswith(_JPEG):
        return "JPEG"
    if data.startswith(b"BM"):
        return "BMP"
    if data.startswith(_TIFF):
        return "TIFF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    return "HEIC" if data[4:8] == b"ftyp" and data[8:12] in _HEIC else None


def _read_png(data: bytes) -> ImageHeader:
    if data[12:16] != b"IHDR":
        raise ValueError(data[12:16])
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    mode = "1" if (bits, colour) == (1, 0) else _PNG_MODES[colour]
    return ImageHeader("PNG", width, height, mode, bits, len(data))


def _read_jpeg(data: bytes) -> ImageHeader:
    frame = jpeg.read_frame(data)
    mode = _JPEG_MODES[frame.samples]
    return ImageHeader("JPEG", frame.width, frame.height, mode, frame.bits, len(data))


def _read_webp(data: bytes) -> ImageHeader:
    """Read the first chunk (RFC 9649): Pillow would make room for the whole picture."""
    kind, payload = data[12:16], data[20:30]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(payload[at : at + 3], "little") for at in (4, 7))
        clear = bool(payload[0] & 0x10)
    elif kind == b"VP8L":
        if payload[0] != 0x2F:
            raise ValueError(payload[0])
        (bits,) = struct.unpack_from("<I", payload, 1)
        width, height, clear = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), bool(bits >> 28 & 1)
    elif kind == b"VP8 " and payload[3:6] == b"\x9d\x01\x2a":
        width, height = (each & 0x3FFF for each in struct.unpack_from("<HH", payload, 6))
        clear = False
    else:
        raise ValueError(kind)
    return ImageHeader("WEBP", width, height, "RGBA" if clear else "RGB", 8, len(data))


def _read_with_pillow(kind: Format, data: bytes) -> ImageHeader:
    """Let Pillow read a header whose reader takes no room for pixels."""
    with refusing_damage():
        image = open_file(kind, data)
        deep = {"I": 32, "F": 32}.get(image.mode[:1], 8)
        bits = 16 if image.mode.startswith("I;16") else deep
        if kind == "TIFF":
            bits = max(image.tag_v2.get(_BITS_PER_SAMPLE, (bits,)))
        width, height = image.size
        return ImageHeader(kind, width, height, image.mode, bits, len(data))


_READERS: dict[Format, Callable[[bytes], ImageHeader]] = {
    "PNG": _read_png,
    "JPEG": _read_jpeg,
    "WEBP": _read_webp,
    "BMP": partial(_read_with_pillow, "BMP"),
    "TIFF": partial(_read_with_pillow, "TIFF"),
    "HEIC": partial(_read_with_pillow, "HEIC"),
}


def _kind_of(data: bytes) -> str:
    """Return in words what a file is that is no image that we take."""
    if not data:
        return "an empty file"
    known = next((name for magic, name in _OTHERS.items() if data.startswith(magic)), "")
    if known:
        return known
    if data[4:8] == b"ftyp":
        return "an AVIF image or a film"
    text = data[:512].lstrip()
    if text[:1] == b"<":
        return "a web page or XML file"
    printable = sum(byte in b"\t\r\n" or 32 <= byte < 127 for byte in text)
    return "a text file" if text and printable == len(text) else "something else"
