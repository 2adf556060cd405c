"""The segments of a JPEG file, and bounds to what they cost: a few bytes can be hours of work."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from lfvpipe.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCAN, _END = 0xDA, 0xD9
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)  # tables that share the range of the frame headers
_BARE = (0x01, *range(0xD0, 0xD9))  # segments without a length: TEM, restarts, and the start
# Encoders write some ten scans. Each costs a pass over the whole picture, whatever is in it.
_MOST_SCANS = 100
# A profile or an XMP packet in pieces has some hundred; a reader takes microseconds for each.
_MOST_SEGMENTS = 20_000
# 0xFF before neither the zero that escapes it in a scan's data, nor a restart. Decoders leave out
# whatever else stands before it.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class Frame(NamedTuple):
    """What a frame header says."""

    bits: int
    height: int
    width: int
    samples: int


def read_frame(data: bytes) -> Frame:
    """Return the frame header of a JPEG file, which is cheap to decode as far as others go.

    Raises:
        ImageError: It has more segments or scans than pictures have.
        struct.error, IndexError, ValueError: It is damaged before its first scan.
    """
    frame = None
    for marker, at in _segments(data, 2):
        if marker == _SCAN and frame:
            break
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES and frame is None:
            frame = Frame(*struct.unpack_from(">BHHB", data, at + 4))
    if frame is None:
        raise ValueError("no frame")
    if data.count(b"\xff\xda") > _MOST_SCANS:  # some of which may be in comments, or in EXIF
        _refuse_scans(data)
    return frame


def _refuse_scans(data: bytes) -> None:
    """Raise an ImageError where there are too many scans, found as decoders find them."""
    at, scans = 2, 0
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None or data[found.end() - 1] == _END:
            return
        at, marker = found.end(), data[found.end() - 1]
        scans += marker == _SCAN
        if scans > _MOST_SCANS:
            raise ImageError(
                f"has more than {_MOST_SCANS} scans, which would take minutes to decode",
                hint="Export it again, as a JPEG with the usual scans.",
            )
        if marker not in _BARE:
            at += _length(data, at - 2)
    raise _too_many()


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Yield the marker and the place of each segment before the first scan's data."""
    for _ in range(_MOST_SEGMENTS):
        if data[at : at + 1] != b"\xff" or at + 1 >= len(data):
            return
        marker = data[at + 1]
        if marker == _END:
            return
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _BARE:
            at += 2
        else:
            yield marker, at
            at += 2 + _length(data, at)
    raise _too_many()


def _too_many() -> ImageError:
    hint = "Export it again, or leave it out."
    return ImageError(f"has more than {_MOST_SEGMENTS:,} segments", hint=hint)


def _length(data: bytes, at: int) -> int:
    return int.from_bytes(data[at + 2 : at + 4])
